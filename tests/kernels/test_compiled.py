"""The Triton kernels compiled ahead of time, and what is read from the binaries; no GPU is needed."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks for its module.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def compile_kernels(pytestconfig, tmp_path):
    """Run benchmarks/compiled.py; return its status, its rows, and what it says of errors."""

    def run(*options):
        # What is compiled is kept between runs of the tests, as Triton keeps it for users: by a hash of the sources.
        settings = {"TRITON_CACHE_DIR": str(pytestconfig.cache.mkdir("triton")), "TRITON_INTERPRET": "0"}
        settings["BENCHMARK_RESULTS"] = str(tmp_path / "results")
        rows = tmp_path / "rows.jsonl"
        answer = subprocess.run(
            [sys.executable, BENCHMARKS / "compiled.py", "--workers", "1", "--json", rows, *options],
            env=os.environ | settings, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert rows.is_file(), answer.stderr
        return answer.returncode, [json.loads(line) for line in rows.open()], answer.stderr

    return run


FORWARD = ("--cases", "bfloat16 16", "--targets", "sm_90", "--kernels", "local_kernel", "output_kernel")


# That nothing spills, on any GPU, is what `make aot` says.
@pytest.mark.thorough
def test_forward_has_few_instructions(compile_kernels, tmp_path):
    status, rows, errors = compile_kernels(*FORWARD, "--record")
    assert status == 0, errors
    (file,) = (tmp_path / "results" / "compiled").iterdir()
    recorded = [json.loads(line) for line in file.open()]
    assert [line["kernel"] for line in recorded] == [row["kernel"] for row in rows]
    local, output = sorted(rows, key=lambda row: row["kernel"])
    # Five instructions are needed for an output and four for a state; what else there is must not creep in.
    assert 4 <= local["per update"] <= 7
    assert 5 <= output["per update"] <= 10
    for row in (local, output):
        assert row["shared"] == 0, "a walk waits for other threads"
        assert row["registers"] <= 128, "fewer than four warps fit a scheduler"


@pytest.mark.thorough
def test_spilling_is_found_and_named(compile_kernels):
    status, rows, errors = compile_kernels(*FORWARD, "--max-registers", "64")
    assert status == 1
    assert "output_kernel spills on sm_90 in case 'bfloat16 16'" in errors
    (row,) = [row for row in rows if row["kernel"] == "output_kernel"]
    assert row["spilled"] > 0


AMD = """
\ts_load_dwordx2 s[0:1], s[2:3], 0x0
.LBB0_1:
\tv_mov_b32_e32 v0, 0
.LBB0_2:
\tglobal_load_dword v1, v0, s[0:1]
\tv_exp_f32_e32 v1, v1
\tv_pk_fma_f32 v[2:3], v[4:5], v[6:7], v[8:9]
\ts_cbranch_scc0 .LBB0_2
\tv_mul_f32_e32 v1, v1, v1
\ts_cbranch_scc0 .LBB0_1
\ts_cbranch_scc0 .LBB0_3
.LBB0_3:
\ts_endpgm
    .group_segment_fixed_size: 64
    .private_segment_fixed_size: 8
    .sgpr_spill_count: 3
    .vgpr_count:     91
    .vgpr_spill_count: 1
"""


def test_assembly_of_amd_is_read():
    binaries = load("binaries")
    binary = binaries.read_amdgcn(AMD)
    assert (binary.registers, binary.spilled, binary.shared) == (91, 12, 64)
    # The inner loop alone.
    assert binary.loop == {"load": 1, "exp": 1, "fma": 1, "other": 1}
    with pytest.raises(ValueError, match="says nothing of"):
        binaries.read_amdgcn("\ts_endpgm")
