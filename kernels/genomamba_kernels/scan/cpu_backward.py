"""Backward of the selective scan for CPUs: one call walks some groups of channels of one sequence.

The states of a chunk are recomputed from its border and kept with the decays, so that the walk back
needs no second exponential. dB and dC are sums over channels: each group of four blocks leaves its
own sum, and `scan_reduce` adds the groups in order, so that no result depends on the threads.
"""

# mypy: disable-error-code="no-untyped-def"

import math

from numba import njit

from genomamba_kernels._compile import kernel
from genomamba_kernels._functions import exp2_product, sigmoid, silu, softplus, softplus_slope
from genomamba_kernels._rows import load_maps, load_rows, store_rows
from genomamba_kernels._simd import LANES, accumulate, broadcast, fma, full, load, load_one, store, store_one, sum_lanes
from genomamba_kernels.scan.cpu_forward import CHUNK, ROWS, STATES, SUM, add, clear, ends_sum

GROUP = 4
"""Blocks of 16 channels whose share of dB and dC is summed in one piece."""
SLOT = 12 * ROWS
"""Numbers of scratch for the rows of one block of a group."""
# The rows of a slot.
U, DELTA, SLOPE, X, DY, DGATE, Y, DX, DDELTA = (i * ROWS for i in range(9))
PART = 3 * ROWS
"""From Y, DX and DDELTA to their partial sums."""
# After the slots: decays, states (one more than positions), and the shares of dB and dC, all [t, 4, 16].
DECAYS = GROUP * SLOT
HIDDEN = DECAYS + STATES * ROWS
DB = HIDDEN + STATES * (ROWS + LANES)
DC = DB + STATES * ROWS
MAPS = DC + STATES * ROWS
LN_2 = math.log(2)


def backward_scratch(padded: int) -> int:
    """Return how many numbers of scratch `scan_backward` needs for a padded d_state."""
    return MAPS + 2 * CHUNK * padded


@kernel
def scan_backward(
    u, delta, z, B, C, dy, A, D, bias, borders, dstate, du, ddelta, dz, shares, dA, dD, dbias, scratch,
    length, width, d_state, padded, row, first_group, last_group, first_chunk, last_chunk, batch,
    softplus_on, gated, reverse,
):  # fmt: skip
    """Walk chunks last_chunk - 1 down to first_chunk of some groups of batch row `row`.

    A, D, bias, borders : as in `scan_forward`
    dstate : [batch, block, padded, 16], from the gradient after the chunks to the one before them
    shares : [chunk - first_chunk, batch, group, 2, padded, CHUNK], of dB and dC
    dA, dD, dbias : [batch, block, (padded,) 16], float64, added to
    """
    blocks = (width + LANES - 1) // LANES
    groups = (blocks + GROUP - 1) // GROUP
    chunks = (length + CHUNK - 1) // CHUNK
    s_B, s_C = MAPS, MAPS + CHUNK * padded
    direction = -1 if reverse else 1
    stride = direction * width
    for chunk in range(last_chunk - 1, first_chunk - 1, -1):
        rows = min(CHUNK, length - chunk * CHUNK)
        position = length - 1 - chunk * CHUNK if reverse else chunk * CHUNK
        position += row * length
        load_maps(B, position * d_state, direction * d_state, d_state, padded, rows, scratch, s_B)
        load_maps(C, position * d_state, direction * d_state, d_state, padded, rows, scratch, s_C)
        for group in range(first_group, last_group):
            first, last = group * GROUP, min(group * GROUP + GROUP, blocks)
            for block in range(first, last):
                offset = position * width + LANES * block
                lanes = min(LANES, width - LANES * block)
                slot = (block - first) * SLOT
                load_rows(u, offset, stride, lanes, rows, scratch, slot + U)
                load_rows(delta, offset, stride, lanes, rows, scratch, slot + DELTA)
                load_rows(dy, offset, stride, lanes, rows, scratch, slot + DY)
                if gated:
                    load_rows(z, offset, stride, lanes, rows, scratch, slot + DGATE)
                _prepare(scratch, slot, load(bias, LANES * block), load(D, LANES * block), rows, softplus_on, gated)
            share = ((chunk - first_chunk) * batch + row) * groups + group
            share *= 2 * padded * CHUNK
            for n in range(0, padded, STATES):
                for i in range(0, STATES * ROWS, LANES):
                    store(scratch, DB + i, full(scratch, 0.0))
                    store(scratch, DC + i, full(scratch, 0.0))
                for block in range(first, last):
                    slot = (block - first) * SLOT
                    border = (((row * chunks + chunk) * blocks + block) * padded + n) * LANES
                    a = (block * padded + n) * LANES
                    h = ((row * blocks + block) * padded + n) * LANES
                    if n > 0 and n % SUM == 0:
                        for i in (Y, DX, DDELTA):
                            clear(scratch, slot + PART + i, rows)
                    part = 0 if n < SUM else PART
                    _recompute(scratch, slot, part, s_B + n, s_C + n, padded, A, a, borders, border, rows, gated)
                    _walk_back(scratch, slot, part, s_B + n, s_C + n, padded, A, a, dstate, dA, h, rows)
                    if ends_sum(n, padded):
                        for i in (Y, DX, DDELTA):
                            add(scratch, slot + PART + i, slot + i, rows)
                for k in range(STATES):
                    for t in range(0, rows, LANES):
                        i = LANES * (STATES * t + k)
                        j = share + (n + k) * CHUNK + t
                        store(shares, j, sum_lanes(scratch, DB + i, LANES * STATES))
                        store(shares, j + padded * CHUNK, sum_lanes(scratch, DC + i, LANES * STATES))
            for block in range(first, last):
                offset = position * width + LANES * block
                lanes = min(LANES, width - LANES * block)
                slot = (block - first) * SLOT
                i = (row * blocks + block) * LANES
                _finish(scratch, slot, load(D, LANES * block), dD, dbias, i, rows, gated)
                store_rows(scratch, slot + U, rows, du, offset, stride, lanes)
                store_rows(scratch, slot + DDELTA, rows, ddelta, offset, stride, lanes)
                if gated:
                    store_rows(scratch, slot + DGATE, rows, dz, offset, stride, lanes)


@njit
def _prepare(scratch, slot, bias, D, rows, softplus_on, gated):
    """Compute delta and its slope, x = delta u, the gradient of y before the gate, and start the sums."""
    for i in range(slot, slot + rows * LANES, LANES):
        delta = load(scratch, DELTA + i) + bias
        if softplus_on:
            store(scratch, SLOPE + i, softplus_slope(delta))
            delta = softplus(delta)
        else:
            store(scratch, SLOPE + i, full(scratch, 1.0))
        u = load(scratch, U + i)
        store(scratch, DELTA + i, delta)
        store(scratch, X + i, delta * u)
        store(scratch, DX + i, full(scratch, 0.0))
        store(scratch, DDELTA + i, full(scratch, 0.0))
        if gated:
            z = load(scratch, DGATE + i)
            dout = load(scratch, DY + i)
            s = sigmoid(z)
            store(scratch, DGATE + i, dout * (s * fma(z, 1.0 - s, 1.0)))
            store(scratch, DY + i, dout * silu(z))
            store(scratch, Y + i, D * u)


@njit
def _recompute(scratch, slot, part, s_B, s_C, padded, A, a, borders, border, rows, gated):
    """Walk forward as `scan_forward` does, and keep every state and decay."""
    A0, A1, A2, A3 = load(A, a), load(A, a + 16), load(A, a + 32), load(A, a + 48)
    h0, h1 = load(borders, border), load(borders, border + 16)
    h2, h3 = load(borders, border + 32), load(borders, border + 48)
    store(scratch, HIDDEN, h0)
    store(scratch, HIDDEN + 16, h1)
    store(scratch, HIDDEN + 32, h2)
    store(scratch, HIDDEN + 48, h3)
    for t in range(rows):
        delta = load(scratch, slot + DELTA + LANES * t)
        x = load(scratch, slot + X + LANES * t)
        b, i = s_B + padded * t, STATES * LANES * t
        a0, a1 = exp2_product(delta, A0), exp2_product(delta, A1)
        a2, a3 = exp2_product(delta, A2), exp2_product(delta, A3)
        h0 = fma(a0, h0, x * broadcast(scratch, b))
        h1 = fma(a1, h1, x * broadcast(scratch, b + 1))
        h2 = fma(a2, h2, x * broadcast(scratch, b + 2))
        h3 = fma(a3, h3, x * broadcast(scratch, b + 3))
        store(scratch, DECAYS + i, a0)
        store(scratch, DECAYS + i + 16, a1)
        store(scratch, DECAYS + i + 32, a2)
        store(scratch, DECAYS + i + 48, a3)
        store(scratch, HIDDEN + i + 64, h0)
        store(scratch, HIDDEN + i + 80, h1)
        store(scratch, HIDDEN + i + 96, h2)
        store(scratch, HIDDEN + i + 112, h3)
        if gated:
            c = s_C + padded * t
            j = slot + part + Y + LANES * t
            term = h0 * broadcast(scratch, c)
            term = fma(h1, broadcast(scratch, c + 1), term)
            term = fma(h2, broadcast(scratch, c + 2), term)
            term = fma(h3, broadcast(scratch, c + 3), term)
            store(scratch, j, load(scratch, j) + term)


@njit
def _walk_back(scratch, slot, part, s_B, s_C, padded, A, a, dstate, dA, g, rows):
    """Walk the chunk backwards: g is dL/dh after position t, then g a the one before it."""
    A0, A1, A2, A3 = load(A, a), load(A, a + 16), load(A, a + 32), load(A, a + 48)
    g0, g1, g2, g3 = load(dstate, g), load(dstate, g + 16), load(dstate, g + 32), load(dstate, g + 48)
    i = HIDDEN + STATES * LANES * rows
    h0, h1, h2, h3 = load(scratch, i), load(scratch, i + 16), load(scratch, i + 32), load(scratch, i + 48)
    zero = full(scratch, 0.0)
    dA0, dA1, dA2, dA3 = zero, zero, zero, zero
    for t in range(rows - 1, -1, -1):
        delta = load(scratch, slot + DELTA + LANES * t)
        x = load(scratch, slot + X + LANES * t)
        dy = load(scratch, slot + DY + LANES * t)
        dx, ddelta = zero, zero
        b, c, i = s_B + padded * t, s_C + padded * t, STATES * LANES * t
        g0, h0, dA0, dx, ddelta = _step_back(scratch, i, b, c, g0, h0, dA0, A0, delta, x, dy, dx, ddelta)
        g1, h1, dA1, dx, ddelta = _step_back(scratch, i + 16, b + 1, c + 1, g1, h1, dA1, A1, delta, x, dy, dx, ddelta)
        g2, h2, dA2, dx, ddelta = _step_back(scratch, i + 32, b + 2, c + 2, g2, h2, dA2, A2, delta, x, dy, dx, ddelta)
        g3, h3, dA3, dx, ddelta = _step_back(scratch, i + 48, b + 3, c + 3, g3, h3, dA3, A3, delta, x, dy, dx, ddelta)
        j = slot + part + LANES * t
        store(scratch, DX + j, load(scratch, DX + j) + dx)
        store(scratch, DDELTA + j, load(scratch, DDELTA + j) + ddelta)
    store(dstate, g, g0)
    store(dstate, g + 16, g1)
    store(dstate, g + 32, g2)
    store(dstate, g + 48, g3)
    accumulate(dA, g, dA0)
    accumulate(dA, g + 16, dA1)
    accumulate(dA, g + 32, dA2)
    accumulate(dA, g + 48, dA3)


@njit(forceinline=True)
def _step_back(scratch, i, b, c, g, h, dA, A, delta, x, dy, dx, ddelta):
    """Take one state one position back; h is the state after it on entry, before it on return."""
    g = fma(dy, broadcast(scratch, c), g)
    store(scratch, DC + i, fma(dy, h, load(scratch, DC + i)))
    store(scratch, DB + i, fma(g, x, load(scratch, DB + i)))
    dx = fma(g, broadcast(scratch, b), dx)
    h = load(scratch, HIDDEN + i)
    g = g * load(scratch, DECAYS + i)
    slope = g * h
    return g, h, fma(slope, delta, dA), dx, fma(slope, A, ddelta)


@njit
def _finish(scratch, slot, D, dD, dbias, index, rows, gated):
    """Turn the sums of a block into du (in U), ddelta and dz (in DGATE), and add to dD and dbias."""
    sum_D = full(scratch, 0.0)
    sum_bias = full(scratch, 0.0)
    eight = slot + 8 * LANES
    for i in range(slot, slot + rows * LANES, LANES):
        u = load(scratch, U + i)
        dx = load(scratch, DX + i)
        dy = load(scratch, DY + i)
        ddelta = fma(dx, u, load(scratch, DDELTA + i) * LN_2) * load(scratch, SLOPE + i)
        sum_D = fma(dy, u, sum_D)
        sum_bias = sum_bias + ddelta
        store(scratch, DDELTA + i, ddelta)
        store(scratch, U + i, fma(dx, load(scratch, DELTA + i), dy * D))
        if gated:
            store(scratch, DGATE + i, load(scratch, DGATE + i) * load(scratch, Y + i))
        if i == eight:
            # Eight rows in the dtype of the state, then float64: nothing is lost over a million rows.
            accumulate(dD, index, sum_D)
            accumulate(dbias, index, sum_bias)
            sum_D = full(scratch, 0.0)
            sum_bias = full(scratch, 0.0)
            eight += 8 * LANES
    accumulate(dD, index, sum_D)
    accumulate(dbias, index, sum_bias)


@kernel
def scan_reduce(shares, dB, dC, length, d_state, padded, row, chunk, first_chunk, batch, groups, reverse):
    """Add the shares of all groups of one chunk, in order, into dB and dC of batch row `row`."""
    rows = min(CHUNK, length - chunk * CHUNK)
    share = ((chunk - first_chunk) * batch + row) * groups * 2 * padded * CHUNK
    for t in range(rows):
        position = length - 1 - chunk * CHUNK - t if reverse else chunk * CHUNK + t
        target = (row * length + position) * d_state
        for n in range(d_state):
            i = share + n * CHUNK + t
            sum_B = load_one(shares, i)
            sum_C = load_one(shares, i + padded * CHUNK)
            for group in range(1, groups):
                j = i + group * 2 * padded * CHUNK
                sum_B += load_one(shares, j)
                sum_C += load_one(shares, j + padded * CHUNK)
            store_one(dB, target + n, sum_B)
            store_one(dC, target + n, sum_C)
