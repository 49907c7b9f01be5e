"""Backward of the selective scan for CPUs: walked in turns (see `cpu_plan`).

Columns are walked from their last chunk to the first. The states of a chunk are recomputed from its border and
kept with the decays, so that the walk back needs no second exponential. dB and dC are sums over channels: each
group of four blocks is summed by itself, and the groups are added in order, so that no result depends on the
threads.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

import math
from typing import Any, NamedTuple

from numba import njit

from genomamba_kernels._compile import kernel
from genomamba_kernels._functions import (
    exp2_products,
    sigmoid,
    silu,
    small_exp2_products,
    softplus,
    softplus_slope,
)
from genomamba_kernels._rows import load_maps, load_rows, store_rows
from genomamba_kernels._simd import (
    LANES,
    accumulate,
    broadcast,
    fma,
    full,
    larger_magnitude,
    load,
    load_one,
    prefetch,
    store,
    store_one,
    sum_lanes,
    transpose,
)
from genomamba_kernels._turns import end_turn, next_task, wait_for_turn
from genomamba_kernels.scan.cpu_forward import ROWS, SUM, add, clear, ends_sum, is_small
from genomamba_kernels.scan.cpu_plan import CHUNK, STATES
from genomamba_kernels.scan.cpu_states import find_sequence, load_states, store_states

GROUP = 4
"""Blocks of 16 channels whose share of dB and dC is summed in one piece."""
SLOT = 12 * ROWS + LANES
"""Numbers of scratch for the rows of one block, and at its end the largest delta of each channel."""
LARGEST = 12 * ROWS
# The rows of a slot.
U, DELTA, SLOPE, X, DY, DGATE, Y, DX, DDELTA = (i * ROWS for i in range(9))
PART = 3 * ROWS
"""From Y, DX and DDELTA to their partial sums."""
# At the front: decays, states (one more than positions), and what a group adds to dB and dC, all [t, 4, 16].
DECAYS = 0
HIDDEN = DECAYS + STATES * ROWS
DB = HIDDEN + STATES * (ROWS + LANES)
DC = DB + STATES * ROWS
MAPS = DC + STATES * ROWS
"""[chunk]: B and C, [t, padded], and the sums of dB and dC, [padded, t]; then the slots."""
LN_2 = math.log(2)


class BackwardArrays(NamedTuple):
    """Flat memory of the tensors; see `ScanArguments`, `ScanGradients` and `ForwardArrays`."""

    u: Any
    delta: Any
    z: Any
    B: Any
    C: Any
    borders: Any
    dy: Any
    dfinal: Any
    du: Any
    ddelta: Any
    dz: Any
    dB: Any
    dC: Any
    dparameters: Any
    """[column, block, padded + 2, 16], float64: of A, D and delta_bias, added to."""
    dinitial: Any
    parameters: Any
    dstate: Any
    """[column, block, padded, 16]: the gradient after the chunks that are left."""


def backward_scratch(padded: int, chunks: int, slots: int) -> int:
    """Return how many numbers of scratch `scan_backward` needs: maps and sums of some chunks, and some slots."""
    return MAPS + 4 * CHUNK * padded * chunks + slots * SLOT


@kernel
def scan_backward(a, places, shape, scratch):
    """Do tasks until none is left."""
    while True:
        task = next_task(places.turns)
        if task >= len(places.tasks):
            return
        turn = places.tasks[task, 0]
        for column in range(places.tasks[task, 1], places.tasks[task, 2]):
            _take_turn(a, places, shape, scratch, column, turn)


@njit
def _take_turn(a, places, shape, scratch, column, turn):
    last = places.columns[column + 1] - turn * shape.turn_chunks
    first = max(places.columns[column], last - shape.turn_chunks)
    parts = len(places.edges) - 1
    for part in range(parts):
        for step in range(shape.steps):
            state = (column * parts + part) * shape.steps + step
            # To begin needs no state. To end adds to sums over positions, in order.
            if shape.steps == 1 or step > 0:
                wait_for_turn(places.turns, state, turn)
            _take_step(a, places, shape, scratch, column, first, last, part, step)
            end_turn(places.turns, state, turn)


@njit
def _take_step(a, places, shape, scratch, column, first, last, part, step):
    """Do chunks last - 1 down to first of the groups of a part: all of it, or begin, a few states, or end."""
    width, d_state, padded = shape.width, shape.d_state, shape.padded
    blocks = (width + LANES - 1) // LANES
    groups = (blocks + GROUP - 1) // GROUP
    first_group, last_group = places.edges[part], places.edges[part + 1]
    begins, ends = step == 0, step == shape.steps - 1
    if shape.steps == 1:
        first_state, last_state = 0, padded
    else:
        first_state = max(0, step - 1) * STATES
        last_state = first_state if begins or ends else first_state + STATES
    apart = shape.steps > 1 or len(places.edges) > 2
    direction = -1 if shape.reverse else 1
    # Where the states are walked in groups, nothing is left to be fetched meanwhile.
    fetched = direction * width if shape.steps == 1 else 0
    s_slots = MAPS + 4 * CHUNK * padded * (shape.turn_chunks if apart else 1)
    sequence = find_sequence(places.chunks, places.sequences[column], last - 1)
    for chunk in range(last - 1, first - 1, -1):
        if chunk < places.chunks[sequence]:
            sequence -= 1
        t = (chunk - places.chunks[sequence]) * CHUNK
        start, end = places.starts[sequence], places.starts[sequence + 1]
        rows = min(CHUNK, end - start - t)
        position = end - 1 - t if shape.reverse else start + t
        s_B = MAPS + ((chunk - first) * 4 * CHUNK * padded if apart else 0)
        s_C, s_dB, s_dC = s_B + CHUNK * padded, s_B + 2 * CHUNK * padded, s_B + 3 * CHUNK * padded
        if begins and part == 0:
            load_maps(a.B, position * d_state, direction * d_state, d_state, padded, rows, scratch, s_B)
            load_maps(a.C, position * d_state, direction * d_state, d_state, padded, rows, scratch, s_C)
        s_part = s_slots
        if shape.steps > 1:
            s_part += (chunk - first) * (min(last_group * GROUP, blocks) - first_group * GROUP) * SLOT
        for group in range(first_group, last_group):
            slots = s_part
            if shape.steps > 1:
                slots += (group - first_group) * GROUP * SLOT
            first_block, last_block = group * GROUP, min(group * GROUP + GROUP, blocks)
            for block in range(first_block, last_block):
                h = (column * blocks + block) * padded * LANES
                if chunk + 1 == places.chunks[sequence + 1]:
                    load_states(
                        a.dfinal, shape.given, sequence, block, width, d_state, first_state, last_state, a.dstate, h
                    )
                if begins:
                    _load_block(a, shape, scratch, slots + (block - first_block) * SLOT, block, position, rows)
            for n in range(first_state, last_state, STATES):
                for i in range(0, STATES * ROWS, LANES):
                    store(scratch, DB + i, full(scratch, 0.0))
                    store(scratch, DC + i, full(scratch, 0.0))
                for block in range(first_block, last_block):
                    slot = slots + (block - first_block) * SLOT
                    border = ((chunk * blocks + block) * padded + n) * LANES
                    p = (block * (padded + 2) + n) * LANES
                    dp = ((column * blocks + block) * (padded + 2) + n) * LANES
                    h = ((column * blocks + block) * padded + n) * LANES
                    if n > 0 and n % SUM == 0:
                        for i in (Y, DX, DDELTA):
                            clear(scratch, slot + PART + i, rows)
                    s_sum = slot + (0 if n < SUM else PART)
                    # While the states are walked, the rows that come next are fetched, and those to be written.
                    k = n // STATES % 4
                    offset = position * width + LANES * block
                    ahead = offset + LANES * GROUP
                    if group + 1 == last_group:
                        ahead = (position - direction * CHUNK) * width + LANES * (
                            first_group * GROUP + block - first_block
                        )
                    source = a.u if k == 0 else a.delta if k == 1 else a.dy if k == 2 else a.z
                    target = a.du if k == 0 else a.ddelta if k == 1 else a.dz if k == 2 else a.z
                    _recompute(scratch, slot, s_sum, s_B + n, s_C + n, padded, a.parameters, p, a.borders, border,
                               rows, shape.gated, source, ahead, fetched)  # fmt: skip
                    _walk_back(scratch, slot, s_sum, s_B + n, s_C + n, padded, a.parameters, p, a.dstate, h,
                               a.dparameters, dp, rows, target, offset, fetched)  # fmt: skip
                    if ends_sum(n, padded):
                        for i in (Y, DX, DDELTA):
                            add(scratch, slot + PART + i, slot + i, rows)
                _add_shares(scratch, s_dB + n * CHUNK, s_dC + n * CHUNK, rows, group > 0)
            for block in range(first_block, last_block):
                if ends:
                    _store_block(a, shape, scratch, slots + (block - first_block) * SLOT, column, block, position, rows)
                if chunk == places.chunks[sequence]:
                    h = (column * blocks + block) * padded * LANES
                    store_states(a.dstate, h, sequence, block, width, d_state, first_state, last_state, a.dinitial)
        if ends and last_group == groups:
            _store_maps(scratch, s_dB, a.dB, position * d_state, direction * d_state, d_state, rows)
            _store_maps(scratch, s_dC, a.dC, position * d_state, direction * d_state, d_state, rows)


@njit
def _load_block(a, shape, scratch, slot, block, position, rows):
    """Stage the rows of a block, and start its sums."""
    offset = position * shape.width + LANES * block
    stride = -shape.width if shape.reverse else shape.width
    lanes = min(LANES, shape.width - LANES * block)
    load_rows(a.u, offset, stride, lanes, rows, scratch, slot + U)
    load_rows(a.delta, offset, stride, lanes, rows, scratch, slot + DELTA)
    load_rows(a.dy, offset, stride, lanes, rows, scratch, slot + DY)
    if shape.gated:
        load_rows(a.z, offset, stride, lanes, rows, scratch, slot + DGATE)
    parameters = (block + 1) * (shape.padded + 2) * LANES
    D, bias = load(a.parameters, parameters - 2 * LANES), load(a.parameters, parameters - LANES)
    _prepare(scratch, slot, bias, D, rows, shape.delta_softplus, shape.gated)


@njit
def _store_block(a, shape, scratch, slot, column, block, position, rows):
    """Finish the gradients of the rows of a block and write them."""
    offset = position * shape.width + LANES * block
    stride = -shape.width if shape.reverse else shape.width
    lanes = min(LANES, shape.width - LANES * block)
    blocks = (shape.width + LANES - 1) // LANES
    D = load(a.parameters, ((block + 1) * (shape.padded + 2) - 2) * LANES)
    dparameters = ((column * blocks + block + 1) * (shape.padded + 2) - 2) * LANES
    _finish(scratch, slot, D, a.dparameters, dparameters, rows, shape.gated)
    store_rows(scratch, slot + U, rows, a.du, offset, stride, lanes)
    store_rows(scratch, slot + DDELTA, rows, a.ddelta, offset, stride, lanes)
    if shape.gated:
        store_rows(scratch, slot + DGATE, rows, a.dz, offset, stride, lanes)


@njit
def _add_shares(scratch, s_B, s_C, rows, adds):
    """Sum what the channels of a group add to dB and dC, and write it, or add it to the groups before."""
    for k in range(STATES):
        for t in range(0, rows, LANES):
            i = LANES * (STATES * t + k)
            j = CHUNK * k + t
            sum_B, sum_C = sum_lanes(scratch, DB + i, LANES * STATES), sum_lanes(scratch, DC + i, LANES * STATES)
            if adds:
                sum_B, sum_C = load(scratch, s_B + j) + sum_B, load(scratch, s_C + j) + sum_C
            store(scratch, s_B + j, sum_B)
            store(scratch, s_C + j, sum_C)


@njit
def _store_maps(scratch, start, target, offset, stride, d_state, rows):
    """Write the sums [n, t] of a chunk to rows of `d_state` numbers."""
    whole = rows // LANES * LANES if d_state % LANES == 0 else 0
    for t in range(0, whole, LANES):
        for n in range(0, d_state, LANES):
            transpose(scratch, start + CHUNK * n + t, CHUNK, target, offset + stride * t + n, stride)
    for t in range(whole, rows):
        for n in range(d_state):
            store_one(target, offset + stride * t + n, load_one(scratch, start + CHUNK * n + t))


@njit
def _prepare(scratch, slot, bias, D, rows, delta_softplus, gated):
    """Compute delta and its slope, x = delta u, the gradient of y before the gate, and start the sums."""
    largest = full(scratch, 0.0)
    for i in range(slot, slot + rows * LANES, LANES):
        delta = load(scratch, DELTA + i) + bias
        if delta_softplus:
            store(scratch, SLOPE + i, softplus_slope(delta))
            delta = softplus(delta)
        else:
            store(scratch, SLOPE + i, full(scratch, 1.0))
        u = load(scratch, U + i)
        store(scratch, DELTA + i, delta)
        store(scratch, X + i, delta * u)
        largest = larger_magnitude(delta, largest)
        store(scratch, DX + i, full(scratch, 0.0))
        store(scratch, DDELTA + i, full(scratch, 0.0))
        if gated:
            z = load(scratch, DGATE + i)
            dout = load(scratch, DY + i)
            s = sigmoid(z)
            store(scratch, DGATE + i, dout * (s * fma(z, 1.0 - s, 1.0)))
            store(scratch, DY + i, dout * silu(z))
            store(scratch, Y + i, D * u)
    store(scratch, slot + LARGEST, largest)


def _make_recompute(powers):
    @njit
    def recompute(scratch, slot, s_sum, s_B, s_C, padded, A, a, borders, border, rows, gated, source, p, stride):
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
            a0, a1, a2, a3 = powers(delta, A0, A1, A2, A3)
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
            prefetch(source, p + stride * t)
            if gated:
                c = s_C + padded * t
                j = s_sum + Y + LANES * t
                term = h0 * broadcast(scratch, c)
                term = fma(h1, broadcast(scratch, c + 1), term)
                term = fma(h2, broadcast(scratch, c + 2), term)
                term = fma(h3, broadcast(scratch, c + 3), term)
                store(scratch, j, load(scratch, j) + term)

    return recompute


_recompute_any = _make_recompute(exp2_products)
_recompute_small = _make_recompute(small_exp2_products)


@njit
def _recompute(scratch, slot, s_sum, s_B, s_C, padded, A, a, borders, border, rows, gated, source, p, stride):
    arguments = (scratch, slot, s_sum, s_B, s_C, padded, A, a, borders, border, rows, gated, source, p, stride)
    if is_small(A, a, scratch, slot + LARGEST):
        _recompute_small(*arguments)
    else:
        _recompute_any(*arguments)


@njit
def _walk_back(scratch, slot, s_sum, s_B, s_C, padded, A, a, dstate, g, sums_A, dA, rows, source, p, stride):
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
        prefetch(source, p + stride * t)
        b, c, i = s_B + padded * t, s_C + padded * t, STATES * LANES * t
        g0, h0, dA0, dx, ddelta = _step_back(scratch, i, b, c, g0, h0, dA0, A0, delta, x, dy, dx, ddelta)
        g1, h1, dA1, dx, ddelta = _step_back(scratch, i + 16, b + 1, c + 1, g1, h1, dA1, A1, delta, x, dy, dx, ddelta)
        g2, h2, dA2, dx, ddelta = _step_back(scratch, i + 32, b + 2, c + 2, g2, h2, dA2, A2, delta, x, dy, dx, ddelta)
        g3, h3, dA3, dx, ddelta = _step_back(scratch, i + 48, b + 3, c + 3, g3, h3, dA3, A3, delta, x, dy, dx, ddelta)
        j = s_sum + LANES * t
        store(scratch, DX + j, load(scratch, DX + j) + dx)
        store(scratch, DDELTA + j, load(scratch, DDELTA + j) + ddelta)
    store(dstate, g, g0)
    store(dstate, g + 16, g1)
    store(dstate, g + 32, g2)
    store(dstate, g + 48, g3)
    accumulate(sums_A, dA, dA0)
    accumulate(sums_A, dA + 16, dA1)
    accumulate(sums_A, dA + 32, dA2)
    accumulate(sums_A, dA + 48, dA3)


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
def _finish(scratch, slot, D, sums, dD, rows, gated):
    """Turn the sums of a block into du (in U), ddelta and dz (in DGATE), and add to the sums of dD
    and, right after it, dbias."""
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
            accumulate(sums, dD, sum_D)
            accumulate(sums, dD + LANES, sum_bias)
            sum_D = full(scratch, 0.0)
            sum_bias = full(scratch, 0.0)
            eight += 8 * LANES
    accumulate(sums, dD, sum_D)
    accumulate(sums, dD + LANES, sum_bias)
