"""Kernels of the forward of the selective scan in Triton.

A program of the walks is one warp with the states of a block of channels in registers, and goes on in time. Its inner
loop needs five instructions for each state and position: the product with A, the exponential, the product with B, a
fused multiply-add for the state, one for the output.
"""

# Types of tensors on the GPU are beyond mypy.
# mypy: ignore-errors
# Triton knows no unpacking into tuples.
# ruff: noqa: RUF005

import triton
import triton.language as tl

from genomamba_kernels._triton_functions import silu, silu_rough
from genomamba_kernels.scan.triton_tiles import (
    load_parameter,
    load_row,
    load_tiles,
    step_size,
    store_row,
    store_tiles,
    walk_tile,
    zero_tiles,
)


@triton.jit
def _load_rows(u_ptr, delta_ptr, z_ptr, step, d, width, UNROLL: tl.constexpr, EVEN: tl.constexpr):
    """Load u and delta, and z where it is given, of some positions, `step` elements from one to the next."""
    rows = ()
    for k in tl.static_range(UNROLL):
        rows = rows + (load_row(u_ptr + k * step, d, width, EVEN), load_row(delta_ptr + k * step, d, width, EVEN))
        if z_ptr is not None:
            rows = rows + (load_row(z_ptr + k * step, d, width, EVEN),)
    return rows


@triton.jit
def _walk_local(
    states, total, rows, A, B_ptr, bias,
    N: tl.constexpr, TILE: tl.constexpr, UNROLL: tl.constexpr, SOFTPLUS: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    """Walk the positions of `rows`; return the states, and `total` with their deltas added."""
    n = tl.arange(0, TILE)
    added = tl.zeros_like(total)
    for k in tl.static_range(UNROLL):
        delta = step_size(rows[2 * k + 1], bias, SOFTPLUS)
        x = delta * rows[2 * k].to(delta.dtype)
        added += delta
        walked = ()
        for i in tl.static_range(N // TILE):
            b = tl.load(B_ptr + STEP * k * N + i * TILE + n)
            walked = walked + (walk_tile(states[i], A[i], delta, x, b),)
        states = walked
    return states, total + added


@triton.jit(do_not_specialize=["stride"])
def local_kernel(
    u_ptr, delta_ptr, B_ptr, A_ptr, bias_ptr, states_ptr, sums_ptr, segments_ptr, segment_firsts_ptr, stride,
    D_INNER: tl.constexpr, N: tl.constexpr, BLOCK_D: tl.constexpr, TILE: tl.constexpr, UNROLL: tl.constexpr,
    SOFTPLUS: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    """Write the state that a segment ends with when it begins at zero, and the sum of its delta."""
    EVEN: tl.constexpr = D_INNER % BLOCK_D == 0
    BLOCKS: tl.constexpr = (D_INNER + BLOCK_D - 1) // BLOCK_D
    segment = (tl.program_id(0) // BLOCKS).to(tl.int64)
    d0 = (tl.program_id(0) % BLOCKS) * BLOCK_D
    d = tl.arange(0, BLOCK_D)
    width = D_INNER - d0
    first = tl.load(segments_ptr + 3 * segment)
    count = tl.load(segments_ptr + 3 * segment + 1).to(tl.int32)
    sequence = tl.load(segments_ptr + 3 * segment + 2)
    if segment + 1 == tl.load(segment_firsts_ptr + sequence + 1):
        # Nothing begins with what the last segment of a sequence ends with.
        count = 0
    dtype: tl.constexpr = A_ptr.dtype.element_ty
    A = load_tiles(A_ptr + d0, stride, d, width, EVEN, N, TILE)
    bias = load_parameter(bias_ptr, d0, d, width, dtype, EVEN)
    states = zero_tiles(d, dtype, N, TILE)
    total = tl.zeros(d.shape, dtype)
    u_ptr += first * D_INNER + d0
    delta_ptr += first * D_INNER + d0
    B_ptr += first * N
    unrolled = count // UNROLL * UNROLL
    step = tl.where(unrolled > 0, STEP * D_INNER, 0)
    ahead = _load_rows(u_ptr, delta_ptr, None, step, d, width, UNROLL, EVEN)
    for t in range(0, unrolled, UNROLL):
        rows = ahead
        jump = tl.where(t + UNROLL < unrolled, STEP * UNROLL * D_INNER, 0)
        ahead = _load_rows(u_ptr + jump, delta_ptr + jump, None, STEP * D_INNER, d, width, UNROLL, EVEN)
        states, total = _walk_local(states, total, rows, A, B_ptr, bias, N, TILE, UNROLL, SOFTPLUS, STEP)
        u_ptr += STEP * UNROLL * D_INNER
        delta_ptr += STEP * UNROLL * D_INNER
        B_ptr += STEP * UNROLL * N
    for _ in range(unrolled, count):
        rows = _load_rows(u_ptr, delta_ptr, None, 0, d, width, 1, EVEN)
        states, total = _walk_local(states, total, rows, A, B_ptr, bias, N, TILE, 1, SOFTPLUS, STEP)
        u_ptr += STEP * D_INNER
        delta_ptr += STEP * D_INNER
        B_ptr += STEP * N
    store_tiles(states_ptr + segment * (N * D_INNER) + d0, states, stride, d, width, EVEN, N, TILE)
    store_row(sums_ptr + segment * D_INNER + d0, total, d, width, EVEN)


@triton.jit
def combine_kernel(
    A_ptr, states_ptr, sums_ptr, initial_ptr, firsts_ptr,
    D_INNER: tl.constexpr, N: tl.constexpr, BLOCK_D: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    """Replace the state that each segment ends with when it begins at zero by the state that it begins with.

    A program has one of the N states of a block of channels, and takes the segments of a sequence in their order.
    """
    BLOCKS: tl.constexpr = (D_INNER + BLOCK_D - 1) // BLOCK_D
    program = tl.program_id(0)
    n = (program // BLOCKS) % N
    sequence = (program // (BLOCKS * N)).to(tl.int64)
    d = (program % BLOCKS) * BLOCK_D + tl.arange(0, BLOCK_D)
    mask = d < D_INNER
    A = tl.load(A_ptr + n * D_INNER + d, mask=mask, other=0.0)
    h = tl.zeros_like(A)
    if initial_ptr is not None:
        h += tl.load(initial_ptr + (sequence * N + n) * D_INNER + d, mask=mask, other=0.0)
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
    states, rows, A, y_ptr, B_ptr, C_ptr, bias, D, d, width,
    D_INNER: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr, UNROLL: tl.constexpr, GATED: tl.constexpr,
    SOFTPLUS: tl.constexpr, STEP: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """Walk the positions of `rows`, write their outputs, and return the states."""
    n = tl.arange(0, TILE)
    WIDTH: tl.constexpr = 3 if GATED else 2
    for k in tl.static_range(UNROLL):
        u = rows[WIDTH * k].to(bias.dtype)
        delta = step_size(rows[WIDTH * k + 1], bias, SOFTPLUS)
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
        if GATED:
            z = rows[WIDTH * k + 2].to(bias.dtype)
            y *= silu_rough(z) if y_ptr.dtype.element_ty == tl.bfloat16 else silu(z)
        store_row(y_ptr + STEP * k * D_INNER, y, d, width, EVEN)
    return states


@triton.jit(do_not_specialize=["stride", "chunk", "chunks_a_segment"])
def output_kernel(
    u_ptr, delta_ptr, z_ptr, y_ptr, B_ptr, C_ptr, A_ptr, D_ptr, bias_ptr, states_ptr, final_ptr, borders_ptr,
    segments_ptr, segment_firsts_ptr, chunk_firsts_ptr, stride, chunk, chunks_a_segment,
    D_INNER: tl.constexpr, N: tl.constexpr, BLOCK_D: tl.constexpr, TILE: tl.constexpr, UNROLL: tl.constexpr,
    SOFTPLUS: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    """Walk a segment from the state that it begins with; write outputs, borders, and at the end the final state."""
    EVEN: tl.constexpr = D_INNER % BLOCK_D == 0
    BLOCKS: tl.constexpr = (D_INNER + BLOCK_D - 1) // BLOCK_D
    segment = (tl.program_id(0) // BLOCKS).to(tl.int64)
    d0 = (tl.program_id(0) % BLOCKS) * BLOCK_D
    d = tl.arange(0, BLOCK_D)
    width = D_INNER - d0
    first = tl.load(segments_ptr + 3 * segment)
    count = tl.load(segments_ptr + 3 * segment + 1).to(tl.int32)
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
    GATED: tl.constexpr = z_ptr is not None
    for begin in range(0, count, chunk):
        if borders_ptr is not None:
            store_tiles(borders_ptr, states, stride, d, width, EVEN, N, TILE)
            borders_ptr += N * D_INNER
        end = tl.minimum(begin + chunk, count)
        unrolled = begin + (end - begin) // UNROLL * UNROLL
        step = tl.where(unrolled > begin, STEP * D_INNER, 0)
        ahead = _load_rows(u_ptr, delta_ptr, z_ptr, step, d, width, UNROLL, EVEN)
        for t in range(begin, unrolled, UNROLL):
            rows = ahead
            jump = tl.where(t + UNROLL < unrolled, STEP * UNROLL * D_INNER, 0)
            z_ahead = z_ptr + jump if GATED else None
            ahead = _load_rows(u_ptr + jump, delta_ptr + jump, z_ahead, STEP * D_INNER, d, width, UNROLL, EVEN)
            states = _walk_output(
                states, rows, A, y_ptr, B_ptr, C_ptr, bias, D, d, width,
                D_INNER, N, TILE, UNROLL, GATED, SOFTPLUS, STEP, EVEN,
            )  # fmt: skip
            u_ptr += STEP * UNROLL * D_INNER
            delta_ptr += STEP * UNROLL * D_INNER
            y_ptr += STEP * UNROLL * D_INNER
            if GATED:
                z_ptr += STEP * UNROLL * D_INNER
            B_ptr += STEP * UNROLL * N
            C_ptr += STEP * UNROLL * N
        for _ in range(unrolled, end):
            rows = _load_rows(u_ptr, delta_ptr, z_ptr, 0, d, width, 1, EVEN)
            states = _walk_output(
                states, rows, A, y_ptr, B_ptr, C_ptr, bias, D, d, width,
                D_INNER, N, TILE, 1, GATED, SOFTPLUS, STEP, EVEN,
            )  # fmt: skip
            u_ptr += STEP * D_INNER
            delta_ptr += STEP * D_INNER
            y_ptr += STEP * D_INNER
            if GATED:
                z_ptr += STEP * D_INNER
            B_ptr += STEP * N
            C_ptr += STEP * N
    if segment + 1 == tl.load(segment_firsts_ptr + sequence + 1):
        store_tiles(final_ptr + sequence * (N * D_INNER) + d0, states, stride, d, width, EVEN, N, TILE)
