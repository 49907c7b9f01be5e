"""Between tensors and the scratch of a kernel: rows of 16 channels, staged in the dtype of the state.

A kernel sees scratch rows in the order it walks, 16 channels wide, whatever the dtype, the direction
and the number of channels: these functions convert, turn the direction with a negative stride, and
fill the channels past the last one with 0.
"""

from numba import njit

from genomamba_kernels._simd import LANES, full, load, load_one, store, store_one


@njit
def load_rows(source, offset, stride, lanes, rows, scratch, start):  # type: ignore[no-untyped-def]
    """Copy rows of `lanes` channels to scratch[start : start + 16 * rows]."""
    if lanes == LANES:
        for t in range(rows):
            store(scratch, start + LANES * t, load(source, offset + stride * t))
        return
    for t in range(rows):
        store(scratch, start + LANES * t, full(scratch, 0.0))
        for lane in range(lanes):
            scratch[start + LANES * t + lane] = load_one(source, offset + stride * t + lane)


@njit
def store_rows(scratch, start, rows, target, offset, stride, lanes):  # type: ignore[no-untyped-def]
    """Copy scratch[start : start + 16 * rows] to rows of `lanes` channels."""
    if lanes == LANES:
        for t in range(rows):
            store(target, offset + stride * t, load(scratch, start + LANES * t))
        return
    for t in range(rows):
        for lane in range(lanes):
            store_one(target, offset + stride * t + lane, load_one(scratch, start + LANES * t + lane))


@njit
def load_maps(source, offset, stride, width, padded, rows, scratch, start):  # type: ignore[no-untyped-def]
    """Copy rows of `width` numbers to rows of `padded` numbers, the rest 0."""
    if width == padded and (stride == width or width % LANES == 0):
        # Without a gap between the rows they are one row.
        count, size = (1, rows * width) if stride == width else (rows, width)
        for t in range(count):
            whole = size // LANES * LANES
            for i in range(0, whole, LANES):
                store(scratch, start + width * t + i, load(source, offset + stride * t + i))
            for i in range(whole, size):
                scratch[start + i] = load_one(source, offset + i)
        return
    for t in range(rows):
        for i in range(width):
            scratch[start + padded * t + i] = load_one(source, offset + stride * t + i)
        for i in range(width, padded):
            scratch[start + padded * t + i] = 0.0
