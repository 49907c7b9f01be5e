"""The benchmark of VCF walks through its cases at a tiny size, finds that the tools agree, and appends nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_dry_run_walks_through_every_case_and_writes_nothing(tmp_path):
    environment = os.environ | {"BENCHMARK_RESULTS": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}"}
    options = ["--records", "1000", "--repeats", "1", "--dry-run"]
    command = [sys.executable, str(ROOT / "benchmarks/vcf.py"), *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    cases = [line.split()[0] for line in done.stdout.splitlines()]
    assert list(dict.fromkeys(cases)) == ["annotate-vcf", "memory-vcf", "annotate-vcf.gz", "memory-vcf.gz"]
    assert not list(tmp_path.iterdir())
