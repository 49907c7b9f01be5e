"""Which sequences are nearly the same: MinHash over canonical k-mers, so that strand does not matter.

A sequence is the set of its k-mers, each taken as the smaller of itself and its reverse complement. The likeness of two
sequences is the Jaccard index of their sets: k-mers that both have over those that either has. Of each set the smallest
value under each of 96 orders is kept; pairs that agree in one of 32 runs of three are looked at, and their likeness is
counted out. So a pair of likeness 0.5 is found with a chance of 98.6 %, one of 0.6 with 99.9 %.

References
----------
Broder 1997, "On the resemblance and containment of documents".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import SOFTMASK_BIT
from genomamba.classify.sequences import SequenceList

__all__ = ["choose_k", "kmer_set", "near_pairs", "sketches"]

UInt32Array = npt.NDArray[np.uint32]
Int64Array = npt.NDArray[np.int64]

BAND: Final = 3
BANDS: Final = 32
_ORDERS: Final = BAND * BANDS
_LONG_K, _SHORT_K, _SHORT = 12, 8, 128
# What fits into a core's cache.
_BLOCK_BASES: Final = 1 << 17
_SEED: Final = 20_240_229
# Three standard deviations of a likeness of one half that is told from 96 values.
_SLACK: Final = 0.15


def choose_k(lengths: Int64Array) -> int:
    """Return how long k-mers are: 12, and 8 where half the sequences have fewer than 128 bases."""
    return _SHORT_K if np.median(lengths) < _SHORT else _LONG_K


def sketches(sequences: SequenceList, rows: Int64Array, k: int) -> tuple[UInt32Array, npt.NDArray[np.bool_]]:
    """Return 96 smallest values of each sequence's k-mers.

    Parameters
    ----------
    sequences : SequenceList
    rows : (rows,), int64
        Which of them.
    k : int

    Returns
    -------
    sketch : (rows, 96), uint32
    known : (rows,), bool
        False for a sequence without any k-mer, too short or full of N.
    """
    rng = np.random.default_rng(_SEED)
    factors = rng.integers(0, 2**32, _ORDERS, dtype=np.uint32) | np.uint32(1)
    offsets = rng.integers(0, 2**32, _ORDERS, dtype=np.uint32)
    sketch = np.zeros((rows.size, _ORDERS), np.uint32)
    known = np.zeros(rows.size, np.bool_)
    for part in _blocks(sequences.lengths[rows]):
        codes, counts = _kmers(sequences, rows[part], k)
        here = np.flatnonzero(counts)
        if not here.size:
            continue
        starts = (counts.cumsum() - counts)[here]
        values = np.empty_like(codes)
        smallest = np.empty((_ORDERS, here.size), np.uint32)
        for number in range(_ORDERS):
            np.multiply(codes, factors[number], out=values)
            np.add(values, offsets[number], out=values)
            np.minimum.reduceat(values, starts, out=smallest[number])
        sketch[part.start + here] = smallest.T
        known[part.start + here] = True
    return sketch, known


def kmer_set(sequences: SequenceList, row: int, k: int) -> UInt32Array:
    """Return the k-mers of one sequence, each once, as hashes in ascending order."""
    return np.unique(_kmers(sequences, np.array([row]), k)[0])


def near_pairs(
    sequences: SequenceList,
    rows: Int64Array,
    parts: npt.NDArray[np.int8],
    k: int,
    least: float,
    *,
    is_wanted: Callable[[int, int], bool],
) -> Iterator[tuple[int, int, float]]:
    """Give pairs of sequences of different parts whose likeness is at least so much.

    Parameters
    ----------
    sequences : SequenceList
    rows : (rows,), int64
        Which of them; each other than the others.
    parts : (rows,), int8
        Their parts.
    k : int
    least : float
        Least likeness, above 0.
    is_wanted : callable
        Takes two places in `rows`; what it says no to is not looked at. Where it says no once both are known to be near
        another, the work does not grow with the square of a family.

    Yields
    ------
    one, other, likeness
        Places in `rows`.
    """
    sketch, known = sketches(sequences, rows, k)
    looked_at: set[tuple[int, int]] = set()
    for band in range(BANDS):
        columns = sketch[:, band * BAND : (band + 1) * BAND].astype(np.uint64)
        keys = (columns[:, 0] << np.uint64(32) | columns[:, 1]) ^ (columns[:, 2] * np.uint64(0x9E3779B97F4A7C15))
        for members in _alike(keys, known, parts):
            for one, other in _likely(members, parts, sketch, least, is_wanted):
                if (one, other) in looked_at or not is_wanted(one, other):
                    continue
                looked_at.add((one, other))
                likeness = _jaccard(sequences, int(rows[one]), int(rows[other]), k)
                if likeness >= least:
                    yield one, other, likeness


def _alike(
    keys: npt.NDArray[np.uint64], known: npt.NDArray[np.bool_], parts: npt.NDArray[np.int8]
) -> Iterator[Int64Array]:
    """Give the places whose keys are the same, where they are of two parts at least."""
    places = np.flatnonzero(known)
    places = places[np.argsort(keys[places], kind="stable")]
    if not places.size:
        return
    starts = np.flatnonzero(np.diff(keys[places], prepend=~keys[places[0]]))
    low = np.minimum.reduceat(parts[places], starts)
    high = np.maximum.reduceat(parts[places], starts)
    ends = np.append(starts[1:], places.size)
    for start, end in zip(starts[low < high].tolist(), ends[low < high].tolist(), strict=True):
        yield places[start:end]


def _likely(
    members: Int64Array,
    parts: npt.NDArray[np.int8],
    sketch: UInt32Array,
    least: float,
    is_wanted: Callable[[int, int], bool],
) -> Iterator[tuple[int, int]]:
    """Give pairs of two parts whose sketches do not speak against the likeness."""
    for number, one in enumerate(members.tolist()):
        others = members[number + 1 :]
        others = others[parts[others] != parts[one]]
        others = others[[is_wanted(one, other) for other in others.tolist()]] if others.size else others
        if others.size:
            agree = (sketch[others] == sketch[one]).mean(1)
            yield from ((one, other) for other in others[agree >= least - _SLACK].tolist())


def _jaccard(sequences: SequenceList, one: int, other: int, k: int) -> float:
    first, second = kmer_set(sequences, one, k), kmer_set(sequences, other, k)
    both = np.intersect1d(first, second, assume_unique=True).size
    return both / (first.size + second.size - both)


def _blocks(lengths: Int64Array) -> Iterator[slice]:
    start = taken = 0
    for place, length in enumerate(lengths.tolist()):
        if taken and taken + length > _BLOCK_BASES:
            yield slice(start, place)
            start, taken = place, 0
        taken += length
    if start < lengths.size:
        yield slice(start, lengths.size)


def _kmers(sequences: SequenceList, rows: Int64Array, k: int) -> tuple[UInt32Array, Int64Array]:
    """Return the mixed k-mers of some sequences, one after the other, and how many each has."""
    pieces = [sequences[row] for row in rows.tolist()]
    lengths = sequences.lengths[rows]
    symbols = np.concatenate(pieces)
    windows = symbols.size - k + 1
    if windows < 1:
        return np.zeros(0, np.uint32), np.zeros(rows.size, np.int64)
    ends = lengths.cumsum()
    is_whole = np.ones(symbols.size, np.bool_)
    # A window that starts in the last k - 1 bases of a sequence would run into the next one.
    for back in range(1, k):
        inside = ends[lengths >= back] - back
        is_whole[inside] = False
    if sequences.alphabet.letters == "dna":
        codes, is_known = _canonical(sequences, symbols, k)
        is_whole[:windows] &= is_known
    else:
        codes = _of_bytes(symbols, k)
    is_whole = is_whole[:windows]
    owner = np.repeat(np.arange(rows.size), lengths)[:windows]
    return _mixed(codes[is_whole]), np.bincount(owner[is_whole], minlength=rows.size)


def _canonical(
    sequences: SequenceList, symbols: npt.NDArray[np.uint8], k: int
) -> tuple[UInt32Array, npt.NDArray[np.bool_]]:
    """Return the smaller of each k-mer and its reverse complement, two bits a base, and whether it is without N."""
    letters = sequences.alphabet.symbol_of_text
    digit_of = np.full(256, 4, np.uint32)
    for digit, base in enumerate("ACGT"):
        symbol = int(letters[ord(base)])
        digit_of[[symbol, symbol | SOFTMASK_BIT]] = digit
    digits = digit_of[symbols]
    windows = symbols.size - k + 1
    unknown = np.concatenate([[0], (digits == 4).cumsum()])
    is_known = unknown[k:] == unknown[:-k]
    digits &= 3
    given = np.zeros(windows, np.uint32)
    other = np.zeros(windows, np.uint32)
    for place in range(k):
        here = digits[place : place + windows]
        given |= here << np.uint32(2 * (k - 1 - place))
        other |= (3 - here) << np.uint32(2 * place)
    return np.minimum(given, other), is_known


def _of_bytes(symbols: npt.NDArray[np.uint8], k: int) -> UInt32Array:
    windows = symbols.size - k + 1
    codes = np.zeros(windows, np.uint32)
    for place in range(k):
        codes = codes * np.uint32(0x01000193) + symbols[place : place + windows]
    return codes


def _mixed(codes: UInt32Array) -> UInt32Array:
    """Scatter the codes over all numbers of 32 bits, one to one (the finalizer of MurmurHash3)."""
    codes = codes ^ (codes >> np.uint32(16))
    codes *= np.uint32(0x85EBCA6B)
    codes ^= codes >> np.uint32(13)
    codes *= np.uint32(0xC2B2AE35)
    codes ^= codes >> np.uint32(16)
    return codes
