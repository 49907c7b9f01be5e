"""Peak memory of forward and backward, of the fused mixer beside the ordinary modules.

    python benchmarks/memory.py                                   # a bidirectional mixer, 65,536 and 262,144 positions
    python benchmarks/memory.py --lengths 1048576 --who fused     # the figure of a million
    python benchmarks/memory.py --device cuda --lengths 1048576
    python benchmarks/memory.py --steps tiny small                # training steps with --recompute and without

Every measurement is a process of its own, in which freed memory goes back to the system at once. The workspace is the
peak less what stood before, the output, and the gradient of the input: input, output and their gradients do not count.
Numbers are checked first. Results are appended as JSON lines to benchmarks/results/<machine>/memory.jsonl.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from record import child, seconds, write

from genomamba.config import PRESETS, ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.mixer import BidirectionalMixer
from genomamba.model.process import keep_freed_memory, set_threads

MIB = 2**20
WHO = {"fused": True, "modules": False}


def main() -> None:
    """Run the cases that were asked for, each in a process of its own, and append one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", nargs="+", type=int, default=[65_536, 262_144], help="positions")
    parser.add_argument("--d-model", type=int, default=256)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--who", nargs="+", choices=WHO, default=list(WHO))
    parser.add_argument("--steps", nargs="+", choices=PRESETS, help="time training steps of these instead")
    parser.add_argument("--repeats", type=int, default=5, help="timed steps, in turns (default: 5)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps((time_steps if "preset" in options.case else measure)(**options.case)))
        return
    if not is_exact():
        sys.exit("the fused mixer disagrees with the modules in float64; nothing is measured")
    if options.steps:
        for preset in options.steps:
            case = {"preset": preset, "dtype": options.dtype, "threads": options.threads}
            write("memory", f"step-{preset}", **case, **child(__file__, case | {"repeats": options.repeats}))
        return
    for who in options.who:
        measured: dict[int, float] = {}
        for length in sorted(options.lengths):
            if not fits(length, measured, options.device):
                print(f"{who} at {length:,} positions would not fit", file=sys.stderr)
                break
            measured[length] = mixer(who, length, options)


def is_exact() -> bool:
    """Compare output and gradients of both in float64 over several segments."""
    torch.manual_seed(0)
    module = BidirectionalMixer(ModelConfig(d_model=24, direction="bidirectional")).double()
    x = torch.randn(1, 70_000, 24, dtype=torch.float64, requires_grad=True)
    results = []
    for recompute in WHO.values():
        set_recompute(module, recompute)
        y = module(x)
        results.append([y, *torch.autograd.grad(y.square().sum(), [x, *module.parameters()])])
    return all(torch.allclose(a, b, rtol=1e-8, atol=1e-8) for a, b in zip(*results, strict=True))


def mixer(who: str, length: int, options: argparse.Namespace) -> float:
    """Measure a bidirectional mixer in another process, write the line, and return its workspace."""
    given = {name: getattr(options, name) for name in ("d_model", "dtype", "device", "threads")}
    case = {"who": who, "length": length} | given
    result = child(__file__, case)
    write("memory", f"mixer-L{length}", **case, **result)
    return result["workspace_mib"]


def fits(length: int, measured: dict[int, float], device: str) -> bool:
    """Whether a length fits, by the workspace of the longest one before it."""
    if not measured:
        return True
    if device == "cuda":
        free = torch.cuda.mem_get_info()[0]
    else:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    longest = max(measured)
    return measured[longest] * length / longest * MIB < 0.8 * free


def measure(*, who: str, length: int, d_model: int, dtype: str, device: str, threads: int) -> dict[str, float]:
    """Run forward and backward once and return the workspace, what it is held against, and the seconds."""
    set_threads(threads)
    return_freed_memory()
    torch.manual_seed(0)
    module = BidirectionalMixer(ModelConfig(d_model=d_model, direction="bidirectional")).to(device)
    set_recompute(module, WHO[who])

    def tensors(length: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, dy = (torch.randn(1, length, d_model, dtype=getattr(torch, dtype), device=device) for _ in range(2))
        return x.requires_grad_(), dy

    def forward_and_backward(x: torch.Tensor, dy: torch.Tensor) -> float:
        start = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            y = module(x)
        y.backward(dy)
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    # Kernels are loaded, and the gradients of the weights have their memory.
    forward_and_backward(*tensors(4_096))
    x, dy = tensors(length)
    before = memory(device)
    elapsed = forward_and_backward(x, dy)
    a_sequence = x.numel() * x.element_size()
    workspace = peak(device) - before - 2 * a_sequence
    return {
        "workspace_mib": workspace / MIB,
        "input_and_output_mib": 2 * a_sequence / MIB,
        "ratio": workspace / (2 * a_sequence),
        "seconds": elapsed,
    }


def memory(device: str) -> int:
    """Bytes in use now, from where on the peak is counted."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    # Compiling the kernels may have taken more than the case will: Linux forgets the peak where it reads a 5.
    Path("/proc/self/clear_refs").write_text("5")
    return _from_status("VmRSS")


def peak(device: str) -> int:
    """Most bytes in use since `memory` was called."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else _from_status("VmHWM")


def _from_status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def return_freed_memory() -> None:
    """Have glibc hand blocks of 1 MiB and more back to the system when they are freed."""
    if platform.libc_ver()[0] == "glibc":
        # M_MMAP_THRESHOLD of <malloc.h>.
        ctypes.CDLL(None).mallopt(-3, MIB)


def time_steps(*, preset: str, dtype: str, threads: int, repeats: int) -> dict[str, float]:
    """Time forward and backward of a causal network over 8 windows of 1,024, recomputing or not, in turns."""
    set_threads(threads)
    keep_freed_memory()
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(**PRESETS[preset]))
    tokens = torch.randint(7, 11, (8, 1_025))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            logits = model(tokens[:, :-1])
        F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten()).backward()
        model.zero_grad(set_to_none=True)

    best = dict.fromkeys(WHO, float("inf"))
    for _ in range(repeats):
        for who, recompute in WHO.items():
            model.set_recompute(recompute)
            best[who] = min(best[who], seconds(step, repeats=1)["best_s"])
    return {"fused_s": best["fused"], "modules_s": best["modules"], "ratio": best["fused"] / best["modules"]}


def set_recompute(module: BidirectionalMixer, recompute: bool) -> None:
    """Set both directions."""
    for direction in (module.mamba_fwd, module.mamba_rev):
        direction.recompute = recompute


if __name__ == "__main__":
    main()
