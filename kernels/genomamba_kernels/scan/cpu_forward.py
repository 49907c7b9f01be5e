"""Forward of the selective scan for CPUs: walked in turns (see `cpu_plan`)."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from typing import Any, NamedTuple

from numba import njit

from genomamba_kernels._compile import kernel
from genomamba_kernels._functions import exp2_products, product_is_small, silu, small_exp2_products, softplus
from genomamba_kernels._rows import load_maps, load_rows, store_rows
from genomamba_kernels._simd import LANES, broadcast, fma, full, larger_magnitude, load, prefetch, store
from genomamba_kernels._turns import end_turn, next_task, wait_for_turn
from genomamba_kernels.scan.cpu_plan import CHUNK, STATES
from genomamba_kernels.scan.cpu_states import find_sequence, load_states, store_states

SUM = 16
"""States whose terms are added up before they join the sum over all: with more, a wide state loses digits."""
ROWS = CHUNK * LANES
"""Numbers in the scratch of one staged tensor."""
# The rows of a block.
DELTA, X, Y, Z, PART, LARGEST = (i * ROWS for i in range(6))
SLOT = 5 * ROWS + LANES
"""Numbers of scratch for the rows of a block, and at its end the largest delta of each channel."""


class ForwardArrays(NamedTuple):
    """Flat memory of the tensors; see `ScanArguments`, and `Shape` for the sizes."""

    u: Any
    delta: Any
    z: Any
    B: Any
    C: Any
    initial: Any
    y: Any
    final: Any
    borders: Any
    """[chunk, block, padded, 16]: the states before each chunk, written where `keep`."""
    parameters: Any
    """[block, padded + 2, 16]: A times log2(e), D, delta_bias."""
    state: Any
    """[column, block, padded, 16]: where each column is."""


class Places(NamedTuple):
    """Where the sequences lie and how they are divided; see `Sequences`, `Columns` and `Plan`."""

    starts: Any
    """Border of each sequence."""
    chunks: Any
    """First chunk of each sequence."""
    columns: Any
    """First chunk of each column."""
    sequences: Any
    """First sequence of each column."""
    edges: Any
    """First block, or group, of each part."""
    tasks: Any
    turns: Any
    """The next task, and for [column, part, step] how many turns have passed."""


class Shape(NamedTuple):
    """Sizes and switches."""

    width: int
    d_state: int
    padded: int
    turn_chunks: int
    steps: int
    reverse: bool
    delta_softplus: bool
    gated: bool
    """Whether there is z."""
    given: bool
    """Whether there is a state, or the gradient of one, to begin with."""
    keep: bool


def forward_scratch(padded: int, maps: int, slots: int) -> int:
    """Return how many numbers of scratch `scan_forward` needs: B and C of some chunks, and some slots."""
    return maps * 2 * CHUNK * padded + slots * SLOT


@kernel
def scan_forward(a, places, shape, scratch):
    """Do tasks until none is left."""
    while True:
        task = next_task(places.turns)
        if task >= len(places.tasks):
            return
        turn = places.tasks[task, 0]
        for column in range(places.tasks[task, 1], places.tasks[task, 2]):
            for part in range(places.tasks[task, 3], places.tasks[task, 4]):
                _take_turn(a, places, shape, scratch, column, part, turn)


@njit
def _take_turn(a, places, shape, scratch, column, part, turn):
    first = places.columns[column] + turn * shape.turn_chunks
    last = min(places.columns[column + 1], first + shape.turn_chunks)
    for step in range(shape.steps):
        state = (column * (len(places.edges) - 1) + part) * shape.steps + step
        # What needs no state need not wait: to begin, and to end.
        if shape.steps == 1 or 0 < step < shape.steps - 1:
            wait_for_turn(places.turns, state, turn)
        _take_step(a, places, shape, scratch, column, first, last, part, step)
        end_turn(places.turns, state, turn)


@njit
def _take_step(a, places, shape, scratch, column, first, last, part, step):
    """Do chunks first to last (exclusive) of the blocks of a part: all of it, or begin, a few states, or end."""
    width, d_state, padded = shape.width, shape.d_state, shape.padded
    blocks = (width + LANES - 1) // LANES
    first_block, last_block = places.edges[part], places.edges[part + 1]
    begins, ends = step == 0, step == shape.steps - 1
    if shape.steps == 1:
        first_state, last_state = 0, padded
    else:
        first_state = max(0, step - 1) * STATES
        last_state = first_state if begins or ends else first_state + STATES
    direction = -1 if shape.reverse else 1
    stride = direction * width
    # Where the states are walked in groups, nothing is left to be fetched meanwhile.
    fetched = stride if shape.steps == 1 else 0
    s_slots = 2 * CHUNK * padded * (shape.turn_chunks if shape.steps > 1 else 1)
    sequence = find_sequence(places.chunks, places.sequences[column], first)
    for chunk in range(first, last):
        if chunk == places.chunks[sequence + 1]:
            sequence += 1
        t = (chunk - places.chunks[sequence]) * CHUNK
        start, end = places.starts[sequence], places.starts[sequence + 1]
        rows = min(CHUNK, end - start - t)
        position = end - 1 - t if shape.reverse else start + t
        s_B = (chunk - first) * 2 * CHUNK * padded if shape.steps > 1 else 0
        s_C = s_B + CHUNK * padded
        if begins:
            load_maps(a.B, position * d_state, direction * d_state, d_state, padded, rows, scratch, s_B)
            load_maps(a.C, position * d_state, direction * d_state, d_state, padded, rows, scratch, s_C)
        for block in range(first_block, last_block):
            slot = s_slots
            if shape.steps > 1:
                slot += ((chunk - first) * (last_block - first_block) + block - first_block) * SLOT
            offset = position * width + LANES * block
            lanes = min(LANES, width - LANES * block)
            parameters = block * (padded + 2) * LANES
            h = (column * blocks + block) * padded * LANES
            if chunk == places.chunks[sequence]:
                load_states(
                    a.initial, shape.given, sequence, block, width, d_state, first_state, last_state, a.state, h
                )
            if shape.keep:
                border = (chunk * blocks + block) * padded * LANES
                for i in range(first_state * LANES, last_state * LANES, LANES):
                    store(a.borders, border + i, load(a.state, h + i))
            if begins:
                load_rows(a.delta, offset, stride, lanes, rows, scratch, slot + DELTA)
                load_rows(a.u, offset, stride, lanes, rows, scratch, slot + X)
                D = load(a.parameters, parameters + padded * LANES)
                bias = load(a.parameters, parameters + (padded + 1) * LANES)
                _prepare(scratch, slot, bias, D, rows, shape.delta_softplus)
            # While the states are walked, the rows that come next are fetched, a line for each position walked.
            ahead = offset + LANES
            if block + 1 == last_block:
                ahead = (position + direction * CHUNK) * width + LANES * first_block
            for n in range(first_state, last_state, STATES):
                if n > 0 and n % SUM == 0:
                    clear(scratch, slot + PART, rows)
                total = slot + (Y if n < SUM else PART)
                p = parameters + n * LANES
                k = n // STATES % 4
                source = a.u if k == 0 else a.delta if k == 1 else a.y if k == 2 else a.z
                rest = (a.parameters, p, a.state, h + n * LANES, rows, source, ahead if k < 2 else offset, fetched)
                _walk(scratch, slot, total, s_B + n, s_C + n, padded, *rest)
                if ends_sum(n, padded):
                    add(scratch, slot + PART, slot + Y, rows)
            if ends:
                if shape.gated:
                    load_rows(a.z, offset, stride, lanes, rows, scratch, slot + Z)
                    _gate(scratch, slot, rows)
                store_rows(scratch, slot + Y, rows, a.y, offset, stride, lanes)
            if chunk + 1 == places.chunks[sequence + 1]:
                store_states(a.state, h, sequence, block, width, d_state, first_state, last_state, a.final)


@njit(forceinline=True)
def ends_sum(n, padded):
    """Say whether the states from n on are the last whose terms lie in a partial sum."""
    return n >= SUM and (n % SUM == SUM - STATES or n == padded - STATES)


@njit
def clear(scratch, target, rows):
    """Set rows of scratch to 0."""
    for i in range(target, target + rows * LANES, LANES):
        store(scratch, i, full(scratch, 0.0))


@njit
def add(scratch, source, target, rows):
    """Add rows of scratch to others."""
    for i in range(0, rows * LANES, LANES):
        store(scratch, target + i, load(scratch, target + i) + load(scratch, source + i))


@njit
def _prepare(scratch, slot, bias, D, rows, delta_softplus):
    """Replace delta by the step, u by x = delta u, start y with D u, and note the largest step."""
    largest = full(scratch, 0.0)
    for i in range(slot, slot + rows * LANES, LANES):
        delta = load(scratch, DELTA + i) + bias
        if delta_softplus:
            delta = softplus(delta)
        u = load(scratch, X + i)
        store(scratch, DELTA + i, delta)
        store(scratch, X + i, delta * u)
        store(scratch, Y + i, D * u)
        largest = larger_magnitude(delta, largest)
    store(scratch, slot + LARGEST, largest)


def _make_walk(powers):
    @njit
    def walk(scratch, slot, s_y, s_B, s_C, padded, A, a, state, h, rows, source, p, stride):
        """Walk the positions of a chunk with four states in registers: h = exp2(delta A) h + x B, y += C h."""
        A0, A1, A2, A3 = load(A, a), load(A, a + 16), load(A, a + 32), load(A, a + 48)
        h0, h1, h2, h3 = load(state, h), load(state, h + 16), load(state, h + 32), load(state, h + 48)
        for t in range(rows):
            delta = load(scratch, slot + DELTA + LANES * t)
            x = load(scratch, slot + X + LANES * t)
            y = load(scratch, s_y + LANES * t)
            b, c = s_B + padded * t, s_C + padded * t
            prefetch(source, p + stride * t)
            a0, a1, a2, a3 = powers(delta, A0, A1, A2, A3)
            h0 = fma(a0, h0, x * broadcast(scratch, b))
            h1 = fma(a1, h1, x * broadcast(scratch, b + 1))
            h2 = fma(a2, h2, x * broadcast(scratch, b + 2))
            h3 = fma(a3, h3, x * broadcast(scratch, b + 3))
            term = h0 * broadcast(scratch, c)
            term = fma(h1, broadcast(scratch, c + 1), term)
            term = fma(h2, broadcast(scratch, c + 2), term)
            term = fma(h3, broadcast(scratch, c + 3), term)
            store(scratch, s_y + LANES * t, y + term)
        store(state, h, h0)
        store(state, h + 16, h1)
        store(state, h + 32, h2)
        store(state, h + 48, h3)

    return walk


_walk_any = _make_walk(exp2_products)
_walk_small = _make_walk(small_exp2_products)


@njit
def _walk(scratch, slot, s_y, s_B, s_C, padded, A, a, state, h, rows, source, p, stride):
    arguments = (scratch, slot, s_y, s_B, s_C, padded, A, a, state, h, rows, source, p, stride)
    if is_small(A, a, scratch, slot + LARGEST):
        _walk_small(*arguments)
    else:
        _walk_any(*arguments)


@njit
def is_small(A, a, scratch, largest):
    """Say whether the exponents of four states are so small that none needs a check of its range."""
    delta = load(scratch, largest)
    first = product_is_small(load(A, a), delta) and product_is_small(load(A, a + 16), delta)
    return first and product_is_small(load(A, a + 32), delta) and product_is_small(load(A, a + 48), delta)


@njit
def _gate(scratch, slot, rows):
    for i in range(slot, slot + rows * LANES, LANES):
        store(scratch, Y + i, load(scratch, Y + i) * silu(load(scratch, Z + i)))
