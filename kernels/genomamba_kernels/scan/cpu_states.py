"""Parameters and states as the CPU kernels hold them: blocks of 16 channels, states before channels."""

# mypy: disable-error-code="no-untyped-def"

import math

from numba import njit

from genomamba_kernels._compile import kernel
from genomamba_kernels._simd import LANES, transpose

LOG2_E = math.log2(math.e)


@kernel
def pack_parameters(A, D, bias, skips, biased, packed, width, d_state, padded):
    """Write A times log2(e), D and delta_bias to packed[block, padded + 2, 16]; 0 where there is none."""
    size = (padded + 2) * LANES
    for i in range((width + LANES - 1) // LANES * size):
        packed[i] = 0.0
    for channel in range(width):
        start = channel // LANES * size + channel % LANES
        for n in range(d_state):
            packed[start + n * LANES] = float(A[channel * d_state + n]) * LOG2_E
        if skips:
            packed[start + padded * LANES] = D[channel]
        if biased:
            packed[start + (padded + 1) * LANES] = bias[channel]


@kernel
def unpack_gradients(packed, count, dA, dD, dbias, width, d_state, padded):
    """Add up packed[count, block, padded + 2, 16], float64, in order, into the gradients of A, D and delta_bias."""
    size = (padded + 2) * LANES
    stride = (width + LANES - 1) // LANES * size
    for channel in range(width):
        start = channel // LANES * size + channel % LANES
        for n in range(d_state):
            dA[channel * d_state + n] = _sum(packed, start + n * LANES, stride, count)
        dD[channel] = _sum(packed, start + padded * LANES, stride, count)
        dbias[channel] = _sum(packed, start + (padded + 1) * LANES, stride, count)


@njit
def _sum(numbers, start, stride, count):
    total = numbers[start]
    for i in range(1, count):
        total += numbers[start + i * stride]
    return total


@njit
def load_states(given, is_given, sequence, block, width, d_state, first, last, state, h):
    """Set states first to last (exclusive) of a block to those of given[sequence, channel, n], or to 0."""
    lanes = min(LANES, width - LANES * block)
    start = (sequence * width + LANES * block) * d_state
    if is_given and lanes == LANES and last <= d_state and (last - first) % LANES == 0:
        for n in range(first, last, LANES):
            transpose(given, start + n, d_state, state, h + LANES * n, LANES)
        return
    for i in range(LANES * first, LANES * last):
        state[h + i] = 0.0
    if is_given:
        for lane in range(lanes):
            for n in range(first, min(last, d_state)):
                state[h + LANES * n + lane] = given[start + lane * d_state + n]


@njit
def store_states(state, h, sequence, block, width, d_state, first, last, target):
    """Copy states first to last (exclusive) of a block to target[sequence, channel, n]."""
    lanes = min(LANES, width - LANES * block)
    start = (sequence * width + LANES * block) * d_state
    if lanes == LANES and last <= d_state and (last - first) % LANES == 0:
        for n in range(first, last, LANES):
            transpose(state, h + LANES * n, LANES, target, start + n, d_state)
        return
    for lane in range(lanes):
        for n in range(first, min(last, d_state)):
            target[start + lane * d_state + n] = state[h + LANES * n + lane]


@njit
def find_sequence(chunks, first, chunk):
    """Return the sequence, `first` or one after it, that holds a chunk."""
    low, high = first, len(chunks) - 2
    while low < high:
        middle = (low + high + 1) // 2
        if chunks[middle] <= chunk:
            low = middle
        else:
            high = middle - 1
    return low
