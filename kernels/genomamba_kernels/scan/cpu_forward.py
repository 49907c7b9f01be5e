"""Forward of the selective scan for CPUs: one call walks some blocks of 16 channels of one sequence."""

# mypy: disable-error-code="no-untyped-def"

from numba import njit

from genomamba_kernels._compile import kernel
from genomamba_kernels._functions import exp2_product, silu, softplus
from genomamba_kernels._rows import load_maps, load_rows, store_rows
from genomamba_kernels._simd import LANES, broadcast, fma, full, load, store

CHUNK = 64
"""Positions staged at a time; the states between chunks are what backward starts from."""
STATES = 4
"""States of a channel held in registers at a time; d_state is padded to a multiple."""
SUM = 16
"""States whose terms are added up before they join the sum over all: with more, a wide state loses digits."""
ROWS = CHUNK * LANES
"""Numbers in the scratch of one staged tensor."""


def forward_scratch(padded: int) -> int:
    """Return how many numbers of scratch `scan_forward` needs for a padded d_state."""
    return 5 * ROWS + 2 * CHUNK * padded


@kernel
def scan_forward(
    u, delta, z, B, C, A, D, bias, state, borders, y, scratch, length, width, d_state, padded,
    row, first, last, softplus_on, gated, keep, reverse,
):  # fmt: skip
    """Walk blocks first to last (exclusive) of batch row `row`, and leave the last state in `state`.

    A, D, bias : [block, (padded,) 16], A times log2(e)
    state : [batch, block, padded, 16]
    borders : [batch, chunk, block, padded, 16], written where `keep`
    """
    blocks = (width + LANES - 1) // LANES
    chunks = (length + CHUNK - 1) // CHUNK
    s_delta, s_x, s_y, s_z, s_part = 0, ROWS, 2 * ROWS, 3 * ROWS, 4 * ROWS
    s_B, s_C = 5 * ROWS, 5 * ROWS + CHUNK * padded
    direction = -1 if reverse else 1
    for chunk in range(chunks):
        rows = min(CHUNK, length - chunk * CHUNK)
        position = length - 1 - chunk * CHUNK if reverse else chunk * CHUNK
        position += row * length
        load_maps(B, position * d_state, direction * d_state, d_state, padded, rows, scratch, s_B)
        load_maps(C, position * d_state, direction * d_state, d_state, padded, rows, scratch, s_C)
        for block in range(first, last):
            offset = position * width + LANES * block
            stride = direction * width
            lanes = min(LANES, width - LANES * block)
            h = (row * blocks + block) * padded * LANES
            if keep:
                border = ((row * chunks + chunk) * blocks + block) * padded * LANES
                for i in range(0, padded * LANES, LANES):
                    store(borders, border + i, load(state, h + i))
            load_rows(delta, offset, stride, lanes, rows, scratch, s_delta)
            load_rows(u, offset, stride, lanes, rows, scratch, s_x)
            _prepare(scratch, s_delta, s_x, s_y, load(bias, LANES * block), load(D, LANES * block), rows, softplus_on)
            for n in range(0, padded, STATES):
                if n > 0 and n % SUM == 0:
                    clear(scratch, s_part, rows)
                s_sum = s_y if n < SUM else s_part
                _walk(scratch, s_delta, s_x, s_sum, s_B + n, s_C + n, padded, A, (block * padded + n) * LANES,
                      state, h + n * LANES, rows)  # fmt: skip
                if ends_sum(n, padded):
                    add(scratch, s_part, s_y, rows)
            if gated:
                load_rows(z, offset, stride, lanes, rows, scratch, s_z)
                for i in range(0, rows * LANES, LANES):
                    gate = load(scratch, s_z + i)
                    store(scratch, s_y + i, load(scratch, s_y + i) * silu(gate))
            store_rows(scratch, s_y, rows, y, offset, stride, lanes)


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
def _prepare(scratch, s_delta, s_x, s_y, bias, D, rows, softplus_on):
    """Replace delta by the step, u by x = delta u, and start y with D u."""
    for i in range(0, rows * LANES, LANES):
        delta = load(scratch, s_delta + i) + bias
        if softplus_on:
            delta = softplus(delta)
        u = load(scratch, s_x + i)
        store(scratch, s_delta + i, delta)
        store(scratch, s_x + i, delta * u)
        store(scratch, s_y + i, D * u)


@njit
def _walk(scratch, s_delta, s_x, s_y, s_B, s_C, padded, A, a, state, h, rows):
    """Walk the positions of a chunk with four states in registers: h = exp2(delta A) h + x B, y += C h."""
    A0, A1, A2, A3 = load(A, a), load(A, a + 16), load(A, a + 32), load(A, a + 48)
    h0, h1, h2, h3 = load(state, h), load(state, h + 16), load(state, h + 32), load(state, h + 48)
    for t in range(rows):
        delta = load(scratch, s_delta + LANES * t)
        x = load(scratch, s_x + LANES * t)
        y = load(scratch, s_y + LANES * t)
        b, c = s_B + padded * t, s_C + padded * t
        h0 = fma(exp2_product(delta, A0), h0, x * broadcast(scratch, b))
        h1 = fma(exp2_product(delta, A1), h1, x * broadcast(scratch, b + 1))
        h2 = fma(exp2_product(delta, A2), h2, x * broadcast(scratch, b + 2))
        h3 = fma(exp2_product(delta, A3), h3, x * broadcast(scratch, b + 3))
        term = h0 * broadcast(scratch, c)
        term = fma(h1, broadcast(scratch, c + 1), term)
        term = fma(h2, broadcast(scratch, c + 2), term)
        term = fma(h3, broadcast(scratch, c + 3), term)
        store(scratch, s_y + LANES * t, y + term)
    store(state, h, h0)
    store(state, h + 16, h1)
    store(state, h + 32, h2)
    store(state, h + 48, h3)
