"""What LLVM makes of the CPU kernels for processors other than this one, and that these give the same bits."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

SCAN = """
import sys
import torch
from genomamba_kernels import causal_conv1d, selective_scan
torch.manual_seed(0)
for dtype in (torch.float32, torch.bfloat16):
    u, delta, z = (torch.randn(2, 150, 40).to(dtype) for _ in range(3))
    B, C = (torch.randn(2, 150, 5).to(dtype) for _ in range(2))
    A, D = -torch.rand(40, 5), torch.randn(40)
    leaves = [x.requires_grad_() for x in (u, delta, A, B, C, D, z)]
    y = selective_scan(*leaves, delta_softplus=True)
    y = causal_conv1d(y, torch.randn(40, 4), activation="silu")
    for x in (y, *torch.autograd.grad(y.float().square().sum(), leaves)):
        sys.stdout.buffer.write(x.detach().float().numpy().tobytes())
"""


def test_working_loops_are_packed_and_call_nothing():
    command = [sys.executable, REPOSITORY / "benchmarks" / "vectors.py", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    loops = {(row["kernel"], row["processor"]) for row in rows}
    assert loops == {(k, p) for k in ("scan_forward", "scan_backward") for p in ("AVX-512", "AVX2", "NEON")}
    for row in rows:
        assert row["packed"] == row["fused"] > 0, "an addition does not fill its register"
        assert row["calls"] == 0
        # 32 registers hold a loop where a register is a whole vector; elsewhere a part of it is kept in memory.
        most = 1 / 10 if row["processor"] == "AVX-512" else 1 / 2
        assert row["stack"] <= most * row["instructions"], row


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numba names processors of this kind of machine alone")
def test_avx2_gives_the_bits_of_this_processor(tmp_path):
    def run(**settings):
        environment = os.environ | {"GENOMAMBA_CACHE_DIR": str(tmp_path)} | settings
        return subprocess.run([sys.executable, "-c", SCAN], env=environment, capture_output=True, check=True).stdout

    assert run(NUMBA_CPU_NAME="haswell") == run()
    assert len(run()) > 0
