"""What a feature is told from: windows of its contig with the same letters at the same place, or between genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import SOFTMASK_BIT, Alphabet
from genomamba.classify.sequences import UInt8Array, complement_table
from genomamba.coordinates import Interval

__all__ = ["Ground", "Windows", "choose", "free_places", "free_tiles", "overlaps", "places_of_motif", "tiles"]

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]
_GC_BINS: Final = 50
_BLOCK_BYTES: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Windows:
    """Stretches of one length on one contig.

    Attributes
    ----------
    starts : (windows,), int64
        First base, 0-based.
    is_reverse : (windows,), bool
        Whether they are read as reverse complements.
    """

    starts: Int64Array
    is_reverse: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return self.starts.size

    def select(self, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Windows:
        """Return some of them."""
        return Windows(self.starts[which], self.is_reverse[which])

    @classmethod
    def around(cls, positions: Int64Array, is_reverse: npt.NDArray[np.bool_], length: int) -> Windows:
        """Return windows with a base of the contig at offset length // 2 along the strand that is read."""
        before = np.where(is_reverse, length - 1 - length // 2, length // 2)
        return cls(positions - before, is_reverse)

    @staticmethod
    def join(parts: Sequence[Windows]) -> Windows:
        """Return several as one, in order."""
        return Windows(
            np.concatenate([part.starts for part in parts]), np.concatenate([part.is_reverse for part in parts])
        )


@dataclass(frozen=True, slots=True)
class Ground:
    """A contig, and windows of one length on it.

    Attributes
    ----------
    symbols : (bases,), uint8
        Of the contig.
    alphabet : Alphabet
        Of the symbols.
    length : int
        Bases of a window.
    """

    symbols: UInt8Array
    alphabet: Alphabet
    length: int

    def letters(self, windows: Windows) -> UInt8Array:
        """Return the symbols of windows along the strand that is read, without case: (windows, length), uint8."""
        if not len(windows):
            return np.zeros((0, self.length), np.uint8)
        views = np.lib.stride_tricks.sliding_window_view(self.symbols, self.length)
        letters = views[windows.starts] & ~np.uint8(SOFTMASK_BIT)
        other = windows.is_reverse
        letters[other] = complement_table(self.alphabet)[letters[other, ::-1]]
        return letters

    def usable(self, windows: Windows) -> Windows:
        """Leave out windows that reach past the contig's ends, and those with N."""
        windows = windows.select((windows.starts >= 0) & (windows.starts + self.length <= self.symbols.size))
        return windows.select(self._share(windows, b"N") == 0)

    def gc(self, windows: Windows) -> Float64Array:
        """Return the share of G and C of each: (windows,), float64."""
        return self._share(windows, b"GC")

    def _share(self, windows: Windows, letters: bytes) -> Float64Array:
        """Return the share of some letters, without the symbols of more windows in memory than some megabytes hold."""
        chosen = np.zeros(256, np.bool_)
        chosen[self.alphabet.symbol_of_text[np.frombuffer(letters, np.uint8)]] = True
        step = max(1, _BLOCK_BYTES // self.length)
        blocks = [slice(start, start + step) for start in range(0, len(windows), step)]
        shares = [chosen[self.letters(windows.select(np.arange(len(windows))[block]))].mean(1) for block in blocks]
        return np.concatenate(shares) if shares else np.zeros(0)


def overlaps(windows: Windows, length: int, stretches: Sequence[Interval]) -> npt.NDArray[np.bool_]:
    """Tell which windows have a base of stretches, which are sorted and do not overlap: (windows,), bool."""
    if not stretches:
        return np.zeros(len(windows), np.bool_)
    starts = np.array([one.start for one in stretches])
    ends = np.array([one.end for one in stretches])
    # The first stretch that ends behind the window's start is the only one that may reach into it first.
    following = np.searchsorted(ends, windows.starts, side="right")
    inside = following < starts.size
    return inside & (starts[np.minimum(following, starts.size - 1)] < windows.starts + length)


def places_of_motif(symbols: UInt8Array, alphabet: Alphabet, motif: str, offset: int) -> tuple[Int64Array, Int64Array]:
    """Return the sites that letters mark, on either strand of a contig.

    Parameters
    ----------
    symbols : (bases,), uint8
        Of the contig.
    alphabet : Alphabet
    motif : str
        Letters along the strand.
    offset : int
        Where they begin, counted from the site along the strand.

    Returns
    -------
    given, other : (sites,), int64
        Positions of the sites on the given strand, and of those on the other.
    """
    plain = symbols & ~np.uint8(SOFTMASK_BIT)
    letters = alphabet.symbol_of_text[np.frombuffer(motif.encode(), np.uint8)]
    given = _find(plain, letters) - offset
    other = _find(plain, complement_table(alphabet)[letters[::-1]]) + len(motif) - 1 + offset
    return given, other


def free_places(bases: int, rng: np.random.Generator, count: int, length: int) -> Windows:
    """Return windows at drawn places of a contig, on drawn strands, each place and strand once at most."""
    if bases < length:
        return Windows(np.zeros(0, np.int64), np.zeros(0, np.bool_))
    places = 2 * (bases - length + 1)
    drawn = np.unique(rng.integers(0, places, min(count, places)))
    drawn = rng.permutation(drawn)
    return Windows(drawn // 2, (drawn % 2).astype(np.bool_))


def free_tiles(bases: int, taken: Sequence[Interval], rng: np.random.Generator, length: int) -> Windows:
    """Return windows side by side in the gaps between stretches of a contig, which are sorted and do not overlap."""
    starts = np.array([0, *(one.end for one in taken)])
    ends = np.array([*(one.start for one in taken), bases])
    return tiles(starts, ends, rng, length)


def tiles(starts: Int64Array, ends: Int64Array, rng: np.random.Generator, length: int) -> Windows:
    """Return as many windows as fit side by side into each stretch, from a drawn base of it on, on drawn strands."""
    counts = np.maximum(ends - starts, 0) // length
    slack = np.maximum(ends - starts - counts * length, 0)
    first = starts + rng.integers(0, slack + 1)
    number = np.arange(counts.sum()) - (counts.cumsum() - counts).repeat(counts)
    found = first.repeat(counts) + number * length
    return Windows(found.astype(np.int64), rng.random(found.size) < 0.5)


def choose(
    candidates: Windows, count: int, rng: np.random.Generator, gc: tuple[Float64Array, Float64Array] | None = None
) -> Windows:
    """Draw so many of the candidates, or all where they are fewer.

    Parameters
    ----------
    candidates : Windows
    count : int
    rng : Generator
    gc : tuple of arrays, optional
        Share of G and C of what they are to be like, and of the candidates. Of each fiftieth as many are drawn as there
        are of the former, as far as there are candidates; the rest from those next to it.
    """
    order = rng.permutation(len(candidates))
    if gc is None or not count or not len(candidates):
        return candidates.select(np.sort(order[:count]))
    wanted = np.sort(np.resize(np.rint(gc[0] * _GC_BINS).astype(np.int64), count))
    # Candidates by share, in a drawn order within each; every one that is wanted takes the nearest that is left.
    order = order[np.argsort(np.rint(gc[1][order] * _GC_BINS), kind="stable")]
    shares = np.rint(gc[1][order] * _GC_BINS).astype(np.int64)
    return candidates.select(np.sort(order[_nearest(wanted, shares)]))


def _nearest(wanted: Int64Array, shares: Int64Array) -> Int64Array:
    """Return a place in `shares`, sorted, for each that is wanted, each place once: the nearest that is left."""
    left: dict[int, list[int]] = {}
    for place, share in enumerate(shares.tolist()):
        left.setdefault(share, []).append(place)
    taken: list[int] = []
    for share in wanted.tolist():
        if not left:
            break
        near = min(left, key=lambda other: (abs(other - share), other))
        taken.append(left[near].pop())
        if not left[near]:
            del left[near]
    return np.array(taken, np.int64)


def _find(symbols: UInt8Array, letters: UInt8Array) -> Int64Array:
    """Return where letters begin: (found,), int64."""
    windows = symbols.size - letters.size + 1
    if windows < 1:
        return np.zeros(0, np.int64)
    found = symbols[:windows] == letters[0]
    for place, letter in enumerate(letters[1:].tolist(), 1):
        found &= symbols[place : place + windows] == letter
    return np.flatnonzero(found)
