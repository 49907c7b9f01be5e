"""Forward and backward of the causal convolution for CPUs: one call does one segment of one sequence.

Positions are counted in the order of the walk, s; rows with s < 0 come from the initial state. A window
holds the rows from d_conv - 1 before a chunk on, so that the output t rows into the chunk is the sum of
weight j times row t + j of the window.
"""

# mypy: disable-error-code="no-untyped-def"

from numba import njit

from genomamba_kernels._compile import kernel
from genomamba_kernels._functions import sigmoid, silu
from genomamba_kernels._rows import load_rows, store_rows
from genomamba_kernels._simd import LANES, accumulate, fma, full, load, store

CHUNK = 64
"""Positions staged at a time."""
SEGMENT = 16 * CHUNK
"""Positions of one part of the work; the sums for dweight and dbias are kept apart for each."""


def conv_scratch(d_conv: int) -> int:
    """Return how many numbers of scratch the kernels need."""
    return LANES * (5 * CHUNK + 12 * d_conv)


@kernel
def conv_forward(
    x, weight, bias, initial, y, scratch, length, width, d_conv, row, segment, first, last, gated, reverse
):  # fmt: skip
    """Convolve blocks first to last (exclusive) of one segment of batch row `row`.

    weight : [block, d_conv, 16]
    bias : [block, 16]
    """
    past = d_conv - 1
    outputs = LANES * (CHUNK + past)
    stride = -width if reverse else width
    origin = (row * length + (length - 1 if reverse else 0)) * width
    end = min(length, (segment + 1) * SEGMENT)
    for start in range(segment * SEGMENT, end, CHUNK):
        rows = min(CHUNK, end - start)
        for block in range(first, last):
            lanes = min(LANES, width - LANES * block)
            _load_window(x, initial, scratch, start, rows + past, row, length, width, past, block, lanes, reverse)
            for t in range(rows):
                i = LANES * t
                value = _convolve(scratch, i, weight, LANES * d_conv * block, load(bias, LANES * block), d_conv)
                if gated:
                    value = silu(value)
                store(scratch, outputs + i, value)
            store_rows(scratch, outputs, rows, y, origin + start * stride + LANES * block, stride, lanes)


@kernel
def conv_backward(
    x, weight, bias, initial, dy, dx, dinitial, dweight, dbias, scratch, length, width, d_conv,
    row, segment, segments, first, last, gated, reverse,
):  # fmt: skip
    """Differentiate blocks first to last (exclusive) of one segment of batch row `row`.

    dweight : [batch, segment, block, d_conv, 16], float64, added to
    dbias : [batch, segment, block, 16], float64, added to
    """
    past = d_conv - 1
    blocks = (width + LANES - 1) // LANES
    # The window of x; dy, then the gradient before the activation; and the sums of one chunk.
    grads = LANES * (CHUNK + 2 * past)
    outputs = grads + LANES * (CHUNK + 2 * past)
    stride = -width if reverse else width
    origin = (row * length + (length - 1 if reverse else 0)) * width
    end = min(length, (segment + 1) * SEGMENT)
    for start in range(segment * SEGMENT, end, CHUNK):
        rows = min(CHUNK, end - start)
        # The gradient of a row needs those of the outputs after it, up to the end of the sequence.
        reach = min(rows + past, length - start)
        for block in range(first, last):
            lanes = min(LANES, width - LANES * block)
            offset = origin + start * stride + LANES * block
            taps = LANES * d_conv * block
            sums = ((row * segments + segment) * blocks + block) * LANES
            _load_window(x, initial, scratch, start, reach + past, row, length, width, past, block, lanes, reverse)
            load_rows(dy, offset, stride, lanes, reach, scratch, grads + LANES * past)
            _to_before_activation(scratch, grads, reach, rows, weight, taps, load(bias, LANES * block), d_conv, gated)
            _sum_weights(scratch, grads, rows, dweight, sums * d_conv, dbias, sums, d_conv)
            if start == 0:
                _transpose(scratch, grads, -past, past, weight, taps, outputs, d_conv)
                begin = (row * past + (past - 1 if reverse else 0)) * width + LANES * block
                store_rows(scratch, outputs, past, dinitial, begin, stride, lanes)
            _transpose(scratch, grads, 0, rows, weight, taps, outputs, d_conv)
            store_rows(scratch, outputs, rows, dx, offset, stride, lanes)


@njit
def _load_window(x, initial, scratch, start, count, row, length, width, past, block, lanes, reverse):
    """Stage `count` rows from s = start - past on."""
    stride = -width if reverse else width
    before = min(max(past - start, 0), count)
    if before > 0:
        # The state is in the order of positions: against the walk for `reverse`.
        i = start
        begin = (row * past + (past - 1 - i if reverse else i)) * width + LANES * block
        load_rows(initial, begin, stride, lanes, before, scratch, 0)
    s = start - past + before
    begin = (row * length + (length - 1 - s if reverse else s)) * width + LANES * block
    load_rows(x, begin, stride, lanes, count - before, scratch, LANES * before)


@njit(forceinline=True)
def _convolve(scratch, i, weight, taps, bias, d_conv):
    value = bias
    for j in range(d_conv):
        value = fma(load(weight, taps + LANES * j), load(scratch, i + LANES * j), value)
    return value


@njit
def _to_before_activation(scratch, grads, reach, rows, weight, taps, bias, d_conv, gated):
    """Replace dy by the gradient before the activation; 0 before the chunk and past the end."""
    past = d_conv - 1
    for i in range(0, LANES * past, LANES):
        store(scratch, grads + i, full(scratch, 0.0))
    if gated:
        for t in range(reach):
            i = LANES * t
            value = _convolve(scratch, i, weight, taps, bias, d_conv)
            s = sigmoid(value)
            j = grads + LANES * past + i
            store(scratch, j, load(scratch, j) * (s * fma(value, 1.0 - s, 1.0)))
    for t in range(reach, rows + past):
        store(scratch, grads + LANES * (past + t), full(scratch, 0.0))


@njit
def _sum_weights(scratch, grads, rows, dweight, weights, dbias, biases, d_conv):
    """Add to dweight and dbias what the rows of a chunk give."""
    own = grads + LANES * (d_conv - 1)
    # Sixteen rows in the dtype of the state, then float64: nothing is lost over a million rows.
    for start in range(0, LANES * rows, 16 * LANES):
        end = min(LANES * rows, start + 16 * LANES)
        for j in range(d_conv):
            total = full(scratch, 0.0)
            for i in range(start, end, LANES):
                total = fma(load(scratch, own + i), load(scratch, i + LANES * j), total)
            accumulate(dweight, weights + LANES * j, total)
        total = full(scratch, 0.0)
        for i in range(start, end, LANES):
            total = total + load(scratch, own + i)
        accumulate(dbias, biases, total)


@njit
def _transpose(scratch, grads, begin, rows, weight, taps, outputs, d_conv):
    """Compute the gradient of the rows from `begin` on, counted from the start of the chunk."""
    for t in range(rows):
        value = full(scratch, 0.0)
        for j in range(d_conv):
            # Row s meets weight j in the output s + d_conv - 1 - j.
            i = begin + t + 2 * (d_conv - 1) - j
            value = fma(load(weight, taps + LANES * j), load(scratch, grads + LANES * i), value)
        store(scratch, outputs + LANES * t, value)
