"""Every benchmark of a GPU walks through its cases on the CPU, at tiny sizes, and refuses to start without a GPU."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = {
    "gpu --cases scan lengths convolution first_call": ["ceiling", "scan", "lengths", "convolution", "first_call"],
    "gpu --cases recipe million": ["ceiling", "recipe", "million"],
    "peers": ["scan", "convolution"],
    "long": ["scan", "convolution", "sanitizer"],
}
SLOW = {"gpu --cases recipe million", "peers", "long"}


def run(name, *options, folder):
    environment = os.environ | {"BENCHMARK_RESULTS": str(folder), "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}"}
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.thorough
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
@pytest.mark.parametrize(
    "command", [pytest.param(command, marks=pytest.mark.slow if command in SLOW else ()) for command in LINES]
)
def test_dry_run_walks_through_every_case_and_writes_nothing(command, tmp_path):
    done = run(*command.split(), "--dry-run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    cases = [line.split()[0] for line in done.stdout.splitlines()]
    assert list(dict.fromkeys(cases)) == LINES[command]
    assert not list(tmp_path.iterdir())
