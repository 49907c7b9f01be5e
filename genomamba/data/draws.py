"""Random draws that are pure functions of (seed, sample number, purpose), in any order and in any process.

Two kinds. The stream draws a few small integers a sample with a 64-bit mixing function, which costs a
microsecond and is defined here, so that it never changes with a library. An objective draws many numbers a
sample (a mask) from NumPy's Philox, a counter-based generator: the key holds seed and purpose, the counter
the sample.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

__all__ = ["derive_key", "mix", "permute", "sample_generator"]

_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
# Fewer rounds, or halves of one bit, leave pairs of places visibly dependent.
_ROUNDS: Final = 8
_FEWEST_BITS: Final = 4


def mix(value: int) -> int:
    """Spread an integer over 64 bits: the step and finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def derive_key(seed: int, purpose: str) -> int:
    """Return 64 bits that belong to one seed and one purpose."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{purpose}".encode(), digest_size=8).digest(), "little")


def permute(position: int, size: int, key: int) -> int:
    """Return where a keyed pseudo-random permutation of 0..size-1 sends a position, in constant memory.

    A Feistel network over the next power of two, walked on until it lands below `size`: each power of two is
    permuted, so that the walk from inside ends inside; from 8 places on it takes fewer than two steps on average.
    """
    assert 0 <= position < size
    bits = max(_FEWEST_BITS, (size - 1).bit_length())
    low_bits = bits // 2
    high_bits = bits - low_bits
    value = position
    while True:
        left, right = value >> low_bits, value & ((1 << low_bits) - 1)
        left_bits, right_bits = high_bits, low_bits
        for turn in range(_ROUNDS):
            left, right = right, left ^ (mix((key + turn * _GOLDEN) ^ right) & ((1 << left_bits) - 1))
            left_bits, right_bits = right_bits, left_bits
        value = (left << low_bits) | right
        if value < size:
            return value


def sample_generator(seed: int, index: int, purpose: str) -> np.random.Generator:
    """Return the generator of one sample for one purpose, such as `mask`."""
    key = np.array([seed & _MASK, derive_key(seed, purpose)], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, index, 0, 0]))
