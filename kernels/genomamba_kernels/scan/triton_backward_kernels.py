"""Kernels of the Triton backward of the selective scan: one walk forth, one walk back, and the sums between them.

As in forward, a program is one warp, a thread has one channel and some or all of its states, and time is walked in
registers. `trace_kernel` walks a chunk forth from its border. It leaves the state before each group of K positions, and
what the chunk does to the gradient that comes from after it: that is multiplied by the decays of the whole chunk, and a
term is added, so `chain_kernel` needs no more to find the gradient after every chunk. `walk_back_kernel` takes the
groups from the last to the first, computes the states and decays of a group again and keeps them in registers, and
walks back through them. Together that is two exponentials an update.
"""

# Types of tensors on the GPU are beyond mypy.
# mypy: ignore-errors
# Triton knows no unpacking into tuples, and compiles what follows a return.
# ruff: noqa: RUF005, RUF059, RET505

import triton
import triton.language as tl

from genomamba_kernels._triton_functions import silu, silu_and_slope, softplus, softplus_slope
from genomamba_kernels.scan.triton_tiles import (
    load_parameter,
    load_tiles,
    step_size,
    store_row,
    store_tiles,
    zero_tiles,
)

LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def _gate_gradient(dy, z, GATED: tl.constexpr):
    """Return the gradient of y before the gate."""
    if GATED:
        return dy * silu(z)
    else:
        return dy


@triton.jit
def _load_position(ptr, d, width, EVEN: tl.constexpr):
    """Load the channels of a position that may lie past the end of a chunk, where width is 0."""
    if EVEN:
        return tl.load(ptr + d)
    else:
        return tl.load(ptr + d, mask=d < width, other=0.0)


@triton.jit
def _load_map(ptr, n, here, FULL: tl.constexpr):
    """Load B or C of a position, zeros where it is not here."""
    if FULL:
        return tl.load(ptr + n)
    else:
        return tl.load(ptr + n, mask=n < tl.where(here, n.shape[0], 0), other=0.0)


@triton.jit
def _trace_positions(
    states, decays, gradients, A, u_ptr, delta_ptr, z_ptr, dy_ptr, B_ptr, C_ptr, bias, d, width, left,
    D_INNER: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr, K: tl.constexpr, SOFTPLUS: tl.constexpr,
    STEP: tl.constexpr, EVEN: tl.constexpr, FULL: tl.constexpr, LOCAL: tl.constexpr,
):  # fmt: skip
    """Walk K positions; with LOCAL also update the product of decays and the gradient of the chunk's first state."""
    n = tl.arange(0, TILE)
    dtype: tl.constexpr = bias.dtype
    loaded = ()
    for k in tl.static_range(K):
        at = STEP * k * D_INNER
        wide = width if FULL else tl.where(k < left, width, 0)
        u = _load_position(u_ptr + at, d, wide, EVEN and FULL)
        delta = _load_position(delta_ptr + at, d, wide, EVEN and FULL)
        dy = _load_position(dy_ptr + at, d, wide, EVEN and FULL) if LOCAL else u
        z = u if z_ptr is None or not LOCAL else _load_position(z_ptr + at, d, wide, EVEN and FULL)
        loaded = loaded + ((u, delta, dy, z),)
    for k in tl.static_range(K):
        u, delta, dy, z = loaded[k]
        delta = step_size(delta, bias, SOFTPLUS)
        if not FULL:
            delta = tl.where(k < left, delta, 0.0)
        x = delta * u.to(dtype)
        dy = _gate_gradient(dy.to(dtype), z.to(dtype), z_ptr is not None)
        new_states = ()
        new_decays = ()
        new_gradients = ()
        for i in tl.static_range(N // TILE):
            b = _load_map(B_ptr + STEP * k * N + i * TILE, n, k < left, FULL)
            decay = tl.exp2(delta[None, :] * A[i])
            new_states = new_states + (tl.fma(decay, states[i], x[None, :] * b[:, None]),)
            if LOCAL:
                c = _load_map(C_ptr + STEP * k * N + i * TILE, n, k < left, FULL)
                product = decay * decays[i]
                new_decays = new_decays + (product,)
                new_gradients = new_gradients + (tl.fma(product, dy[None, :] * c[:, None], gradients[i]),)
        states = new_states
        if LOCAL:
            decays = new_decays
            gradients = new_gradients
    return states, decays, gradients


@triton.jit
def _store_group(ptr, states, lane, N: tl.constexpr, TILE: tl.constexpr, BLOCK_D: tl.constexpr):
    """Store states as (N, BLOCK_D), without gaps."""
    n = tl.arange(0, TILE)
    for i in tl.static_range(N // TILE):
        tl.store(ptr + (n[:, None] + i * TILE) * BLOCK_D + lane[None, :], states[i])


@triton.jit(do_not_specialize=["first_chunk", "groups"])
def trace_kernel(
    u_ptr, delta_ptr, z_ptr, dy_ptr, B_ptr, C_ptr, A_ptr, bias_ptr, borders_ptr, traces_ptr, decays_ptr, gradients_ptr,
    chunks_ptr, first_chunk, groups,
    D_INNER: tl.constexpr, N: tl.constexpr, BLOCK_D: tl.constexpr, TILE: tl.constexpr, K: tl.constexpr,
    SOFTPLUS: tl.constexpr, STEP: tl.constexpr, FULL: tl.constexpr, LOCAL: tl.constexpr,
):  # fmt: skip
    """Walk one chunk forth, and leave the state before each group of K positions.

    traces : (chunks of the round, blocks of channels, groups, N, BLOCK_D)
    decays, gradients : (chunks of the round, N, d_inner)
        With LOCAL: g before the chunk is gradients + decays times g after it.
    """
    EVEN: tl.constexpr = D_INNER % BLOCK_D == 0
    BLOCKS: tl.constexpr = (D_INNER + BLOCK_D - 1) // BLOCK_D
    here = (tl.program_id(0) // BLOCKS).to(tl.int64)
    block = tl.program_id(0) % BLOCKS
    chunk = first_chunk + here
    d0 = block * BLOCK_D
    d = tl.arange(0, BLOCK_D)
    # A hint that nothing is aligned, for the reason given at `load_tiles`.
    lane = tl.multiple_of(d, 1)
    width = D_INNER - d0
    first = tl.load(chunks_ptr + 3 * chunk)
    rows = tl.load(chunks_ptr + 3 * chunk + 1).to(tl.int32)
    dtype: tl.constexpr = A_ptr.dtype.element_ty
    A = load_tiles(A_ptr + d0, D_INNER, lane, width, EVEN, N, TILE)
    bias = load_parameter(bias_ptr, d0, d, width, dtype, EVEN)
    states = load_tiles(borders_ptr + chunk * (N * D_INNER) + d0, D_INNER, lane, width, EVEN, N, TILE)
    gradients = zero_tiles(d, dtype, N, TILE)
    decays = ()
    for _ in tl.static_range(N // TILE):
        decays = decays + (tl.full((TILE, BLOCK_D), 1.0, dtype),)
    row = first * D_INNER + d0
    u_ptr += row
    delta_ptr += row
    dy_ptr += row
    if z_ptr is not None:
        z_ptr += row
    B_ptr += first * N
    C_ptr += first * N
    traces_ptr += (here * BLOCKS + block) * groups * (N * BLOCK_D)
    for done in range(0, rows, K):
        _store_group(traces_ptr, states, lane, N, TILE, BLOCK_D)
        states, decays, gradients = _trace_positions(
            states, decays, gradients, A, u_ptr, delta_ptr, z_ptr, dy_ptr, B_ptr, C_ptr, bias, d, width, rows - done,
            D_INNER, N, TILE, K, SOFTPLUS, STEP, EVEN, FULL, LOCAL,
        )  # fmt: skip
        u_ptr += STEP * K * D_INNER
        delta_ptr += STEP * K * D_INNER
        dy_ptr += STEP * K * D_INNER
        if z_ptr is not None:
            z_ptr += STEP * K * D_INNER
        B_ptr += STEP * K * N
        C_ptr += STEP * K * N
        traces_ptr += N * BLOCK_D
    if LOCAL:
        store_tiles(decays_ptr + here * (N * D_INNER) + d0, decays, D_INNER, lane, width, EVEN, N, TILE)
        store_tiles(gradients_ptr + here * (N * D_INNER) + d0, gradients, D_INNER, lane, width, EVEN, N, TILE)


@triton.jit(do_not_specialize=["first_sequence", "first_chunk", "end_chunk", "size"])
def chain_kernel(
    decays_ptr, gradients_ptr, dstates_ptr, firsts_ptr, first_sequence, first_chunk, end_chunk, size,
    BLOCK: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    """Replace `gradients` of each chunk of the round by g after the chunk.

    A program has some of the `size` states of a sequence, and takes its chunks of the round from the last to the first.
    """
    blocks = tl.cdiv(size, BLOCK)
    sequence = first_sequence + (tl.program_id(0) // blocks).to(tl.int64)
    i = (tl.program_id(0) % blocks) * BLOCK + tl.arange(0, BLOCK)
    size = size.to(tl.int64)
    g = tl.load(dstates_ptr + sequence * size + i, mask=i < size, other=0.0)
    begin = tl.maximum(tl.load(firsts_ptr + sequence) - first_chunk, 0)
    end = tl.minimum(tl.load(firsts_ptr + sequence + 1), end_chunk) - first_chunk
    count = (end - begin).to(tl.int32)
    decays_ptr += end * size
    gradients_ptr += end * size
    for done in range(0, count, UNROLL):
        loaded = ()
        for k in tl.static_range(UNROLL):
            at = i - (k + 1) * size
            mask = i < tl.where(done + k < count, size, 0)
            decay = tl.load(decays_ptr + at, mask=mask, other=0.0)
            loaded = loaded + ((decay, tl.load(gradients_ptr + at, mask=mask, other=0.0)),)
        for k in tl.static_range(UNROLL):
            decay, gradient = loaded[k]
            tl.store(gradients_ptr + i - (k + 1) * size, g, mask=i < tl.where(done + k < count, size, 0))
            g = tl.fma(decay, g, gradient)
        decays_ptr -= UNROLL * size
        gradients_ptr -= UNROLL * size


@triton.jit
def _sum_halves(x, SIZE: tl.constexpr):
    """Sum a tile (rows, SIZE) over its last axis, within threads."""
    if SIZE == 1:
        return tl.reshape(x, (x.shape[0],))
    else:
        left, right = tl.split(tl.reshape(x, (x.shape[0], SIZE // 2, 2)))
        return _sum_halves(left + right, SIZE // 2)


# Channels lie across the threads of a warp. `tl.sum` would pass every number five times from thread to thread.
# `tl.split` wants what it parts within one thread, so that each number is moved once, and added up where it is.
@triton.jit
def _sum_channels(x, ROWS: tl.constexpr, BLOCK_D: tl.constexpr, LANES: tl.constexpr):
    """Sum a tile (ROWS, BLOCK_D) over channels."""
    # Triton 3.5 makes no constants of min and max.
    AVAILABLE: tl.constexpr = LANES // ROWS if LANES > ROWS else 1
    SHARED: tl.constexpr = BLOCK_D if BLOCK_D < AVAILABLE else AVAILABLE
    parts = _sum_halves(tl.reshape(x, (ROWS * SHARED, BLOCK_D // SHARED)), BLOCK_D // SHARED)
    if SHARED == 1:
        return parts
    else:
        return tl.sum(tl.reshape(parts, (ROWS, SHARED)), 1)


@triton.jit
def _stack(tiles, COUNT: tl.constexpr, TILE: tl.constexpr, BLOCK_D: tl.constexpr):
    """Put tiles (TILE, BLOCK_D) on top of each other."""
    if COUNT == 1:
        return tiles[0]
    else:
        HALF: tl.constexpr = COUNT // 2
        both = tl.join(_stack(tiles[:HALF], HALF, TILE, BLOCK_D), _stack(tiles[HALF:], HALF, TILE, BLOCK_D))
        return tl.reshape(tl.permute(both, (2, 0, 1)), (COUNT * TILE, BLOCK_D))


@triton.jit
def _add_exactly(total, lost, value):
    """Add a value to a sum, and what earlier additions lost (Kahan)."""
    value = value - lost
    new = total + value
    return new, (new - total) - value


@triton.jit
def _load_positions(
    u_ptr, delta_ptr, z_ptr, dy_ptr, bias, d, width, left,
    D_INNER: tl.constexpr, K: tl.constexpr, SOFTPLUS: tl.constexpr, STEP: tl.constexpr, EVEN: tl.constexpr,
    FULL: tl.constexpr,
):  # fmt: skip
    """Return of each of K positions u, delta and its slope, the gradient before the gate, and that of the gate."""
    dtype: tl.constexpr = bias.dtype
    loaded = ()
    for k in tl.static_range(K):
        at = STEP * k * D_INNER
        wide = width if FULL else tl.where(k < left, width, 0)
        u = _load_position(u_ptr + at, d, wide, EVEN and FULL)
        z = u if z_ptr is None else _load_position(z_ptr + at, d, wide, EVEN and FULL)
        raw = _load_position(delta_ptr + at, d, wide, EVEN and FULL)
        loaded = loaded + ((u, raw, z, _load_position(dy_ptr + at, d, wide, EVEN and FULL)),)
    positions = ()
    for k in tl.static_range(K):
        u, raw, z, dy = loaded[k]
        raw = raw.to(dtype) + bias
        dy = dy.to(dtype)
        delta = raw
        slope = tl.full(raw.shape, 1.0, dtype)
        if SOFTPLUS:
            delta = softplus(raw)
            slope = softplus_slope(raw)
        if not FULL:
            # Neither the state nor any sum changes past the end.
            delta = tl.where(k < left, delta, 0.0)
            slope = tl.where(k < left, slope, 0.0)
        dgate = dy
        if z_ptr is not None:
            gate, gate_slope = silu_and_slope(z.to(dtype))
            dgate = dy * gate_slope
            dy = dy * gate
        positions = positions + ((u.to(dtype), delta, slope, dy, dgate),)
    return positions


@triton.jit
def _walk_tile_forth(
    h, A, positions, ys, B_ptr, C_ptr, shares_ptr, left,
    N: tl.constexpr, TILE: tl.constexpr, BLOCK_D: tl.constexpr, K: tl.constexpr,
    STEP: tl.constexpr, FULL: tl.constexpr, LANES: tl.constexpr, GATED: tl.constexpr,
):  # fmt: skip
    """Walk one tile of states over K positions; return the states before and the decays of each, and y so far."""
    n = tl.arange(0, TILE)
    row = tl.arange(0, K * TILE)
    states = ()
    decays = ()
    new_ys = ()
    shares = ()
    for k in tl.static_range(K):
        u, delta, slope, dy, dgate = positions[k]
        b = _load_map(B_ptr + STEP * k * N, n, k < left, FULL)
        decay = tl.exp2(delta[None, :] * A)
        states = states + (h,)
        decays = decays + (decay,)
        h = tl.fma(decay, h, (delta * u)[None, :] * b[:, None])
        if GATED:
            c = _load_map(C_ptr + STEP * k * N, n, k < left, FULL)
            new_ys = new_ys + (ys[k] + tl.sum(h * c[:, None], 0),)
        shares = shares + (h * dy[None, :],)
    dC = _sum_channels(_stack(shares, K, TILE, BLOCK_D), K * TILE, BLOCK_D, LANES)
    tl.store(shares_ptr + (row // TILE) * (2 * N) + N + row % TILE, dC)
    return states, decays, new_ys


@triton.jit
def _walk_tile_back(
    g, dA, A, states, decays, positions, dxs, ddeltas, B_ptr, C_ptr, shares_ptr, left,
    N: tl.constexpr, TILE: tl.constexpr, BLOCK_D: tl.constexpr, K: tl.constexpr,
    STEP: tl.constexpr, FULL: tl.constexpr, LANES: tl.constexpr, ADD: tl.constexpr,
):  # fmt: skip
    """Walk one tile of states back over K positions; return g, dA, and the sums over states so far."""
    n = tl.arange(0, TILE)
    row = tl.arange(0, K * TILE)
    new_dxs = ()
    new_ddeltas = ()
    shares = ()
    for i in tl.static_range(K):
        u, delta, slope, dy, dgate = positions[K - 1 - i]
        b = _load_map(B_ptr + STEP * (K - 1 - i) * N, n, K - 1 - i < left, FULL)
        c = _load_map(C_ptr + STEP * (K - 1 - i) * N, n, K - 1 - i < left, FULL)
        g = tl.fma(dy[None, :], c[:, None], g)
        shares = (g * (delta * u)[None, :],) + shares
        dx = tl.sum(g * b[:, None], 0)
        g *= decays[K - 1 - i]
        q = g * states[K - 1 - i]
        dA = tl.fma(q, delta[None, :], dA)
        ddelta = tl.sum(q * A, 0)
        if ADD:
            dx += dxs[K - 1 - i]
            ddelta += ddeltas[K - 1 - i]
        new_dxs = (dx,) + new_dxs
        new_ddeltas = (ddelta,) + new_ddeltas
    dB = _sum_channels(_stack(shares, K, TILE, BLOCK_D), K * TILE, BLOCK_D, LANES)
    tl.store(shares_ptr + (row // TILE) * (2 * N) + row % TILE, dB)
    return g, dA, new_dxs, new_ddeltas


@triton.jit
def _walk_group_back(
    g, dA, sums, D, bias, u_ptr, delta_ptr, z_ptr, dy_ptr, B_ptr, C_ptr, A_ptr, traces_ptr, du_ptr, ddelta_ptr, dz_ptr,
    shares_ptr, d, lane, width, left,
    D_INNER: tl.constexpr, N: tl.constexpr, BLOCK_D: tl.constexpr, TILE: tl.constexpr, K: tl.constexpr,
    SOFTPLUS: tl.constexpr, STEP: tl.constexpr, EVEN: tl.constexpr, FULL: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Take K positions, of which `left` are there: the pointers point to the first of them along the walk."""
    GATED: tl.constexpr = z_ptr is not None
    n = tl.arange(0, TILE)
    positions = _load_positions(
        u_ptr, delta_ptr, z_ptr, dy_ptr, bias, d, width, left, D_INNER, K, SOFTPLUS, STEP, EVEN, FULL
    )
    ys = ()
    for k in tl.static_range(K):
        ys = ys + (D * positions[k][0],)
    dxs = ()
    ddeltas = ()
    new_g = ()
    new_dA = ()
    for i in tl.static_range(N // TILE):
        # Read again for each group, since held in registers A leaves too few for two tiles to be worked on at a time.
        at = (n[:, None] + i * TILE) * D_INNER + lane[None, :]
        A = tl.load(A_ptr + at) if EVEN else tl.load(A_ptr + at, mask=(d < width)[None, :], other=0.0)
        h = tl.load(traces_ptr + (n[:, None] + i * TILE) * BLOCK_D + lane[None, :])
        at = i * TILE
        states, decays, ys = _walk_tile_forth(
            h, A, positions, ys, B_ptr + at, C_ptr + at, shares_ptr + at, left,
            N, TILE, BLOCK_D, K, STEP, FULL, LANES, GATED,
        )  # fmt: skip
        g_tile, dA_tile, dxs, ddeltas = _walk_tile_back(
            g[i], dA[i], A, states, decays, positions, dxs, ddeltas, B_ptr + at, C_ptr + at, shares_ptr + at,
            left, N, TILE, BLOCK_D, K, STEP, FULL, LANES, i > 0,
        )  # fmt: skip
        new_g = new_g + (g_tile,)
        new_dA = new_dA + (dA_tile,)
    dD, dD_lost, dbias, dbias_lost = sums
    dD_group = tl.zeros_like(dD)
    dbias_group = tl.zeros_like(dbias)
    for k in tl.static_range(K):
        u, delta, slope, dy, dgate = positions[k]
        at = STEP * k * D_INNER
        ddelta = tl.fma(dxs[k], u, ddeltas[k] * LN_2) * slope
        wide = width if FULL else tl.where(k < left, width, 0)
        store_row(du_ptr + at, tl.fma(dxs[k], delta, dy * D), d, wide, EVEN and FULL)
        store_row(ddelta_ptr + at, ddelta, d, wide, EVEN and FULL)
        if GATED:
            store_row(dz_ptr + at, dgate * ys[k], d, wide, EVEN and FULL)
        dD_group = tl.fma(dy, u, dD_group)
        dbias_group += ddelta
    dD, dD_lost = _add_exactly(dD, dD_lost, dD_group)
    dbias, dbias_lost = _add_exactly(dbias, dbias_lost, dbias_group)
    return new_g, new_dA, (dD, dD_lost, dbias, dbias_lost)


@triton.jit(do_not_specialize=["first_chunk", "chunks", "size", "groups"])
def walk_back_kernel(
    u_ptr, delta_ptr, z_ptr, dy_ptr, B_ptr, C_ptr, A_ptr, D_ptr, bias_ptr, traces_ptr, after_ptr, dstates_ptr,
    du_ptr, ddelta_ptr, dz_ptr, shares_ptr, sums_ptr, chunks_ptr, firsts_ptr,
    first_chunk, chunks, size, groups,
    D_INNER: tl.constexpr, N: tl.constexpr, BLOCK_D: tl.constexpr, TILE: tl.constexpr, K: tl.constexpr,
    SOFTPLUS: tl.constexpr, STEP: tl.constexpr, FULL: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Walk one chunk back, from g after it, and write or add to every gradient.

    after : (chunks of the round, N, d_inner), or None where g after a chunk is that of its sequence, in `dstates`
    dstates : (sequences, N, d_inner), written by the first chunk of the round or of the sequence: g before it
    shares : (blocks of channels, chunks of the round, size, 2, N), of dB and dC, rows along the walk
    sums : (chunks of the round, N + 2, d_inner), float64, added to: dA, dD and dbias
    """
    EVEN: tl.constexpr = D_INNER % BLOCK_D == 0
    BLOCKS: tl.constexpr = (D_INNER + BLOCK_D - 1) // BLOCK_D
    here = (tl.program_id(0) // BLOCKS).to(tl.int64)
    block = tl.program_id(0) % BLOCKS
    chunk = first_chunk + here
    d0 = block * BLOCK_D
    d = tl.arange(0, BLOCK_D)
    lane = tl.multiple_of(d, 1)
    width = D_INNER - d0
    first = tl.load(chunks_ptr + 3 * chunk)
    rows = tl.load(chunks_ptr + 3 * chunk + 1).to(tl.int32)
    sequence = tl.load(chunks_ptr + 3 * chunk + 2)
    dtype: tl.constexpr = A_ptr.dtype.element_ty
    bias = load_parameter(bias_ptr, d0, d, width, dtype, EVEN)
    D = load_parameter(D_ptr, d0, d, width, dtype, EVEN)
    # The sequence whose g is written at the end, or -1: one number to hold through the loop.
    written = tl.where((here == 0) | (chunk == tl.load(firsts_ptr + sequence)), sequence, -1).to(tl.int32)
    dstates_ptr += d0
    if after_ptr is None:
        g = load_tiles(dstates_ptr + sequence * (N * D_INNER), D_INNER, lane, width, EVEN, N, TILE)
    else:
        g = load_tiles(after_ptr + here * (N * D_INNER) + d0, D_INNER, lane, width, EVEN, N, TILE)
    dA = zero_tiles(d, dtype, N, TILE)
    zero = tl.zeros(d.shape, dtype)
    sums = (zero, zero, zero, zero)
    groups_here = tl.cdiv(rows, K)
    # One past the last group.
    end = first + STEP * K * groups_here
    row = end * D_INNER + d0
    u_ptr += row
    delta_ptr += row
    dy_ptr += row
    du_ptr += row
    ddelta_ptr += row
    if z_ptr is not None:
        z_ptr += row
        dz_ptr += row
    B_ptr += end * N
    C_ptr += end * N
    A_ptr += d0
    shares_ptr += ((block * chunks.to(tl.int64) + here) * size + K * groups_here) * (2 * N)
    traces_ptr += ((here * BLOCKS + block) * groups + groups_here) * (N * BLOCK_D)
    left = rows - K * groups_here
    for _ in range(groups_here):
        u_ptr -= STEP * K * D_INNER
        delta_ptr -= STEP * K * D_INNER
        dy_ptr -= STEP * K * D_INNER
        du_ptr -= STEP * K * D_INNER
        ddelta_ptr -= STEP * K * D_INNER
        if z_ptr is not None:
            z_ptr -= STEP * K * D_INNER
            dz_ptr -= STEP * K * D_INNER
        B_ptr -= STEP * K * N
        C_ptr -= STEP * K * N
        shares_ptr -= K * 2 * N
        traces_ptr -= N * BLOCK_D
        left += K
        g, dA, sums = _walk_group_back(
            g, dA, sums, D, bias, u_ptr, delta_ptr, z_ptr, dy_ptr, B_ptr, C_ptr, A_ptr, traces_ptr,
            du_ptr, ddelta_ptr, dz_ptr, shares_ptr, d, lane, width, left,
            D_INNER, N, BLOCK_D, TILE, K, SOFTPLUS, STEP, EVEN, FULL, LANES,
        )  # fmt: skip
    if written >= 0:
        store_tiles(dstates_ptr + written.to(tl.int64) * (N * D_INNER), g, D_INNER, lane, width, EVEN, N, TILE)
    sums_ptr += here * ((N + 2) * D_INNER) + d0
    _add_tiles(sums_ptr, dA, D_INNER, lane, width, N, TILE)
    _add_row(sums_ptr + N * D_INNER + d, sums[0], d < width)
    _add_row(sums_ptr + (N + 1) * D_INNER + d, sums[2], d < width)


@triton.jit
def _add_row(ptr, value, mask):
    """Add to what is stored, in float64."""
    tl.store(ptr, tl.load(ptr, mask=mask) + value.to(tl.float64), mask=mask)


@triton.jit
def _add_tiles(ptr, tiles, stride, d, width, N: tl.constexpr, TILE: tl.constexpr):
    """Add to what `store_tiles` has stored, in float64."""
    n = tl.arange(0, TILE)
    for i in tl.static_range(N // TILE):
        _add_row(ptr + (n[:, None] + i * TILE) * stride + d[None, :], tiles[i], (d < width)[None, :])


@triton.jit(do_not_specialize=["first_chunk", "chunks", "size", "count"])
def add_shares_kernel(
    shares_ptr, dB_ptr, dC_ptr, chunks_ptr, first_chunk, chunks, size, count,
    D_STATE: tl.constexpr, N: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    """Add the `count` shares of dB and dC of some rows of a chunk, always in the same order."""
    ROWS: tl.constexpr = BLOCK // (2 * N)
    parts = tl.cdiv(size, ROWS)
    here = (tl.program_id(0) // parts).to(tl.int64)
    i = tl.arange(0, BLOCK)
    row = (tl.program_id(0) % parts) * ROWS + i // (2 * N)
    n = i % N
    first = tl.load(chunks_ptr + 3 * (first_chunk + here))
    rows = tl.load(chunks_ptr + 3 * (first_chunk + here) + 1)
    shares_ptr += (here * size + (tl.program_id(0) % parts) * ROWS) * (2 * N)
    apart = chunks.to(tl.int64) * size * (2 * N)
    total = tl.zeros((BLOCK,), tl.float64)
    for done in range(0, count, UNROLL):
        some = tl.zeros((BLOCK,), shares_ptr.dtype.element_ty)
        for k in tl.static_range(UNROLL):
            mask = row < tl.where(done + k < count, rows, 0)
            some += tl.load(shares_ptr + (done + k) * apart + i, mask=mask, other=0.0)
        total += some
    at = (first + STEP * row) * D_STATE + n
    value = total.to(shares_ptr.dtype.element_ty).to(dB_ptr.dtype.element_ty)
    which = (i // N) % 2
    mask = (row < rows) & (n < D_STATE)
    tl.store(dB_ptr + at, value, mask=mask & (which == 0))
    tl.store(dC_ptr + at, value, mask=mask & (which == 1))
