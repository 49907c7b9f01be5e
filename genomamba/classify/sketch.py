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

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import SOFTMASK_BIT
from genomamba.classify.sequences import SequenceList

__all__ = ["choose_k", "find_near", "kmer_set", "sketches"]

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
_AT_ONCE: Final = 256


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


def find_near(
    sequences: SequenceList, rows: Int64Array, parts: npt.NDArray[np.int8], k: int, least: float, twin: Int64Array,
    likeness: npt.NDArray[np.float64],
) -> None:  # fmt: skip
    """Find for each sequence, and each other part, one there whose likeness to it is at least so much.

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
    twin : (rows, parts), int64
        Filled in where it is below 0, with a place in `rows`; where it is not, nothing is looked for.
    likeness : (rows, parts), float64
        Filled in where `twin` is.
    """
    sketch, known = sketches(sequences, rows, k)
    search = _Search(sequences, rows, parts, k, least, sketch, twin, likeness, set())
    for band in range(BANDS):
        columns = sketch[:, band * BAND : (band + 1) * BAND].astype(np.uint64)
        keys = (columns[:, 0] << np.uint64(32) | columns[:, 1]) ^ (columns[:, 2] * np.uint64(0x9E3779B97F4A7C15))
        for members in _alike(keys, known, parts):
            search.look_through(members)


@dataclass(frozen=True, slots=True)
class _Search:
    """Which pairs are looked at: those that fill a gap, so that the work does not grow with the square of a family."""

    sequences: SequenceList
    rows: Int64Array
    parts: npt.NDArray[np.int8]
    k: int
    least: float
    sketch: UInt32Array
    twin: Int64Array
    likeness: npt.NDArray[np.float64]
    strangers: set[tuple[int, int]]

    def look_through(self, members: Int64Array) -> None:
        """Compare sequences that agree in a run of their sketches."""
        by_part = {int(part): members[self.parts[members] == part] for part in np.unique(self.parts[members])}
        for one in members.tolist():
            part = int(self.parts[one])
            for there, others in by_part.items():
                if there != part and self.twin[one, there] < 0:
                    self._seek(one, there, others)

    def _seek(self, one: int, there: int, others: Int64Array) -> None:
        for start in range(0, others.size, _AT_ONCE):
            for other in self._likely(one, others[start : start + _AT_ONCE]):
                self._compare(one, other)
                if self.twin[one, there] >= 0:
                    return

    def _likely(self, one: int, others: Int64Array) -> list[int]:
        """Return those whose sketches do not speak against the likeness."""
        agree = (self.sketch[others] == self.sketch[one]).mean(1)
        likely: list[int] = others[agree >= self.least - _SLACK].tolist()
        return likely

    def _compare(self, one: int, other: int) -> None:
        pair = (min(one, other), max(one, other))
        if pair in self.strangers:
            return
        likeness = _jaccard(self.sequences, int(self.rows[one]), int(self.rows[other]), self.k)
        if likeness < self.least:
            self.strangers.add(pair)
            return
        for here, there in ((one, other), (other, one)):
            if self.twin[here, self.parts[there]] < 0:
                self.twin[here, self.parts[there]] = there
                self.likeness[here, self.parts[there]] = likeness


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
