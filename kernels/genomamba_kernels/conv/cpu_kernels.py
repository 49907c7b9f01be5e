"""Forward and backward of the causal convolution for CPUs: one call does some segments of the flattened positions.

A segment holds parts of one sequence or of many. Positions of a sequence are counted in the order of the
walk, s; rows with s < 0 come from the initial state. A window holds the rows from d_conv - 1 before a chunk
on, so that the output t rows into the chunk is the sum of weight j times row t + j of the window.
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
    x, weight, bias, initial, y, borders, sequences, scratch, width, d_conv,
    first_segment, last_segment, first_block, last_block, initialised, gated, reverse,
):  # fmt: skip
    """Convolve some blocks of some segments, the last ones exclusive.

    weight : [block, d_conv, 16]
    bias : [block, 16]
    initial : [sequence, d_conv - 1, width], read where `initialised`
    borders : [sequence + 1], the first position of each sequence
    sequences : [segment], the sequence of the first position of each segment
    """
    past = d_conv - 1
    outputs = LANES * (CHUNK + past)
    stride = -width if reverse else width
    for segment in range(first_segment, last_segment):
        sequence, position, segment_end = _open_segment(segment, sequences, borders)
        while position < segment_end:
            origin, _, s, end = _piece(position, segment_end, sequence, borders, width, reverse)
            position += end - s
            for start in range(s, end, CHUNK):
                rows = min(CHUNK, end - start)
                for block in range(first_block, last_block):
                    lanes = min(LANES, width - LANES * block)
                    offset = origin + LANES * block
                    begin = _initial_row(sequence, past, width, block, reverse)
                    _load_window(
                        x, offset, initial, begin, scratch, start, rows + past, past, stride, lanes, initialised
                    )
                    for t in range(rows):
                        i = LANES * t
                        value = _convolve(scratch, i, weight, LANES * d_conv * block, load(bias, LANES * block), d_conv)
                        if gated:
                            value = silu(value)
                        store(scratch, outputs + i, value)
                    store_rows(scratch, outputs, rows, y, offset + start * stride, stride, lanes)
            sequence += 1


@kernel
def conv_backward(
    x, weight, bias, initial, dy, dx, dinitial, dweight, dbias, borders, sequences, scratch, width, d_conv,
    first_segment, last_segment, first_block, last_block, initialised, gated, reverse,
):  # fmt: skip
    """Differentiate some blocks of some segments, the last ones exclusive.

    dinitial : [sequence, d_conv - 1, width], written where `initialised`
    dweight : [segment, block, d_conv, 16], float64, added to
    dbias : [segment, block, 16], float64, added to
    """
    past = d_conv - 1
    blocks = (width + LANES - 1) // LANES
    # The window of x; dy, then the gradient before the activation; and the sums of one chunk.
    grads = LANES * (CHUNK + 2 * past)
    outputs = grads + LANES * (CHUNK + 2 * past)
    stride = -width if reverse else width
    for segment in range(first_segment, last_segment):
        sequence, position, segment_end = _open_segment(segment, sequences, borders)
        while position < segment_end:
            origin, length, s, end = _piece(position, segment_end, sequence, borders, width, reverse)
            position += end - s
            for start in range(s, end, CHUNK):
                rows = min(CHUNK, end - start)
                # The gradient of a row needs those of the outputs after it, up to the end of the sequence.
                reach = min(rows + past, length - start)
                for block in range(first_block, last_block):
                    lanes = min(LANES, width - LANES * block)
                    offset = origin + LANES * block
                    here = offset + start * stride
                    begin = _initial_row(sequence, past, width, block, reverse)
                    taps = LANES * d_conv * block
                    sums = (segment * blocks + block) * LANES
                    _load_window(
                        x, offset, initial, begin, scratch, start, reach + past, past, stride, lanes, initialised
                    )
                    load_rows(dy, here, stride, lanes, reach, scratch, grads + LANES * past)
                    _to_before_activation(
                        scratch, grads, reach, rows, weight, taps, load(bias, LANES * block), d_conv, gated
                    )
                    _sum_weights(scratch, grads, rows, dweight, sums * d_conv, dbias, sums, d_conv)
                    if initialised and start == 0:
                        _transpose(scratch, grads, -past, past, weight, taps, outputs, d_conv)
                        store_rows(scratch, outputs, past, dinitial, begin, stride, lanes)
                    _transpose(scratch, grads, 0, rows, weight, taps, outputs, d_conv)
                    store_rows(scratch, outputs, rows, dx, here, stride, lanes)
            sequence += 1


@njit
def _open_segment(segment, sequences, borders):
    """Return the sequence of the first position of a segment, that position, and the end of the segment."""
    position = segment * SEGMENT
    return sequences[segment], position, min(position + SEGMENT, borders[-1])


@njit
def _piece(position, segment_end, sequence, borders, width, reverse):
    """Return the part of a sequence that lies in a segment, from a position on.

    They are the offset of the row s = 0, the length of the sequence, and the first s and the end of the part.
    """
    begin, end = borders[sequence], borders[sequence + 1]
    last = min(end, segment_end)
    if reverse:
        return (end - 1) * width, end - begin, end - last, end - position
    return begin * width, end - begin, position - begin, last - begin


@njit
def _initial_row(sequence, past, width, block, reverse):
    """Return where the initial state of a block begins along the walk: it is in the order of positions."""
    return (sequence * past + (past - 1 if reverse else 0)) * width + LANES * block


@njit
def _load_window(x, offset, initial, begin, scratch, start, count, past, stride, lanes, initialised):
    """Stage `count` rows from s = start - past on; s = 0 lies at `offset`, s = -past at `begin` of `initial`."""
    before = min(max(past - start, 0), count)
    if initialised:
        load_rows(initial, begin + start * stride, stride, lanes, before, scratch, 0)
    else:
        for i in range(0, LANES * before, LANES):
            store(scratch, i, full(scratch, 0.0))
    s = start - past + before
    load_rows(x, offset + s * stride, stride, lanes, count - before, scratch, LANES * before)


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
