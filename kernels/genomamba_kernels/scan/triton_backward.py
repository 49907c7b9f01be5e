"""Backward of the selective scan in Triton: chunks of the sequences walked side by side, some of them at a time.

What is recomputed needs memory, so chunks are taken in rounds of bounded memory, from the last chunk to the first. A
round is four passes: a walk forth over each chunk, the gradients of the states after each chunk from those, a walk back
over each chunk, and the sums over channels put together. `triton_backward_kernels` says what they do.
"""

from typing import NamedTuple

import numpy as np
import torch
import triton
from torch import Tensor

from genomamba_kernels._triton_launch import Target, launch, target_of
from genomamba_kernels.scan.arguments import ScanArguments, ScanGradients
from genomamba_kernels.scan.triton_backward_kernels import (
    add_shares_kernel,
    chain_kernel,
    trace_kernel,
    walk_back_kernel,
)
from genomamba_kernels.scan.triton_chunks import Chunks, find_chunks
from genomamba_kernels.scan.triton_plan import chunk_size
from genomamba_kernels.scan.triton_prepare import Prepared, padded_state, prepare, states_from_kernel, states_to_kernel

SCRATCH_MIB = 256
"""Memory for the chunks of a round."""
WARPS = 10
"""Programs of the walk back that a multiprocessor holds at a time."""
CHAIN_BLOCK, CHAIN_UNROLL = 64, 8
"""States of a program between the walks, and chunks whose states are loaded together."""
ADD_BLOCK, ADD_UNROLL = 512, 8
"""Sums of a program, and shares that are loaded together."""
_TRITON = tuple(int(part) for part in triton.__version__.split(".")[:2])


class BackwardPlan(NamedTuple):
    """How backward is cut: a program is one warp that walks a chunk for a block of channels."""

    block_d: int
    """Channels of a program, a power of two."""
    tile: int
    """States worked on at a time, a power of two."""
    group: int
    """Positions whose states are kept in registers."""
    lanes: int
    """Threads of a warp."""


def backward_plan(a: ScanArguments, target: Target) -> BackwardPlan:
    """Return how backward is cut."""
    padded = padded_state(a.A.shape[1])
    wide = a.A.dtype == torch.float64
    lanes = 64 if target.backend == "hip" else 32
    held = 8 if wide else 16
    block_d = lanes * held // max(padded, held)
    group, states = _turn(padded, wide, _is_full(a, 4), target)
    return BackwardPlan(block_d, min(padded, states * lanes // block_d), group, lanes)


def _turn(padded: int, wide: bool, full: bool, target: Target) -> tuple[int, int]:
    """Return the positions of a turn of the walk back, and the states that each thread works on at a time.

    As many as fit the registers of every kind of GPU under the oldest and the newest Triton (benchmarks/compiled.py):
    with more states, compilers work on several tiles at a time, and spill.
    """
    if wide:
        return 1, 2
    if target.backend == "hip":
        return (2 if full and padded <= 64 else 1), 4
    old = _TRITON < (3, 6)
    if padded == 32 and (80 < target.arch < 90 or (old and target.arch >= 90)):
        return 1, 4
    if padded > 16 and 80 <= target.arch < 90:
        # Two positions of four states take all 255 registers there, and under one Triton or the other a few more.
        return 2, 2
    # On 100 to 119 pairs of numbers are multiplied at once, and older compilers move too many to their places.
    paired = 100 <= target.arch < 120 and old
    return (4 if target.arch >= 90 and padded <= 16 and full and not paired else 2), 4


class Scratch(NamedTuple):
    """Memory of a round."""

    chunks: int
    """Chunks of a round."""
    groups: int
    """Groups of positions of a chunk."""
    traces: Tensor
    """(chunks, blocks of channels, groups, N, block_d): states before each group."""
    decays: Tensor | None
    """(chunks, N, d_inner): products of the decays of a chunk. Where every sequence is one chunk, there is no need."""
    after: Tensor | None
    """(chunks, N, d_inner): gradient of the state after a chunk."""
    shares: Tensor
    """(blocks of channels, chunks, size, 2, N): shares of dB and dC."""
    sums: Tensor
    """(chunks, N + 2, d_inner), float64: dA, dD and dbias, over the chunks that were at this place in their rounds."""


def backward(a: ScanArguments, dy: Tensor, dfinal_state: Tensor | None, borders: Tensor) -> ScanGradients:
    """Return the gradients of the tensors of `a`, whose initial state is not looked at: it is in the borders.

    Beyond the gradients, and B and C in the dtype of the state, memory is that of `Scratch`, at most 256 MiB or that
    of one chunk.
    """
    d_inner, d_state = a.A.shape
    sequences = a.sequences()
    size = chunk_size(a)
    firsts = sequences.first_chunks(size)
    chunks = find_chunks(a, sequences, size)
    p = prepare(a)
    padded = p.A2.shape[0]
    plan = backward_plan(a, target_of(a.u.device))
    scratch = _make_scratch(a, p, plan, chunks)
    du, ddelta, dB, dC = (torch.empty_like(x) for x in (a.u, a.delta, a.B, a.C))
    dz = a.u.new_empty(0) if a.z is None else torch.empty_like(a.z)
    if dfinal_state is None:
        dstates = a.A.new_zeros(sequences.count, padded, d_inner)
    else:
        dstates = states_to_kernel(dfinal_state)
    for end in range(chunks.count, 0, -scratch.chunks):
        first = max(0, end - scratch.chunks)
        _trace(a, p, plan, chunks, scratch, dy, borders, first, end)
        if scratch.after is not None:
            touched = np.searchsorted(firsts, (first, end - 1), side="right") - 1
            _chain(scratch, chunks, dstates, first, end, int(touched[0]), int(touched[1]))
        _walk_back(a, p, plan, chunks, scratch, dy, dstates, (du, ddelta, dz), first, end)
        _add_shares(a, p, plan, chunks, scratch, (dB, dC), first, end)
    sums = scratch.sums.sum(0).to(a.A.dtype)
    return ScanGradients(
        du,
        ddelta,
        sums[:d_state].t().contiguous(),
        dB,
        dC,
        sums[padded].clone(),
        dz,
        sums[padded + 1].clone(),
        states_from_kernel(dstates, d_state),
    )


def _make_scratch(a: ScanArguments, p: Prepared, plan: BackwardPlan, chunks: Chunks) -> Scratch:
    padded, d_inner = p.A2.shape
    blocks = triton.cdiv(d_inner, plan.block_d)
    groups = chunks.size // plan.group
    traces = blocks * groups * padded * plan.block_d
    states = 2 * padded * d_inner if chunks.most > 1 else 0
    shares = blocks * chunks.size * 2 * padded
    size = a.A.element_size() * (traces + states + shares) + 8 * (padded + 2) * d_inner
    count = _chunks_a_round(chunks.count, size, blocks, a.u.device)
    new = a.A.new_empty
    return Scratch(
        count,
        groups,
        new(count, blocks, groups, padded, plan.block_d),
        new(count, padded, d_inner) if states else None,
        new(count, padded, d_inner) if states else None,
        new(blocks, count, chunks.size, 2, padded),
        torch.zeros(count, padded + 2, d_inner, dtype=torch.float64, device=a.u.device),
    )


def _chunks_a_round(chunks: int, bytes_a_chunk: int, blocks: int, device: torch.device) -> int:
    """Return how many chunks fit the memory, all rounds alike; the programs of full rounds come in full waves."""
    most = max(1, SCRATCH_MIB * 2**20 // bytes_a_chunk)
    if device.type == "cuda" and chunks > most:
        wave: int = WARPS * torch.cuda.get_device_properties(device).multi_processor_count
        if most * blocks > wave:
            return most * blocks // wave * wave // blocks
    rounds = -(-chunks // most)
    return -(-chunks // rounds)


def _is_full(a: ScanArguments, group: int) -> bool:
    """Say whether positions are known to come in whole groups, which saves the kernels some masks."""
    return a.cu_seqlens is None and a.u.shape[1] % group == 0


def _trace(
    a: ScanArguments, p: Prepared, plan: BackwardPlan, chunks: Chunks, scratch: Scratch, dy: Tensor, borders: Tensor,
    first: int, end: int,
) -> None:  # fmt: skip
    padded, d_inner = p.A2.shape
    launch(
        trace_kernel, ((end - first) * triton.cdiv(d_inner, plan.block_d),), 1,
        work=padded * plan.block_d * plan.group,
        u_ptr=a.u, delta_ptr=a.delta, z_ptr=a.z, dy_ptr=dy, B_ptr=p.B, C_ptr=p.C, A_ptr=p.A2, bias_ptr=a.delta_bias,
        borders_ptr=borders, traces_ptr=scratch.traces, decays_ptr=scratch.decays, gradients_ptr=scratch.after,
        chunks_ptr=chunks.table, first_chunk=first, groups=scratch.groups,
        D_INNER=d_inner, N=padded, BLOCK_D=plan.block_d, TILE=min(padded, 16), K=plan.group,
        SOFTPLUS=a.delta_softplus, STEP=-1 if a.reverse else 1,
        FULL=_is_full(a, plan.group), LOCAL=scratch.after is not None,
    )  # fmt: skip


def _chain(
    scratch: Scratch, chunks: Chunks, dstates: Tensor, first: int, end: int, first_sequence: int, last_sequence: int
) -> None:
    size = dstates[0].numel()
    launch(
        chain_kernel, ((last_sequence - first_sequence + 1) * triton.cdiv(size, CHAIN_BLOCK),), 1,
        decays_ptr=scratch.decays, gradients_ptr=scratch.after, dstates_ptr=dstates, firsts_ptr=chunks.firsts,
        first_sequence=first_sequence, first_chunk=first, end_chunk=end, size=size,
        BLOCK=CHAIN_BLOCK, UNROLL=CHAIN_UNROLL,
    )  # fmt: skip


def _walk_back(
    a: ScanArguments, p: Prepared, plan: BackwardPlan, chunks: Chunks, scratch: Scratch, dy: Tensor, dstates: Tensor,
    outputs: tuple[Tensor, Tensor, Tensor], first: int, end: int,
) -> None:  # fmt: skip
    padded, d_inner = p.A2.shape
    du, ddelta, dz = outputs
    launch(
        walk_back_kernel, ((end - first) * triton.cdiv(d_inner, plan.block_d),), 1,
        work=padded * plan.block_d * plan.group,
        u_ptr=a.u, delta_ptr=a.delta, z_ptr=a.z, dy_ptr=dy, B_ptr=p.B, C_ptr=p.C, A_ptr=p.A2, D_ptr=a.D,
        bias_ptr=a.delta_bias, traces_ptr=scratch.traces, after_ptr=scratch.after, dstates_ptr=dstates,
        du_ptr=du, ddelta_ptr=ddelta, dz_ptr=dz, shares_ptr=scratch.shares,
        sums_ptr=scratch.sums, chunks_ptr=chunks.table, firsts_ptr=chunks.firsts,
        first_chunk=first, chunks=end - first, size=chunks.size, groups=scratch.groups,
        D_INNER=d_inner, N=padded, BLOCK_D=plan.block_d, TILE=plan.tile, K=plan.group,
        SOFTPLUS=a.delta_softplus, STEP=-1 if a.reverse else 1, FULL=_is_full(a, plan.group), LANES=plan.lanes,
    )  # fmt: skip


def _add_shares(
    a: ScanArguments, p: Prepared, plan: BackwardPlan, chunks: Chunks, scratch: Scratch,
    outputs: tuple[Tensor, Tensor], first: int, end: int,
) -> None:  # fmt: skip
    padded, d_inner = p.A2.shape
    rows = max(1, ADD_BLOCK // (2 * padded))
    launch(
        add_shares_kernel, ((end - first) * triton.cdiv(chunks.size, rows),), 4,
        shares_ptr=scratch.shares, dB_ptr=outputs[0], dC_ptr=outputs[1], chunks_ptr=chunks.table,
        first_chunk=first, chunks=end - first, size=chunks.size, count=triton.cdiv(d_inner, plan.block_d),
        D_STATE=a.A.shape[1], N=padded, BLOCK=rows * 2 * padded, UNROLL=ADD_UNROLL, STEP=-1 if a.reverse else 1,
    )  # fmt: skip
