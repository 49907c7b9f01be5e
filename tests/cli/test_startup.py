"""Help is quick: it imports nothing that takes long."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "pandas",
    "pyarrow",
    "matplotlib",
    "numba",
    "pyfaidx",
    "pysam",
    "Bio",
    "jinja2",
    "safetensors",
    "huggingface_hub",
}
PROBE = """
import json, sys
from genomamba.cli.main import main
code = main(sys.argv[1:])
sys.stderr.write(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""


def test_the_package_alone_imports_nothing_heavy():
    probe = "import sys, genomamba; print(genomamba.__version__, *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(("first", "expected"), [("json", "10000"), ("torch", "None")])
def test_threads_that_wait_sleep_soon_where_torch_can_still_be_told(first, expected, monkeypatch):
    monkeypatch.delenv("GOMP_SPINCOUNT")
    probe = f"import os, {first}, genomamba; genomamba.Model; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ["-h"],
        ["--version"],
        ["pretrain", "-h"],
        ["likelihood", "-h"],
        ["evaluate", "-h"],
        ["generate", "-h"],
        ["index", "-h"],
        ["calibrate", "-h"],
        ["report", "-h"],
        ["convert", "-h"],
        ["info", "-h"],
        ["pretrain", "--print-config"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(arguments):
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
    left = json.loads(done.stderr)
    assert left["code"] == 0
    assert done.stdout
    assert HEAVY.isdisjoint(left["modules"])
