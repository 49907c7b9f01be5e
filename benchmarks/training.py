"""Steps of training on a GPU, the cases of `gpu.py` that run a whole network, and the check that comes before them.

As its other cases, everything runs on a CPU too, at tiny sizes in Triton's interpreter.
"""

import argparse
import contextlib
import functools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from genomamba.alphabet import get_alphabet
from genomamba.config import PRESETS, ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.process import synchronize
from genomamba.train.objective import Batch
from genomamba.train.optimizer import make_optimizer
from genomamba.train.step import backward
from genomamba_kernels import _checks

Record = dict[str, Any]
ASKED_TOKENS_PER_S, ASKED_S, ASKED_GIB = 8e6, 4.0, 40.0
"""Of a step of the recipe; of a step over a million bases, seconds and memory."""
MASKED = 0.15


class Check(NamedTuple):
    """A step whose loss and gradients are compared with those of float64 in plain PyTorch on the CPU."""

    direction: str
    equivariant: bool
    recompute: bool
    precision: torch.dtype


CHECKS = (
    Check("causal", False, False, torch.float32),
    Check("bidirectional", False, True, torch.float32),
    Check("bidirectional", True, False, torch.bfloat16),
    Check("bidirectional", False, True, torch.bfloat16),
)
TOLERANCES = {torch.float32: 2e-5, torch.bfloat16: 5e-2}
"""Of a gradient, as a share of its norm; of the loss, as a share of it. The CPU kernels are off by 1e-6 and 1.3e-2."""


@contextlib.contextmanager
def kernels(backend: str) -> Iterator[None]:
    """Have every operator of the network run by one backend, whatever the device."""
    chosen = _checks.resolve_backend
    _checks.resolve_backend = lambda *_: backend
    try:
        yield
    finally:
        _checks.resolve_backend = chosen


def wrong_step(device: str, backend: str = "triton") -> str:
    """Return the first number of a training step that is too far from float64's, and how far, or ""."""
    tiny = device == "cpu" and backend == "triton"
    shape = {"d_model": 4, "d_state": 2, "num_layers": 1} if tiny else {"d_model": 128, "num_layers": 2}
    for check in CHECKS:
        torch.manual_seed(0)
        config = ModelConfig(direction=check.direction, equivariant=check.equivariant, **shape)  # type: ignore[arg-type]
        model = LanguageModel(config)
        batch = masked_batch(2, 4 if tiny else 148, "cpu")
        with kernels("reference"):
            exact = numbers(model.double(), batch, torch.float64)
        model = model.float().to(device)
        model.set_recompute(check.recompute)
        with kernels(backend):
            ours = numbers(model, batch.to(torch.device(device)), check.precision)
        for name, expected in exact.items():
            error = ((ours[name].double().cpu() - expected).norm() / expected.norm()).item()
            if not error <= TOLERANCES[check.precision]:
                return f"{name} of {check}: off by {error:.1e} of its size"
    return ""


def numbers(model: LanguageModel, batch: Batch, precision: torch.dtype) -> dict[str, Tensor]:
    """Return the loss of a step and the gradient of every weight."""
    model.zero_grad(set_to_none=True)
    loss, _ = backward(model, batch, 1, precision)
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return {"loss": loss} | gradients


def masked_batch(windows: int, context: int, device: str) -> Batch:
    """Return windows of random bases, 15 in 100 of them masked."""
    alphabet = get_alphabet("dna")
    bases = torch.tensor(alphabet.targets, device=device)
    targets = bases[torch.randint(len(bases), (windows, context), device=device)]
    chosen = torch.rand(windows, context, device=device) < MASKED
    # Of a few bases none might be; and of the last alone in either direction there is nothing to scan.
    chosen[:, [0, -1]] = True
    inputs = targets.masked_fill(chosen, alphabet.mask)
    return Batch(0, inputs, targets, chosen.float(), torch.ones(windows, dtype=torch.bool, device=device))


def recipe(options: argparse.Namespace, ceilings: Any) -> list[Record]:
    """Steps of `small`, masked, both directions, over 2^20 tokens in windows of 1,024; at once, and in four parts."""
    windows, context = (2, 3) if options.dry_run else (1_024, 1_024)
    records = []
    for at_once in (windows, max(1, windows // 4)):
        record = timed_steps("small", windows, context, at_once, 0, options, most=20)
        records.append(record | {"asked_tokens_per_s": ASKED_TOKENS_PER_S})
    return records


def million(options: argparse.Namespace, ceilings: Any) -> list[Record]:
    """A step of `base`, masked, both directions, over one window of 2^20 bases, with every layer computed again."""
    record = timed_steps("base", 1, 3 if options.dry_run else 2**20, 1, 1, options, most=3)
    return [record | {"asked_s": ASKED_S, "asked_gib": ASKED_GIB}]


def timed_steps(
    preset: str, windows: int, context: int, at_once: int, layers: int, options: argparse.Namespace, *, most: int
) -> Record:
    """Time whole steps one after another as training makes them: forward, backward, clipping and AdamW, in bfloat16.

    The batch lies on the device already. `host_s` is what the host takes to start a step: where it is near `step_s`,
    the GPU waits for it.
    """
    torch.manual_seed(0)
    device = torch.device(options.device)
    size = {"num_layers": 1, "d_model": 4, "d_state": 2} if options.dry_run else PRESETS[preset]  # type: ignore[index]
    model = LanguageModel(ModelConfig(direction="bidirectional", **size)).to(device)
    model.set_recompute(layers > 0, max(1, layers))
    optimizer = make_optimizer(model, 0.1)
    batch = masked_batch(windows, context, options.device)

    def step() -> None:
        backward(model, batch, at_once, torch.bfloat16)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    repeats = min(options.repeats, most)
    with kernels("triton"):
        first_s, _ = _wall(step, device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        whole_s, host_s = _wall(functools.partial(_repeat, step, repeats), device)
    record: Record = {
        "preset": preset, "direction": "bidirectional", "windows": windows, "context": context, "at_once": at_once,
        "recompute_layers": layers, "dtype": "bfloat16", "repeats": repeats, "first_step_s": first_s,
        "step_s": whole_s / repeats, "host_s": host_s / repeats,
        "tokens_per_s": windows * context * repeats / whole_s,
    }  # fmt: skip
    if device.type == "cuda":
        record["peak_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
        record["peak_reserved_gib"] = torch.cuda.max_memory_reserved(device) / 2**30
    return record


def _repeat(call: Any, times: int) -> None:
    for _ in range(times):
        call()


def _wall(call: Any, device: torch.device) -> tuple[float, float]:
    """Return the seconds until a call is done on the device, and until the host is done with it."""
    synchronize(device)
    start = time.perf_counter()
    call()
    host_s = time.perf_counter() - start
    synchronize(device)
    return time.perf_counter() - start, host_s
