"""Timing on a GPU, what the GPU could do at best, and the inputs of the cases that are timed there.

Everything runs on a CPU too, at tiny sizes in Triton's interpreter, so that the benchmarks themselves are tested
where there is no GPU. What it then says of time means nothing.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from record import quantiles, seconds
from torch import Tensor

FILLER_BYTES = 2**28
"""Several times the largest cache of a GPU."""
UNROLLED = 16


class Shape(NamedTuple):
    """Sizes of a selective scan."""

    batch: int
    length: int
    d_inner: int
    d_state: int


class Ceilings(NamedTuple):
    """What the device does at best."""

    bytes_per_s: float
    """Read and written by a copy."""
    exponentials_per_s: float


def device_seconds(call: Callable[[], object], device: str, *, repeats: int) -> dict[str, float]:
    """Time a call on the device by events, from the first kernel to the last: p50, p20 and p80 in seconds.

    Before each call the GPU is given work that lasts longer than the host takes to start the call, and that empties
    its caches, so that what is timed is the GPU alone. `host_s` is what the host takes to start it.
    """
    if device == "cpu":
        return seconds(call, repeats=repeats, warmup=1) | {"host_s": 0.0}
    filler = torch.empty(FILLER_BYTES, dtype=torch.int8, device=device)
    call()
    torch.cuda.synchronize()
    host_s = min(_host_seconds(call) for _ in range(3))
    fill_s = min(_host_seconds(lambda: (filler.zero_(), torch.cuda.synchronize())) for _ in range(3))
    fills = 2 + int(2 * host_s / fill_s)
    events = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        for _ in range(fills):
            filler.zero_()
        start.record()
        call()
        end.record()
        events.append((start, end))
        # The queue of the GPU is finite: with many calls in it the host would have to wait.
        torch.cuda.synchronize()
    return quantiles([start.elapsed_time(end) / 1000 for start, end in events]) | {"host_s": host_s}


def _host_seconds(call: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@triton.jit
def _exponentials(y_ptr, turns, UNROLL: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Raise 2 to minus the last result, again and again: a chain for each number, several numbers a lane."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = i.to(tl.float32) * 1e-9
    for _ in range(turns):
        for _ in tl.static_range(UNROLL):
            x = tl.exp2(-x)
    tl.store(y_ptr + i, x)


@triton.jit
def _copy(x_ptr, y_ptr, size, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.load(x_ptr + i, mask=i < size), mask=i < size)


def measure_ceilings(device: str, *, repeats: int) -> tuple[Ceilings, list[dict[str, Any]]]:
    """Return the rates of copies and exponentials, and a record of each measurement."""
    gpu = device == "cuda"
    size = 2**30 if gpu else 2**12
    x, y = torch.ones(2, size, device=device)
    block = 4096
    copies: dict[str, Callable[[], object]] = {
        "copy of PyTorch": lambda: y.copy_(x),
        "copy by Triton": lambda: _copy[(triton.cdiv(size, block),)](x, y, size, BLOCK=block, num_warps=8),
    }
    records = []
    for name, copy in copies.items():
        spread = device_seconds(copy, device, repeats=repeats)
        records.append({"what": name, **spread, "bytes_per_s": 2 * x.nbytes / spread["p50_s"]})

    programs, turns, block = (2**14, 256, 1024) if gpu else (2, 2, 64)

    def exponentials() -> None:
        _exponentials[(programs,)](y, turns, UNROLL=UNROLLED, BLOCK=block, num_warps=4)

    spread = device_seconds(exponentials, device, repeats=repeats)
    rate = programs * block * turns * UNROLLED / spread["p50_s"]
    records.append({"what": "2^x by Triton", **spread, "exponentials_per_s": rate})
    best = max(record["bytes_per_s"] for record in records[:-1])
    return Ceilings(best, rate), records


def scan_inputs(shape: Shape, device: str) -> dict[str, Tensor]:
    """Return random inputs as a Mamba block has them: bfloat16, with skip, gate and bias, delta before softplus."""
    torch.manual_seed(0)
    batch, length, d_inner, d_state = shape

    def random(*sizes: int) -> Tensor:
        return torch.randn(*sizes, device=device, dtype=torch.bfloat16)

    return {
        "u": random(batch, length, d_inner),
        "delta": random(batch, length, d_inner),
        "A": -torch.arange(1, d_state + 1, device=device).float().repeat(d_inner, 1),
        "B": random(batch, length, d_state),
        "C": random(batch, length, d_state),
        "D": torch.randn(d_inner, device=device),
        "z": random(batch, length, d_inner),
        "delta_bias": torch.randn(d_inner, device=device) - 4,
    }


def scan_floor(shape: Shape, passes: str, ceilings: Ceilings) -> dict[str, Any]:
    """Return the bytes and exponentials that a pass in bfloat16 cannot do without, and the time they take at best.

    An update of a state takes one exponential forward and two backward; every tensor of a sequence is read or
    written once. In backward u, delta, z and the gradient of y are read, and three gradients written.
    """
    positions = shape.batch * shape.length
    rows, maps, exponentials = 4, 2, 1
    if passes == "forward and backward":
        rows, maps, exponentials = 4 + 7, 2 + 4, 1 + 2
    moved = 2 * positions * (rows * shape.d_inner + maps * shape.d_state)
    count = exponentials * positions * shape.d_inner * shape.d_state
    times = {"bytes": moved / ceilings.bytes_per_s, "exponentials": count / ceilings.exponentials_per_s}
    bound = max(times, key=lambda name: times[name])
    return {"bytes": moved, "exponentials": count, "floor_s": times[bound], "floor_is": bound}


def training_step(function: Callable[..., Tensor], inputs: dict[str, Tensor], dy: Tensor) -> Callable[[], object]:
    """Return a call that runs a function and its backward, with the gradient of every input."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in inputs.items()}

    def step() -> object:
        return torch.autograd.grad(function(**leaves), list(leaves.values()), dy)

    return step
