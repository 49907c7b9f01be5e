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
        ["report", "-h"],
        ["convert", "-h"],
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
