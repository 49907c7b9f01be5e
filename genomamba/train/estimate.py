"""What a step costs, in time and memory, before the first one: a part of a batch is run, and the rest is reckoned.

Time goes with the tokens, for the scan does. Memory that goes with them is counted tensor by tensor below; what does
not (the interpreter, compiled kernels, segments of the fused mixer, pieces of the head) is in the measured part. The
count is checked against measured peaks in `benchmarks/context.py`. Where a GPU trains, memory is that of the GPU: what
its tensors take at most, and what of it is free.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch

from genomamba.config import ModelConfig
from genomamba.errors import RunError
from genomamba.model import count_parameters
from genomamba.model.process import has_glibc, peak_memory_mib, synchronize
from genomamba.train.objective import Batch, make_collate
from genomamba.train.plan import Cost, Plan, gives_back
from genomamba.train.stages import Stage
from genomamba.train.step import backward, losses_of

__all__ = ["bytes_per_token", "check_fits", "free_memory_mib", "measure", "memory_told"]

MEASURED_TOKENS: Final = 32_768
"""Batches of more are run in part."""
FEWEST_MEASURED, MEASURED_WORK = 2_048, 1 << 34
"""Of large models less is run, as many tokens as make so much work with their parameters, but so many at least."""
MEASURED_ON_GPU: Final = 1 << 18
"""Tokens that fill a GPU, and all pieces in which it works; fewer where these would take half of its free memory."""
SPREAD: Final = 1.65
"""Where freed memory is kept, small blocks come to lie where large ones would fit, and a process grows for some steps
to so many times what a step needs; 1.4 to 1.9 times, measured over `tiny`, `small` and `base`."""
MIB: Final = 2**20
# Of control groups of version 2 and 1: the limit of a container, and what it has taken.
_LIMITS: Final = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def measure(plan: Plan) -> Cost:
    """Run a batch, or a part of it, forward and backward twice, then forward twice, and time the second of each.

    What the first compiles and allocates is no part of the time. Weights and generators stay as they are.
    """
    ranks, last = plan.ranks, plan.stages.last
    if plan.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(plan.device)
    batch, tokens = _part(plan, last), plan.own_tokens(last)
    states, needed = plan.new_lanes(), 0.0
    spread = _spread(plan, plan.own_tokens(plan.stages.largest), plan.recomputed_layers)
    before = _resident_mib() if spread > 1 else 0.0
    for _ in range(2):
        start = time.perf_counter()
        own = None if states is None else states.select(range(batch.inputs.shape[0]))
        backward(plan.model, batch, batch.inputs.shape[0], plan.precision, states=own, ranks=ranks)
        ranks.sum_gradients(plan.model)
        synchronize(plan.device)
        step_s = time.perf_counter() - start
        plan.model.zero_grad(set_to_none=True)
        if spread > 1 and not needed:
            needed = _resident_mib() - before
    for _ in range(2):
        start = time.perf_counter()
        losses_of(plan.model, batch.inputs, batch.targets)
        synchronize(plan.device)
        forward_s = time.perf_counter() - start
    share = tokens / batch.inputs.numel()
    beyond = max(0, plan.own_tokens(plan.stages.largest) - batch.inputs.numel())
    reckoned = beyond * bytes_per_token(plan.model.config, plan.precision, plan.recomputed_layers) / MIB
    memory = peak_memory_mib(plan.device) + reckoned
    if spread > 1:
        memory = max(memory, before + spread * (needed + reckoned))
    # AdamW's two moments come with the first real step.
    memory += 8 * count_parameters(plan.model) / MIB
    costs = ranks.gather(step_s * share * plan.stages.accumulate, forward_s * share, memory)
    step_s, forward_s, memory = (max(values) for values in zip(*costs, strict=True))
    return Cost(step_s, forward_s, memory, beyond == 0)


def _part(plan: Plan, stage: Stage) -> Batch:
    """Return the first windows of a turn as they are, or as much of them as is measured."""
    first = plan.stages.sample_borders()[-1]
    collate = make_collate(plan.config.objective, plan.model.config.alphabet, plan.config.seed)
    # As many on every rank, whose parts of a window are to fit together.
    tokens = int(min(own for (own,) in plan.ranks.gather(_measured_tokens(plan))))
    part = stage.context // plan.ranks.context
    rows = min(plan.own_windows(stage), max(1, tokens // part))
    length = min(part, tokens)
    whole = collate([plan.stream[i] for i in range(first, first + rows)])
    inputs, targets, weights = (x[:, :length] for x in (whole.inputs, whole.targets, whole.weights))
    return Batch(whole.first, inputs, targets, weights, whole.begins).to(plan.device)


def _measured_tokens(plan: Plan) -> int:
    """Return how many tokens of a batch are run at most."""
    if plan.device.type == "cpu":
        return min(MEASURED_TOKENS, max(FEWEST_MEASURED, MEASURED_WORK // count_parameters(plan.model)))
    free = (free_memory_mib(plan.device) or 0) * MIB
    each = bytes_per_token(plan.model.config, plan.precision, plan.recomputed_layers)
    return min(MEASURED_ON_GPU, max(1, int(free / 2 / each)))


def bytes_per_token(config: ModelConfig, precision: torch.dtype, recomputed_layers: int) -> float:
    """Return by how many bytes the peak of a step grows with every token of a batch.

    Parameters
    ----------
    config : ModelConfig
    precision : torch.dtype
        Of the matrix products.
    recomputed_layers : int
        Layers of which one input is kept; 0 where everything is.
    """
    stream, product = 4 * config.d_model, precision.itemsize * config.d_model
    strands = 2 if config.equivariant else 1
    # Inputs, targets and weights of the loss; of both strands, their tokens.
    tokens = 8 + 8 + 4 + (8 * 3 if config.equivariant else 0)
    if recomputed_layers:
        groups = -(-config.num_layers // recomputed_layers)
        inner = recomputed_layers if recomputed_layers > 1 else 0
        # The last residual stream, which becomes its gradient; the gradient of a layer's norm; what the mixer reads.
        held = (groups + inner + 2) * stream + product
        if config.direction == "bidirectional":
            held += product
        return tokens + strands * held
    return tokens + strands * (config.num_layers * _kept_by_a_layer(config, precision) + 2 * stream + 3 * product)


def _kept_by_a_layer(config: ModelConfig, precision: torch.dtype) -> float:
    """Bytes a token that an ordinary block keeps for backward."""
    number, d_inner = precision.itemsize, config.d_inner
    directions = 2 if config.direction == "bidirectional" else 1
    projected = 1 if config.tie_directions else directions
    # The norm keeps x and x over its root mean square; in bfloat16 the mixer keeps a copy.
    norm = 8 * config.d_model + 4 + (number * config.d_model if number < 4 else 0)
    # Input and gate; of each direction, what convolution, step and scan give, and the small projections twice.
    small = config.resolved_dt_rank + 4 * config.d_state
    inside = number * (3 * d_inner + small) + 4 * d_inner * config.d_state / 64
    summed = number * d_inner if directions == 2 and config.tie_directions else 0
    return norm + projected * 2 * number * d_inner + directions * inside + summed


def free_memory_mib(device: torch.device | None = None) -> float | None:
    """Return the memory that this process can still take, in MiB: the machine's, or its control group's where less.

    Of a GPU, what nobody has taken. None where the system does not say.
    """
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / MIB
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    free = [int(lines["MemAvailable"].split()[0]) / 1024]
    for limit, used in _LIMITS:
        group = Path("/sys/fs/cgroup")
        if (group / limit).exists() and (text := (group / limit).read_text().strip()).isdecimal():
            free.append((int(text) - int((group / used).read_text())) / MIB)
    return max(0.0, min(free))


def check_fits(plan: Plan, cost: Cost, free_mib: float | None) -> None:
    """Raise `RunError` where a step takes more memory than there is; the message says what would fit.

    Parameters
    ----------
    plan : Plan
    cost : Cost
        As `measure` gives it.
    free_mib : float or None
        What the process may take beyond what it has, as of `free_memory_mib`; None checks nothing.
    """
    if free_mib is None:
        return
    # The processes of a machine have its memory together, and a GPU each.
    sharing = plan.ranks.local_size if plan.device.type == "cpu" else 1
    room, largest = _held_mib(plan.device) + free_mib / sharing, plan.stages.largest
    if cost.memory_mib <= room:
        return
    advice, needed = _what_fits(plan, cost, room)
    raise RunError(
        f"a step over {plan.own_windows(largest)} x {largest.context // plan.ranks.context:,} bases takes about "
        f"{cost.memory_mib / 1024:,.2f} GiB of {_whose(plan)}memory, and there are {room / 1024:,.2f} GiB; {advice} "
        f"would take {needed / 1024:,.2f} GiB{_more_ranks(plan, cost, room)}"
    )


@contextmanager
def memory_told(plan: Plan) -> Iterator[None]:
    """Where a GPU's memory runs out, say so in one line, and what takes less of it."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        largest = plan.stages.largest
        raise RunError(
            f"{plan.device}: its memory ran out over {largest.windows} x {largest.context:,} bases; give a smaller "
            "--batch-size, or --recompute, with which a run that has begun goes on by --resume"
        ) from error


def _whose(plan: Plan) -> str:
    return f"{plan.device}'s " if plan.device.type == "cuda" else ""


def _what_fits(plan: Plan, cost: Cost, room_mib: float) -> tuple[str, float]:
    """Return the fewest changes of options after which a step fits, and the memory it then takes."""
    config, largest = plan.model.config, plan.stages.largest
    ranks = plan.ranks
    now = _grown(plan, plan.own_tokens(largest), plan.recomputed_layers)

    def needed(tokens: int, layers: int) -> float:
        return cost.memory_mib - now + _grown(plan, tokens // ranks.size, layers)

    layers, windows, context, advice = plan.recomputed_layers, largest.windows, largest.context, []
    if not layers and not config.proj_bias:
        layers = 1
        advice.append("--recompute")
    while windows > ranks.data and needed(windows * context, layers) > room_mib:
        windows -= ranks.data
    if windows < largest.windows:
        advice.append(f"--batch-size {windows}")
    while context > ranks.context and needed(windows * context, layers) > room_mib:
        context = max(ranks.context, context // 2 // ranks.context * ranks.context)
    if context < largest.context:
        advice.append(f"--context {context}")
    return " ".join(advice), needed(windows * context, layers)


def _more_ranks(plan: Plan, cost: Cost, room_mib: float) -> str:
    """Say over how many context ranks, each with as much memory, the step would fit; empty where it never would."""
    ranks, tokens = plan.ranks, plan.own_tokens(plan.stages.largest)
    fixed, context = cost.memory_mib - _grown(plan, tokens, plan.recomputed_layers), ranks.context
    most = plan.stages.largest.context // max(1, plan.model.config.d_conv - 1)
    while fixed + _grown(plan, tokens * ranks.context // context, plan.recomputed_layers) > room_mib:
        context *= 2
        if context > most or plan.stages.largest.context % context:
            return ""
    if plan.config.carry_state or context == ranks.context:
        return ""
    return f"; so would --parallel data={ranks.data},context={context}, each process on a machine or GPU of its own"


def _grown(plan: Plan, tokens: int, layers: int) -> float:
    """Return what grows with the tokens of a batch, in MiB."""
    return _spread(plan, tokens, layers) * tokens * bytes_per_token(plan.model.config, plan.precision, layers) / MIB


def _spread(plan: Plan, tokens: int, layers: int) -> float:
    """Return over how much memory a step spreads, as a multiple of what it needs."""
    given_back = gives_back(tokens, plan.model.config, recompute=layers > 0)
    return SPREAD if plan.device.type == "cpu" and has_glibc() and given_back is None else 1.0


def _held_mib(device: torch.device) -> float:
    """Return the memory that the process has: of a GPU, all that torch has taken of it, used or not."""
    return torch.cuda.memory_reserved(device) / MIB if device.type == "cuda" else _resident_mib()


def _resident_mib() -> float:
    statm = Path("/proc/self/statm").read_text().split()
    return int(statm[1]) * os.sysconf("SC_PAGE_SIZE") / MIB
