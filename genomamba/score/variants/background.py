"""Random variants of a genome, as many of each mutational class: the background where no file of variants is given.

Sites are drawn in tiles, so that a model reads megabases and not a whole genome. What is drawn is a pure function of
the genome, the stretches, the number and the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from genomamba.coordinates import Interval, Kind, Variant
from genomamba.data.draws import derive_key, permute, sample_generator
from genomamba.data.genome import Genome
from genomamba.score.variants.classes import LENGTHS

__all__ = ["draw_background"]

IntArray = npt.NDArray[np.int64]

_TILE: Final = 1 << 16
_MOST_BASES: Final = 1 << 24
_LONGEST: Final = 200
# What changes at several bases at once is seldom long.
_LONGEST_REPLACED: Final = 20

_BASES: Final = "ACGT"
_OTHER: Final = 4
_CODES: Final = np.full(256, _OTHER, np.int64)
_CODES[np.frombuffer(b"ACGTacgt", np.uint8)] = [0, 1, 2, 3] * 2
_TRIPLETS: Final = 4**3
_CASES: Final = 2
_SITES: Final = _TRIPLETS * _CASES


@dataclass(frozen=True, slots=True)
class _Edit:
    """A change at several bases: its kind, its case, and the fewest and most bases it takes out or puts in."""

    kind: Kind
    masked: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Numbers of sites among those of their class, ascending, and of each as many random numbers as may be needed."""

    ranks: IntArray
    numbers: npt.NDArray[np.float64]

    def between(self, start: int, end: int) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
        """Give those from `start` to before `end`, counted from `start`."""
        first, last = np.searchsorted(self.ranks, [start, end])
        yield from zip((self.ranks[first:last] - start).tolist(), self.numbers[first:last], strict=True)


@dataclass(frozen=True, slots=True)
class _Tile:
    """A stretch to draw in, and what stands beside it.

    Attributes
    ----------
    codes : (bases,), int64
        From `start` on, 0 to 3 for A, C, G, T, and 4 for what is no base.
    sites : (bases,), int64
        Of each base of the stretch, its class: three bases and case. -1 where there is none, and beside the stretch.
    """

    contig: str
    start: int
    codes: IntArray
    sites: IntArray

    def text(self, first: int, count: int) -> str | None:
        """Return bases by their offset; None where one of them is no base, or is not there."""
        codes = self.codes[first : first + count]
        return "".join(_BASES[i] for i in codes) if codes.size == count and (codes < _OTHER).all() else None


def draw_background(
    genome: Genome, stretches: Sequence[Interval], number: int, seed: int, *, folded: bool, longest: int
) -> Iterator[Variant]:
    """Draw variants of every class, in the order of the stretches and by position.

    SNVs are drawn by their three bases, ALT and case. Insertions (of bases that stand elsewhere in the tile) and
    deletions are drawn by the bin of their length and by case, up to 200 bases; so are substitutions of several bases,
    by as many and by more or fewer, up to 20.

    Parameters
    ----------
    genome : Genome
        Where to draw.
    stretches : sequence of Interval
        Places to draw in, in the order wanted, no two of which overlap. Where they have more than 16 Mi bases, tiles of
        65,536 bases are drawn among them until they have as many.
    number : int
        Variants of each class, or as many as it has.
    seed : int
        Of all draws.
    folded : bool
        As `Classes` has it.
    longest : int
        Bases that an allele may have.
    """
    chosen = _choose_tiles(stretches, seed)
    if not chosen:
        return
    counts = [np.bincount(_tile(genome, one, folded).sites + 1, minlength=_SITES + 1)[1:] for one in chosen]
    # Where the sites of each tile begin among all of their class.
    starts = np.concatenate([np.zeros((1, _SITES), np.int64), np.cumsum(counts, axis=0)])
    snvs, edits = _draw_snvs(starts[-1], number, seed), _draw_edits(starts[-1], number, seed, longest)
    for at, one in enumerate(chosen):
        tile, bounds = _tile(genome, one, folded), starts[at : at + 2]
        found = {*_snvs_of(tile, bounds, snvs), *_edits_of(tile, bounds, edits)}
        yield from sorted(found, key=lambda variant: (variant.start, variant.ref, variant.alt))


def _choose_tiles(stretches: Sequence[Interval], seed: int) -> list[Interval]:
    tiles = [
        Interval(one.contig, start, min(start + _TILE, one.end))
        for one in stretches
        for start in range(one.start, one.end, _TILE)
    ]
    key, bases, numbers = derive_key(seed, "background tiles"), 0, []
    for turn in range(len(tiles)):
        if bases >= _MOST_BASES:
            break
        numbers.append(permute(turn, len(tiles), key))
        bases += len(tiles[numbers[-1]])
    return [tiles[i] for i in sorted(numbers)]


def _tile(genome: Genome, stretch: Interval, folded: bool) -> _Tile:
    first = max(0, stretch.start - 1)
    symbols = genome.fetch(stretch.contig, first, min(genome.length(stretch.contig), stretch.end + _LONGEST + 1))
    alphabet = genome.alphabet
    letters = alphabet.text_of_token[alphabet.token_of_symbol[symbols]]
    codes = _CODES[letters]
    masked = alphabet.softmask(symbols) | (letters >= ord("a"))
    sites = np.full(codes.size, -1, np.int64)
    if codes.size >= 3:
        left, middle, right = codes[:-2], codes[1:-1], codes[2:]
        if folded:
            is_purine = middle % 2 == 0
            left, middle, right = (
                np.where(is_purine, 3 - other, one)
                for one, other in ((left, right), (middle, middle), (right, left))
            )  # fmt: skip
        triplets = (16 * left + 4 * middle + right) * _CASES + masked[1:-1]
        is_known = (np.lib.stride_tricks.sliding_window_view(codes, 3) < _OTHER).all(1)
        sites[1:-1] = np.where(is_known, triplets, -1)
    sites[stretch.end - first :] = -1
    return _Tile(stretch.contig, first, codes, sites)


def _draw(total: int, number: int, seed: int, index: int, purpose: str) -> _Drawn:
    generator = sample_generator(seed, index, purpose)
    ranks = np.sort(generator.choice(total, min(number, total), replace=False, shuffle=False))
    return _Drawn(ranks, generator.random((ranks.size, 4)))


def _draw_snvs(totals: IntArray, number: int, seed: int) -> Mapping[tuple[int, int], _Drawn]:
    """Draw sites of each class, for each base that may take the place of the middle one."""
    return {
        (site, alt): _draw(int(totals[site]), number, seed, 4 * site + alt, "background snv")
        for site in np.flatnonzero(totals).tolist()
        for alt in range(4)
        if alt != _middle(site)
    }


def _draw_edits(totals: IntArray, number: int, seed: int, longest: int) -> Mapping[_Edit, _Drawn]:
    """Draw sites of each case, for each kind and length."""
    edits = []
    for low, high in LENGTHS:
        # The base before an insertion or deletion takes room, too.
        most = min(high or _LONGEST, longest - 1)
        kinds: tuple[Kind, ...] = ("insertion", "deletion")
        if 1 < low <= (high or low) <= _LONGEST_REPLACED:
            kinds += ("mnv", "complex")
        edits += [_Edit(kind, masked, low, most) for kind in kinds for masked in range(_CASES) if low <= most]
    by_case = totals.reshape(_TRIPLETS, _CASES).sum(0).tolist()
    return {
        edit: _draw(by_case[edit.masked], number, seed, edit.low * _CASES + edit.masked, f"background {edit.kind}")
        for edit in edits
    }


def _snvs_of(tile: _Tile, bounds: IntArray, drawn: Mapping[tuple[int, int], _Drawn]) -> Iterator[Variant]:
    # Offsets by class, and within a class by position.
    order = np.argsort(tile.sites, kind="stable")
    firsts = np.searchsorted(tile.sites[order], np.arange(_SITES))
    for (site, alt), sites in drawn.items():
        for rank, _ in sites.between(*bounds[:, site].tolist()):
            offset = int(order[firsts[site] + rank])
            ref = int(tile.codes[offset])
            put = alt if ref == _middle(site) else 3 - alt
            yield Variant(tile.contig, tile.start + offset, _BASES[ref], _BASES[put])


def _edits_of(tile: _Tile, bounds: IntArray, drawn: Mapping[_Edit, _Drawn]) -> Iterator[Variant]:
    by_case = bounds.reshape(2, _TRIPLETS, _CASES).sum(1)
    offsets = [np.flatnonzero((tile.sites >= 0) & (tile.sites % _CASES == masked)) for masked in range(_CASES)]
    for edit, sites in drawn.items():
        for rank, numbers in sites.between(*by_case[:, edit.masked].tolist()):
            found = _edited(tile, edit, int(offsets[edit.masked][rank]), *numbers.tolist())
            if found is not None:
                yield found


def _edited(tile: _Tile, edit: _Edit, offset: int, size: float, other: float, side: float, at: float) -> Variant | None:
    """Return a variant at an offset, its form taken from numbers between 0 and 1; None where bases are missing."""
    # Uniform in the logarithm.
    long = min(edit.high, int(edit.low * ((edit.high + 1) / edit.low) ** size))
    short = 1 + int(other * (long - 1))
    removed, inserted = {
        "insertion": (0, long),
        "deletion": (long, 0),
        "mnv": (long, long),
        "complex": (long, short) if side < 0.5 else (short, long),
    }[edit.kind]
    before = removed == 0 or inserted == 0
    ref = tile.text(offset, removed + before)
    put = tile.text(int(at * max(1, tile.codes.size - inserted + 1)), inserted)
    if ref is None or put is None:
        return None
    if before:
        put = ref[0] + put
    else:
        # Alleles that begin or end alike would be of another kind or length.
        put = _unlike(put[0], ref[0], ref[-1] if inserted == 1 else ref[0]) + put[1:]
        put = put[:-1] + _unlike(put[-1], ref[-1], ref[0] if inserted == 1 else ref[-1])
    return Variant(tile.contig, tile.start + offset, ref, put)


def _unlike(base: str, *others: str) -> str:
    """Return a base, or the next of A, C, G, T that is none of the others."""
    first = _BASES.index(base)
    return next(one for one in _BASES[first:] + _BASES[:first] if one not in others)


def _middle(site: int) -> int:
    return site // _CASES // 4 % 4
