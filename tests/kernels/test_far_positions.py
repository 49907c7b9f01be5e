"""The Triton kernels of the scan find rows that lie beyond 2^31 numbers; no GPU is needed, nor the memory."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

SCAN = """
import mmap
import sys
import numpy as np
import torch
from genomamba_kernels._sequences import Sequences
from genomamba_kernels.scan import triton_launch, triton_plan
from genomamba_kernels.scan.arguments import ScanArguments

triton_plan.SHORTEST_CHUNK = triton_plan.LONGEST_CHUNK = 4
LENGTH, WIDTH, FAR = 10, 4, 2**29 + 1
NO_RESERVE = 0x4000
empty_like, memories = torch.empty_like, {}

def far(rows):
    # All that lies before the rows is asked for, and never touched: no memory stands behind it.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE
    memory = torch.frombuffer(mmap.mmap(-1, 4 * WIDTH * (FAR + LENGTH), flags), dtype=torch.float32)
    memory[FAR * WIDTH :] = rows.flatten()
    first = memory[: LENGTH * WIDTH].view(1, LENGTH, WIDTH)
    memories[first.data_ptr()] = memory
    return first

def rows(tensor):
    memory = memories.get(tensor.data_ptr())
    return tensor if memory is None else memory[FAR * WIDTH :].view(1, LENGTH, WIDTH)

def run(u, delta, B, C, z, dy):
    reverse = sys.argv[1] == "True"
    a = ScanArguments(u, delta, A, B, C, D, z, D, None, torch.tensor([0, LENGTH]), True, reverse)
    y, state, borders = triton_launch.forward(a, True)
    return [rows(x).clone() for x in (y, state, *triton_launch.backward(a, dy, None, borders))]

torch.manual_seed(0)
sequences = torch.randn(6, 1, LENGTH, WIDTH)
A, D = -torch.rand(WIDTH, WIDTH), torch.randn(WIDTH)
expected = run(*sequences)
ScanArguments.sequences = lambda self: Sequences(np.array([FAR, FAR + LENGTH]))
torch.empty_like = lambda x: far(torch.full_like(x, float("nan")))
found = run(*map(far, sequences))
assert all(map(torch.equal, found, expected))
assert len(memories) == 6 + 1 + 5
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory without reserve is asked for as Linux has it")
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_scan_of_triton_reaches_rows_beyond_2_to_the_31_numbers(reverse):
    # A process of its own: an offset of 32 bits would end it.
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", SCAN, str(reverse)]
    done = subprocess.run(command, env=environment, timeout=300, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
