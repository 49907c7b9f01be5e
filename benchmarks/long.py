"""Hold the Triton kernels to float64 on a GPU at a million positions, and beyond 2^31 numbers in a tensor.

    python benchmarks/long.py               # a few minutes; needs 110 GiB of memory on the GPU
    python benchmarks/long.py --dry-run     # tiny sizes on the CPU, in Triton's interpreter

The exact results come from `blocked_scan`: the sequence is cut into blocks of equal length, which are walked side by
side in plain PyTorch, in float64. It is compared with the loop of the reference first. In float32 the same function
stands for eager PyTorch: the errors of the kernels may be twice its errors, per channel. Errors and times are appended
as JSON lines to benchmarks/results/<GPU>/long.jsonl, and a larger error ends with status 1. A small case runs under
compute-sanitizer, where that is there and takes the device.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

if "--dry-run" in sys.argv:
    # Read when Triton is imported.
    os.environ["TRITON_INTERPRET"] = "1"

import torch
import torch.nn.functional as F
from device import Shape
from record import seconds, show, write
from torch import Tensor

from genomamba_kernels import causal_conv1d, selective_scan

Tensors = dict[str, Tensor]
SHAPES = {"2^20 positions": Shape(1, 2**20, 512, 16), "2^31 numbers": Shape(1, 2**20, 2080, 16)}
TINY_SHAPES = {"2^20 positions": Shape(1, 18, 3, 2), "2^31 numbers": Shape(1, 2, 33, 1)}
CHANNELS = 32
"""Channels whose exact results are computed at a time."""
BY_CHANNEL = ("y", "du", "ddelta", "dz")
SEQUENCES = (*BY_CHANNEL, "dB", "dC", "dx")
SANITIZED = """
import torch
from genomamba_kernels import causal_conv1d, selective_scan
torch.manual_seed(0)
x = torch.randn(2, 150, 70, device="cuda", dtype=torch.bfloat16, requires_grad=True)
maps = torch.randn(2, 150, 5, device="cuda", dtype=torch.bfloat16, requires_grad=True)
A = -torch.rand(70, 5, device="cuda")
u = causal_conv1d(x, torch.randn(70, 4, device="cuda"), activation="silu")
y, h = selective_scan(u, x, A, maps, maps, z=x, delta_softplus=True, return_final_state=True)
(y.sum() + h.sum()).backward()
torch.cuda.synchronize()
"""


def main() -> None:
    """Check every case and append one line for each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes on the CPU; writes nothing")
    options = parser.parse_args()
    options.device = "cpu" if options.dry_run else "cuda"
    if not options.dry_run and not torch.cuda.is_available():
        sys.exit("no GPU is to be seen by PyTorch; --dry-run walks through the cases on the CPU")
    check_blocked_scan(options.device)
    # With a handful of numbers all is luck: what is left to see is whether they are numbers.
    limit = 100 if options.dry_run else 1
    failed = False
    for case in options.cases:
        for record in CASES[case](options):
            if options.dry_run:
                show(case, record)
            else:
                write("long", case, device=options.device, **record)
            failed = failed or record.get("worst", 0.0) > limit
    if failed:
        sys.exit("errors above twice those of plain PyTorch: see the lines with a worst above 1")


def scan(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Forward and backward of the scan, bfloat16, both directions at 2^20 positions."""
    shapes = TINY_SHAPES if options.dry_run else SHAPES
    for name, reverse in (("2^20 positions", False), ("2^20 positions", True), ("2^31 numbers", False)):
        yield from check_scan(name, shapes[name], reverse, options.device)


def check_scan(name: str, shape: Shape, reverse: bool, device: str) -> Iterator[dict[str, Any]]:
    """Yield one record for each result of the scan and its backward."""
    inputs = long_inputs(shape, device)
    dy, dh = inputs.pop("dy"), inputs.pop("dh")
    leaves = {key: tensor.requires_grad_() for key, tensor in inputs.items()}
    ours: Tensors = {}

    def run() -> None:
        y, h = selective_scan(**leaves, delta_softplus=True, return_final_state=True, reverse=reverse, backend="triton")
        gradients = torch.autograd.grad((y, h), list(leaves.values()), (dy, dh))
        ours.update(named(y.detach(), h.detach(), leaves, gradients))

    spread = seconds(lambda: (run(), torch.cuda.synchronize() if device == "cuda" else None), repeats=1)
    error: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        over_channels = {kind: {"dB": 0.0, "dC": 0.0} for kind in (torch.float64, torch.float32)}
        for start in range(0, shape.d_inner, CHANNELS):
            at = slice(start, start + CHANNELS)
            exact, plain = (
                blocked_scan(part_of(leaves | {"dy": dy, "dh": dh}, at), kind, reverse) for kind in over_channels
            )
            for kind, results in zip(over_channels, (exact, plain), strict=True):
                for key in over_channels[kind]:
                    over_channels[kind][key] = over_channels[kind][key] + results.pop(key)
            for key, expected in exact.items():
                own = (slice(None), at) if key in BY_CHANNEL else (at,)
                mine = ours[key][0] if key in (*BY_CHANNEL, "h", "dinitial_state") else ours[key]
                error.setdefault(key, []).append(sizes(mine[own], plain[key], expected, 1 if key in BY_CHANNEL else 0))
        for key, expected in over_channels[torch.float64].items():
            error[key] = [sizes(ours[key][0], over_channels[torch.float32][key], expected, 1)]
    for key, parts in error.items():
        facts = summary(key, torch.cat(parts, dim=1), ours[key].dtype)
        yield {"what": name, "reverse": reverse} | shape._asdict() | facts | {"call_s": spread["p50_s"]}


def sizes(actual: Tensor, plain: Tensor, exact: Tensor, axis: int) -> Tensor:
    """Return, per channel, mean squares: of our error, of plain PyTorch's, and of the exact results."""
    others = tuple(i for i in range(exact.dim()) if i != axis)
    parts = (actual.double() - exact, plain.to(actual.dtype).double() - exact, exact.double())
    return torch.stack([part.square().mean(others) if others else part.square() for part in parts])


def summary(name: str, squares: Tensor, dtype: torch.dtype) -> dict[str, Any]:
    """Return the share of the error allowed that the worst channel takes, and our error over plain PyTorch's.

    The bar is that of the tests: twice the error of plain PyTorch, that of its median channel where this is more, and
    one eps of the results. Parameters and states have few numbers a channel: there all channels are taken together.
    """
    ours, plain, exact = squares.sqrt()
    allowed = 2 * torch.maximum(plain, (plain / exact).median() * exact) + torch.finfo(dtype).eps * exact
    shares = (ours / allowed).nan_to_num(nan=math.inf)
    worst = shares.max() if name in SEQUENCES else shares.square().mean().sqrt()
    ratio = (squares[0].mean() / squares[1].mean()).sqrt().item()
    return {"result": name, "worst": worst.item(), "ratio_to_plain": ratio}


def blocked_scan(inputs: Tensors, dtype: torch.dtype, reverse: bool) -> Tensors:
    """Return every result of a scan of one sequence, forward and backward, in plain PyTorch.

    Blocks of the sequence are walked side by side, from a state of 0 first; then the states between them are known, and
    they are walked again. `kernels/README.md` has the equations.

    Parameters
    ----------
    inputs : dict
        u, delta, z, dy : (length, d_inner); B, C : (length, d_state); D, delta_bias : (d_inner,);
        A, initial_state, dh : (d_inner, d_state).
    dtype : torch.dtype
        Everything is computed in it.
    """
    u, delta_raw, z, dy, B, C = (turned(inputs[key].to(dtype), reverse) for key in ("u", "delta", "z", "dy", "B", "C"))
    A, D, bias = (inputs[key].to(dtype) for key in ("A", "D", "delta_bias"))
    delta_raw = delta_raw + bias
    delta = F.softplus(delta_raw)
    length = len(u)
    steps = 2 ** math.ceil(math.log2(length) / 2)
    # Positions of delta 0 at the end change no state.
    delta_kt, x_kt, dy_kt, B_kt, C_kt = (
        F.pad(part, (0, 0, 0, -length % steps)).view(-1, steps, part.shape[1])
        for part in (delta, delta * u, dy * F.silu(z), B, C)
    )
    decay = torch.exp(delta_kt.sum(1)[:, :, None] * A)

    def advance(h: Tensor, t: int) -> Tensor:
        return torch.exp(delta_kt[:, t, :, None] * A) * h + x_kt[:, t, :, None] * B_kt[:, t, None, :]

    def retreat(carry: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor]:
        a = torch.exp(delta_kt[:, t, :, None] * A)
        g = dy_kt[:, t, :, None] * C_kt[:, t, None, :] + carry
        return g, a, a * g

    h = torch.zeros_like(decay)
    for t in range(steps):
        h = advance(h, t)
    first, end = pass_on(decay, h, inputs["initial_state"].to(dtype))
    before = [first]
    for t in range(steps):
        before.append(advance(before[t], t))

    carry = torch.zeros_like(decay)
    for t in reversed(range(steps)):
        carry = retreat(carry, t)[2]
    last, dinitial = pass_on(decay.flip(0), carry.flip(0), inputs["dh"].to(dtype))
    carry = last.flip(0)
    dA = torch.zeros_like(A)
    rows: dict[str, list[Tensor]] = {"y": [], "dB": [], "dC": [], "gB": [], "qA": []}
    for t in reversed(range(steps)):
        g, a, carry = retreat(carry, t)
        q = g * a * before[t]
        h = before.pop()
        rows["y"].append((h * C_kt[:, t, None, :]).sum(2))
        rows["dB"].append((g * x_kt[:, t, :, None]).sum(1))
        rows["dC"].append((h * dy_kt[:, t, :, None]).sum(1))
        rows["gB"].append((g * B_kt[:, t, None, :]).sum(2))
        rows["qA"].append((q * A).sum(2))
        dA += (q * delta_kt[:, t, :, None]).sum(0)
    y, dB, dC, gB, qA = (torch.stack(row[::-1], dim=1).flatten(0, 1)[:length] for row in rows.values())

    y = y + D * u
    s = torch.sigmoid(z)
    dy_before_gate = dy * s * z
    ddelta = (qA + u * gB) * torch.sigmoid(delta_raw)
    results = {
        "y": y * s * z,
        "du": delta * gB + D * dy_before_gate,
        "ddelta": ddelta,
        "dz": dy * y * (s + s * z * (1 - s)),
        "dB": dB,
        "dC": dC,
    }
    return {key: turned(tensor, reverse) for key, tensor in results.items()} | {
        "h": end,
        "dA": dA,
        "dD": (u * dy_before_gate).sum(0),
        "ddelta_bias": ddelta.sum(0),
        "dinitial_state": dinitial,
    }


def named(y: Tensor, h: Tensor, leaves: Tensors, gradients: tuple[Tensor, ...]) -> Tensors:
    """Return results by the names that `blocked_scan` gives them."""
    return {"y": y, "h": h} | {f"d{key}": tensor for key, tensor in zip(leaves, gradients, strict=True)}


def turned(x: Tensor, reverse: bool) -> Tensor:
    """Return a tensor with its positions in the order of the walk."""
    return x.flip(0) if reverse else x


def pass_on(decay: Tensor, local: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return what enters each block and what leaves the last one, where each starts from what the one before left."""
    entering = []
    for k in range(len(decay)):
        entering.append(state)
        state = decay[k] * state + local[k]
    return torch.stack(entering), state


def long_inputs(shape: Shape, device: str) -> Tensors:
    """Random inputs, one decay in two slow enough to remember a million positions, and gradients of both outputs."""
    torch.manual_seed(0)
    batch, length, d_inner, d_state = shape
    wide, narrow = (batch, length, d_inner), (batch, length, d_state)
    rates = torch.logspace(-6, 0, d_inner * d_state, device=device).view(d_inner, d_state)
    sequences = {key: narrow if key in ("B", "C") else wide for key in ("u", "delta", "B", "C", "z", "dy")}
    inputs = {key: torch.randn(size, device=device, dtype=torch.bfloat16) for key, size in sequences.items()}
    inputs |= {"A": -rates, "D": torch.randn(d_inner, device=device), "delta_bias": torch.randn(d_inner, device=device)}
    return inputs | {key: torch.randn(batch, d_inner, d_state, device=device) for key in ("initial_state", "dh")}


def part_of(inputs: Tensors, at: slice) -> Tensors:
    """Return some channels of the inputs, without the batch of 1."""
    part = {}
    for key, tensor in inputs.items():
        one = tensor if key in ("A", "D", "delta_bias") else tensor[0]
        wide = key in ("u", "delta", "z", "dy")
        part[key] = one if key in ("B", "C") else one[:, at] if wide else one[at]
    return part


def check_blocked_scan(device: str) -> None:
    """Compare `blocked_scan` in float64 with the loop of the reference; AssertionError where they differ."""
    for reverse in (False, True):
        inputs = {key: x.double() for key, x in long_inputs(Shape(1, 39, 3, 2), device).items()}
        part = part_of(inputs, slice(None))
        seeds = inputs.pop("dy"), inputs.pop("dh")
        leaves = {key: x.requires_grad_() for key, x in inputs.items()}
        outputs = selective_scan(
            **leaves, delta_softplus=True, return_final_state=True, reverse=reverse, backend="reference"
        )
        gradients = torch.autograd.grad(outputs, list(leaves.values()), seeds)
        expected = named(*outputs, leaves, gradients)
        for key, ours in blocked_scan(part, torch.float64, reverse).items():
            torch.testing.assert_close(ours, expected[key].view(ours.shape), rtol=1e-10, atol=1e-10, msg=key)


def convolution(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Forward and backward of the convolution beyond 2^31 numbers."""
    shape = (TINY_SHAPES if options.dry_run else SHAPES)["2^31 numbers"]
    torch.manual_seed(0)
    x, dy = torch.randn(2, *shape[:3], device=options.device, dtype=torch.bfloat16)
    weight, bias = (
        torch.randn(shape.d_inner, 4, device=options.device),
        torch.randn(shape.d_inner, device=options.device),
    )
    leaves = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    y = causal_conv1d(*leaves, activation="silu", backend="triton")
    ours = [y.detach(), *torch.autograd.grad(y, leaves, dy)]
    parts: list[list[Tensor]] = [[], [], [], []]
    for start in range(0, shape.d_inner, CHANNELS):
        at = slice(start, start + CHANNELS)
        results = []
        for kind in (torch.float64, torch.float32):
            part = [x[..., at], weight[at], bias[at]]
            own = [tensor.detach().to(kind).requires_grad_() for tensor in part]
            expected = causal_conv1d(*own, activation="silu", backend="reference")
            results.append([expected.detach(), *torch.autograd.grad(expected, own, dy[..., at].to(kind))])
        for i, (mine, exact, plain) in enumerate(zip(ours, *results, strict=True)):
            mine, axis = (mine[..., at], 2) if mine.dim() == 3 else (mine[at], 0)
            parts[i].append(sizes(mine, plain, exact, axis))
    for name, part in zip(("y", "dx", "dweight", "dbias"), parts, strict=True):
        facts = summary(name, torch.cat(part, dim=1), torch.bfloat16 if name in ("y", "dx") else torch.float32)
        yield {"what": "2^31 numbers", "batch": 1, "length": shape.length, "d_inner": shape.d_inner} | facts


def sanitizer(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A small case under compute-sanitizer, which finds what is read or written out of bounds."""
    tool = shutil.which("compute-sanitizer")
    if options.dry_run or tool is None:
        yield {"skipped": "compute-sanitizer is not on the PATH" if tool is None else "a dry run"}
        return
    # PyTorch's own allocator would put neighbours where out of bounds is.
    environment = os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    for check in ("memcheck", "racecheck"):
        command = [tool, "--tool", check, "--error-exitcode", "86", sys.executable, "-c", SANITIZED]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        said = (done.stdout + done.stderr).strip().splitlines()
        if any("Device not supported" in line for line in said):
            yield {"tool": check, "skipped": "compute-sanitizer does not take this device"}
        else:
            yield {"tool": check, "status": done.returncode, "worst": float(done.returncode), "says": said[-1:]}


CASES = {"scan": scan, "convolution": convolution, "sanitizer": sanitizer}

if __name__ == "__main__":
    main()
