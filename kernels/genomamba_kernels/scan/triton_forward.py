"""Forward of the selective scan in Triton: segments of the sequences are walked side by side.

A program is one warp with the states of a block of channels in registers, and walks in time. Three passes: the state
that each segment would end with if it began at zero, and the sum of its delta; from those, one after the other, the
states that segments begin with, since a segment decays what came before it by exp(A sum(delta)); and the outputs,
walked again from there. The first two are left out where every sequence is one segment.
"""

# mypy: disable-error-code="no-untyped-def"
# Triton knows no unpacking into tuples, and compiles what follows a return.
# ruff: noqa: RUF005, RET505

import torch
import triton
import triton.language as tl
from torch import Tensor

from genomamba_kernels._triton_functions import silu, silu_rough, softplus
from genomamba_kernels._triton_launch import launch, target_of
from genomamba_kernels.scan.arguments import ScanArguments
from genomamba_kernels.scan.triton_chunks import Chunks, find_chunks
from genomamba_kernels.scan.triton_plan import ForwardPlan, borders_shape, chunk_size, forward_plan
from genomamba_kernels.scan.triton_prepare import Prepared, prepare, states_from_kernel, states_to_kernel

COMBINE_UNROLL = 16
"""Segments whose states are loaded together: as many reads are under way at a time."""


def forward(a: ScanArguments, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, the final state, and with `keep` the states before each chunk, else something empty."""
    plan = forward_plan(a, target_of(a.u.device))
    size = chunk_size(a)
    sequences = a.sequences()
    segments = find_chunks(a, sequences, plan.segment)
    chunks = segments if plan.segment == size else find_chunks(a, sequences, size)
    p = prepare(a)
    if segments.most > 1:
        states = _combined_states(a, p, plan, segments)
    else:
        states = None if a.initial_state is None else states_to_kernel(a.initial_state)
    y = torch.empty_like(a.u)
    final = a.A.new_empty(sequences.count, *p.A2.shape)
    borders = a.A.new_empty(borders_shape(a) if keep else (0,))
    if keep:
        # With cu_seqlens, shapes tell no more than a bound on the number of chunks.
        borders[chunks.count :] = 0
    d_inner = a.u.shape[2]
    blocks = triton.cdiv(d_inner, plan.block_d)
    launch(
        _output_kernel, (segments.count * blocks,), 1, work=p.A2.shape[0] * plan.block_d * plan.unroll,
        max_registers=plan.max_registers,
        u_ptr=a.u, delta_ptr=a.delta, z_ptr=a.z, y_ptr=y, B_ptr=p.B, C_ptr=p.C,
        A_ptr=p.A2, D_ptr=a.D, bias_ptr=a.delta_bias, states_ptr=states, final_ptr=final,
        borders_ptr=borders if keep else None,
        segments_ptr=segments.table, segment_firsts_ptr=segments.firsts, chunk_firsts_ptr=chunks.firsts,
        stride=d_inner, blocks=blocks, chunk=size, chunks_a_segment=plan.segment // size,
        D_INNER=d_inner, N=p.A2.shape[0], BLOCK_D=plan.block_d, TILE=plan.tile, UNROLL=plan.unroll,
        SOFTPLUS=a.delta_softplus, STEP=-1 if a.reverse else 1,
    )  # fmt: skip
    return y, states_from_kernel(final, a.A.shape[1]), borders


def _combined_states(a: ScanArguments, p: Prepared, plan: ForwardPlan, segments: Chunks) -> Tensor:
    """Return the states that segments begin with: (segments, N, d_inner)."""
    padded, d_inner = p.A2.shape
    states = a.A.new_empty(segments.count, padded, d_inner)
    sums = a.A.new_empty(segments.count, d_inner)
    blocks = triton.cdiv(d_inner, plan.block_d)
    launch(
        _local_kernel, (segments.count * blocks,), 1, work=padded * plan.block_d * plan.unroll,
        max_registers=plan.max_registers,
        u_ptr=a.u, delta_ptr=a.delta, B_ptr=p.B, A_ptr=p.A2, bias_ptr=a.delta_bias, states_ptr=states, sums_ptr=sums,
        segments_ptr=segments.table, segment_firsts_ptr=segments.firsts, stride=d_inner, blocks=blocks,
        D_INNER=d_inner, N=padded, BLOCK_D=plan.block_d, TILE=plan.tile, UNROLL=plan.unroll,
        SOFTPLUS=a.delta_softplus, STEP=-1 if a.reverse else 1,
    )  # fmt: skip
    blocks = triton.cdiv(d_inner, 32)
    launch(
        _combine_kernel, ((len(segments.firsts) - 1) * padded * blocks,), 1,
        A_ptr=p.A2, states_ptr=states, sums_ptr=sums, initial_ptr=a.initial_state, firsts_ptr=segments.firsts,
        blocks=blocks, D_INNER=d_inner, D_STATE=a.A.shape[1], N=padded, BLOCK_D=32, UNROLL=COMBINE_UNROLL,
    )  # fmt: skip
    return states


@triton.jit
def load_row(ptr, d, width, EVEN: tl.constexpr):
    """Load a row of channels: 0 past the last channel."""
    if EVEN:
        return tl.load(ptr + d)
    else:
        return tl.load(ptr + d, mask=d < width, other=0.0)


@triton.jit
def store_row(ptr, value, d, width, EVEN: tl.constexpr):
    """Store a row of channels."""
    if EVEN:
        tl.store(ptr + d, value.to(ptr.dtype.element_ty))
    else:
        tl.store(ptr + d, value.to(ptr.dtype.element_ty), mask=d < width)


# A tile has states first and channels last. Triton gives the last axis to the threads of a warp first, so that a thread
# holds states of one channel: their sum needs no other thread. That holds while nothing says that rows of a tile are
# aligned, else a thread would take four channels: `stride` equals D_INNER, but is a number that is not specialised on.
@triton.jit
def load_tiles(ptr, stride, d, width, EVEN: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr):
    """Load (N, channels) as a tuple of tiles (TILE, channels)."""
    n = tl.arange(0, TILE)
    tiles = ()
    for i in tl.static_range(N // TILE):
        at = ptr + (n[:, None] + i * TILE) * stride + d[None, :]
        if EVEN:
            tile = tl.load(at)
        else:
            tile = tl.load(at, mask=(d < width)[None, :], other=0.0)
        tiles = tiles + (tile,)
    return tiles


@triton.jit
def zero_tiles(d, dtype: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr):
    """Return zeros like what `load_tiles` loads."""
    tiles = ()
    for _ in tl.static_range(N // TILE):
        tiles = tiles + (tl.zeros((TILE, d.shape[0]), dtype),)
    return tiles


@triton.jit
def store_tiles(ptr, tiles, stride, d, width, EVEN: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr):
    """Store what `load_tiles` loads."""
    n = tl.arange(0, TILE)
    for i in tl.static_range(N // TILE):
        at = ptr + (n[:, None] + i * TILE) * stride + d[None, :]
        if EVEN:
            tl.store(at, tiles[i])
        else:
            tl.store(at, tiles[i], mask=(d < width)[None, :])


@triton.jit
def load_parameter(ptr, d0, d, width, dtype: tl.constexpr, EVEN: tl.constexpr):
    """Load a vector over channels, zeros where it is not given."""
    if ptr is None:
        return tl.zeros(d.shape, dtype)
    else:
        return load_row(ptr + d0, d, width, EVEN)


@triton.jit
def step_size(delta, bias, SOFTPLUS: tl.constexpr):
    """Return delta of one position with its bias and softplus."""
    delta = delta.to(bias.dtype) + bias
    if SOFTPLUS:
        delta = softplus(delta)
    return delta


@triton.jit
def walk_tile(h, A, delta, x, b):
    """Return a tile of states after one position."""
    return tl.fma(tl.exp2(delta[None, :] * A), h, x[None, :] * b[:, None])


@triton.jit
def _walk_local(
    states, total, A, u_ptr, delta_ptr, B_ptr, bias, d, width,
    D_INNER: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr, UNROLL: tl.constexpr, SOFTPLUS: tl.constexpr,
    STEP: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """Walk some positions; return the states, and `total` with their deltas added."""
    n = tl.arange(0, TILE)
    loaded = ()
    for k in tl.static_range(UNROLL):
        at = STEP * k * D_INNER
        loaded = loaded + ((load_row(u_ptr + at, d, width, EVEN), load_row(delta_ptr + at, d, width, EVEN)),)
    added = tl.zeros_like(total)
    for k in tl.static_range(UNROLL):
        u, delta = loaded[k]
        delta = step_size(delta, bias, SOFTPLUS)
        x = delta * u.to(delta.dtype)
        added += delta
        walked = ()
        for i in tl.static_range(N // TILE):
            b = tl.load(B_ptr + STEP * k * N + i * TILE + n)
            walked = walked + (walk_tile(states[i], A[i], delta, x, b),)
        states = walked
    return states, total + added


@triton.jit(do_not_specialize=["stride", "blocks"])
def _local_kernel(
    u_ptr, delta_ptr, B_ptr, A_ptr, bias_ptr, states_ptr, sums_ptr, segments_ptr, segment_firsts_ptr, stride, blocks,
    D_INNER: tl.constexpr, N: tl.constexpr, BLOCK_D: tl.constexpr, TILE: tl.constexpr, UNROLL: tl.constexpr,
    SOFTPLUS: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    """Write the state that a segment ends with when it begins at zero, and the sum of its delta."""
    EVEN: tl.constexpr = D_INNER % BLOCK_D == 0
    segment = (tl.program_id(0) // blocks).to(tl.int64)
    d0 = (tl.program_id(0) % blocks) * BLOCK_D
    d = tl.arange(0, BLOCK_D)
    width = D_INNER - d0
    first = tl.load(segments_ptr + 3 * segment)
    rows = tl.load(segments_ptr + 3 * segment + 1).to(tl.int32)
    sequence = tl.load(segments_ptr + 3 * segment + 2)
    if segment + 1 == tl.load(segment_firsts_ptr + sequence + 1):
        # Nothing begins with what the last segment of a sequence ends with.
        rows = 0
    dtype: tl.constexpr = A_ptr.dtype.element_ty
    A = load_tiles(A_ptr + d0, stride, d, width, EVEN, N, TILE)
    bias = load_parameter(bias_ptr, d0, d, width, dtype, EVEN)
    states = zero_tiles(d, dtype, N, TILE)
    total = tl.zeros(d.shape, dtype)
    u_ptr += first * D_INNER + d0
    delta_ptr += first * D_INNER + d0
    B_ptr += first * N
    unrolled = rows // UNROLL * UNROLL
    for _ in range(0, unrolled, UNROLL):
        states, total = _walk_local(
            states, total, A, u_ptr, delta_ptr, B_ptr, bias, d, width,
            D_INNER, N, TILE, UNROLL, SOFTPLUS, STEP, EVEN,
        )  # fmt: skip
        u_ptr += STEP * UNROLL * D_INNER
        delta_ptr += STEP * UNROLL * D_INNER
        B_ptr += STEP * UNROLL * N
    for _ in range(unrolled, rows):
        states, total = _walk_local(
            states, total, A, u_ptr, delta_ptr, B_ptr, bias, d, width, D_INNER, N, TILE, 1, SOFTPLUS, STEP, EVEN
        )
        u_ptr += STEP * D_INNER
        delta_ptr += STEP * D_INNER
        B_ptr += STEP * N
    store_tiles(states_ptr + segment * (N * D_INNER) + d0, states, stride, d, width, EVEN, N, TILE)
    store_row(sums_ptr + segment * D_INNER + d0, total, d, width, EVEN)


@triton.jit(do_not_specialize=["blocks"])
def _combine_kernel(
    A_ptr, states_ptr, sums_ptr, initial_ptr, firsts_ptr, blocks,
    D_INNER: tl.constexpr, D_STATE: tl.constexpr, N: tl.constexpr, BLOCK_D: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    """Replace the state that each segment ends with when it begins at zero by the state that it begins with.

    A program has one of the N states of a block of channels, and takes the segments of a sequence in their order.
    """
    program = tl.program_id(0)
    n = (program // blocks) % N
    sequence = (program // blocks // N).to(tl.int64)
    d = (program % blocks) * BLOCK_D + tl.arange(0, BLOCK_D)
    mask = d < D_INNER
    A = tl.load(A_ptr + n * D_INNER + d, mask=mask, other=0.0)
    h = tl.zeros_like(A)
    if initial_ptr is not None:
        at = initial_ptr + (sequence * D_INNER + d) * D_STATE + n
        h += tl.load(at, mask=d < tl.where(n < D_STATE, D_INNER, 0), other=0.0)
    first = tl.load(firsts_ptr + sequence)
    count = (tl.load(firsts_ptr + sequence + 1) - first).to(tl.int32)
    states_ptr += first * (N * D_INNER) + n * D_INNER
    sums_ptr += first * D_INNER
    for done in range(0, count, UNROLL):
        loaded = ()
        for k in tl.static_range(UNROLL):
            here = d < tl.where(done + k < count, D_INNER, 0)
            local = tl.load(states_ptr + k * (N * D_INNER) + d, mask=here, other=0.0)
            loaded = loaded + ((local, tl.load(sums_ptr + k * D_INNER + d, mask=here, other=0.0)),)
        for k in tl.static_range(UNROLL):
            local, total = loaded[k]
            tl.store(states_ptr + k * (N * D_INNER) + d, h, mask=d < tl.where(done + k < count, D_INNER, 0))
            h = tl.fma(tl.exp2(A * total), h, local)
        states_ptr += UNROLL * N * D_INNER
        sums_ptr += UNROLL * D_INNER


@triton.jit
def _walk_output(
    states, A, u_ptr, delta_ptr, z_ptr, y_ptr, B_ptr, C_ptr, bias, D, d, width,
    D_INNER: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr, UNROLL: tl.constexpr, SOFTPLUS: tl.constexpr,
    STEP: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """Walk some positions, write their outputs, and return the states."""
    n = tl.arange(0, TILE)
    loaded = ()
    for k in tl.static_range(UNROLL):
        at = STEP * k * D_INNER
        u = load_row(u_ptr + at, d, width, EVEN)
        z = u if z_ptr is None else load_row(z_ptr + at, d, width, EVEN)
        loaded = loaded + ((u, load_row(delta_ptr + at, d, width, EVEN), z),)
    for k in tl.static_range(UNROLL):
        u, delta, z = loaded[k]
        u = u.to(bias.dtype)
        delta = step_size(delta, bias, SOFTPLUS)
        x = delta * u
        y = D * u
        walked = ()
        for i in tl.static_range(N // TILE):
            at = STEP * k * N + i * TILE
            b = tl.load(B_ptr + at + n)
            c = tl.load(C_ptr + at + n)
            h = walk_tile(states[i], A[i], delta, x, b)
            y += tl.sum(h * c[:, None], 0)
            walked = walked + (h,)
        states = walked
        if z_ptr is not None:
            z = z.to(bias.dtype)
            y *= silu_rough(z) if y_ptr.dtype.element_ty == tl.bfloat16 else silu(z)
        store_row(y_ptr + STEP * k * D_INNER, y, d, width, EVEN)
    return states


@triton.jit(do_not_specialize=["stride", "blocks", "chunk", "chunks_a_segment"])
def _output_kernel(
    u_ptr, delta_ptr, z_ptr, y_ptr, B_ptr, C_ptr, A_ptr, D_ptr, bias_ptr, states_ptr, final_ptr, borders_ptr,
    segments_ptr, segment_firsts_ptr, chunk_firsts_ptr, stride, blocks, chunk, chunks_a_segment,
    D_INNER: tl.constexpr, N: tl.constexpr, BLOCK_D: tl.constexpr, TILE: tl.constexpr, UNROLL: tl.constexpr,
    SOFTPLUS: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    """Walk a segment from the state that it begins with; write outputs, borders, and at the end the final state."""
    EVEN: tl.constexpr = D_INNER % BLOCK_D == 0
    segment = (tl.program_id(0) // blocks).to(tl.int64)
    d0 = (tl.program_id(0) % blocks) * BLOCK_D
    d = tl.arange(0, BLOCK_D)
    width = D_INNER - d0
    first = tl.load(segments_ptr + 3 * segment)
    rows = tl.load(segments_ptr + 3 * segment + 1).to(tl.int32)
    sequence = tl.load(segments_ptr + 3 * segment + 2)
    dtype: tl.constexpr = A_ptr.dtype.element_ty
    A = load_tiles(A_ptr + d0, stride, d, width, EVEN, N, TILE)
    bias = load_parameter(bias_ptr, d0, d, width, dtype, EVEN)
    D = load_parameter(D_ptr, d0, d, width, dtype, EVEN)
    if states_ptr is None:
        states = zero_tiles(d, dtype, N, TILE)
    else:
        states = load_tiles(states_ptr + segment * (N * D_INNER) + d0, stride, d, width, EVEN, N, TILE)
    row = first * D_INNER + d0
    u_ptr += row
    delta_ptr += row
    y_ptr += row
    if z_ptr is not None:
        z_ptr += row
    B_ptr += first * N
    C_ptr += first * N
    if borders_ptr is not None:
        border = (segment - tl.load(segment_firsts_ptr + sequence)) * chunks_a_segment
        borders_ptr += (tl.load(chunk_firsts_ptr + sequence) + border) * (N * D_INNER) + d0
    for begin in range(0, rows, chunk):
        if borders_ptr is not None:
            store_tiles(borders_ptr, states, stride, d, width, EVEN, N, TILE)
            borders_ptr += N * D_INNER
        end = tl.minimum(begin + chunk, rows)
        unrolled = begin + (end - begin) // UNROLL * UNROLL
        for _ in range(begin, unrolled, UNROLL):
            states = _walk_output(
                states, A, u_ptr, delta_ptr, z_ptr, y_ptr, B_ptr, C_ptr, bias, D, d, width,
                D_INNER, N, TILE, UNROLL, SOFTPLUS, STEP, EVEN,
            )  # fmt: skip
            u_ptr += STEP * UNROLL * D_INNER
            delta_ptr += STEP * UNROLL * D_INNER
            y_ptr += STEP * UNROLL * D_INNER
            if z_ptr is not None:
                z_ptr += STEP * UNROLL * D_INNER
            B_ptr += STEP * UNROLL * N
            C_ptr += STEP * UNROLL * N
        for _ in range(unrolled, end):
            states = _walk_output(
                states, A, u_ptr, delta_ptr, z_ptr, y_ptr, B_ptr, C_ptr, bias, D, d, width,
                D_INNER, N, TILE, 1, SOFTPLUS, STEP, EVEN,
            )  # fmt: skip
            u_ptr += STEP * D_INNER
            delta_ptr += STEP * D_INNER
            y_ptr += STEP * D_INNER
            if z_ptr is not None:
                z_ptr += STEP * D_INNER
            B_ptr += STEP * N
            C_ptr += STEP * N
    if segment + 1 == tl.load(segment_firsts_ptr + sequence + 1):
        store_tiles(final_ptr + sequence * (N * D_INNER) + d0, states, stride, d, width, EVEN, N, TILE)
