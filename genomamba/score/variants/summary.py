"""What a report says of scored variants, gathered as they pass, in memory that does not grow with their number."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.coordinates import Kind, Variant
from genomamba.data.genome import Genome
from genomamba.data.vcf import VcfRecord
from genomamba.score.variants.labels import Field
from genomamba.score.variants.selection import short
from genomamba.score.variants.status import Status

__all__ = ["Histogram", "Summary", "Top", "Unscored", "change_of"]

Float64Array = npt.NDArray[np.float64]

_MOST_TOP: Final = 200
_MOST_UNSCORED: Final = 100
_MOST_BINS: Final = 4_096
_FINEST: Final = -24
_TRANSITIONS: Final = {("A", "G"), ("G", "A"), ("C", "T"), ("T", "C")}
_LENGTHS: Final = ((1, "1 base"), (5, "2 to 5 bases"))


class Histogram:
    """Counts of numbers of any range: bins double in width until there are few enough."""

    def __init__(self) -> None:
        self.count = 0
        self._exponent = _FINEST
        self._bins: Counter[int] = Counter()

    def add(self, values: Float64Array) -> None:
        """Take finite numbers."""
        numbers, counts = np.unique(np.floor(values * 2.0**-self._exponent), return_counts=True)
        self._bins.update(dict(zip(map(int, numbers), counts.tolist(), strict=True)))
        self.count += values.size
        while len(self._bins) > _MOST_BINS:
            merged: Counter[int] = Counter()
            for number, count in self._bins.items():
                merged[number >> 1] += count
            self._bins, self._exponent = merged, self._exponent + 1

    def counts(self) -> tuple[Float64Array, npt.NDArray[np.int64]]:
        """Return the middles of the bins that hold something, ascending, and how many numbers each holds."""
        numbers = sorted(self._bins)
        middles = (np.array(numbers, np.float64) + 0.5) * 2.0**self._exponent
        return middles, np.array([self._bins[number] for number in numbers], np.int64)


@dataclass(frozen=True, slots=True)
class Top:
    """An allele whose score is far from 0: its place, its change, its numbers, and fields of the file."""

    chrom: str
    pos: int
    id: str
    ref: str
    alt: str
    change: str
    values: tuple[float | None, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unscored:
    """An allele that was not scored: its line in the file, the status, and the reason in words."""

    line: int
    status: Status
    text: str


class Summary:
    """Counts, histograms, the scores farthest from 0, and the first alleles that were not scored.

    Parameters
    ----------
    main : str
        Column of the histograms and of the order of the farthest.
    genome : Genome, optional
        Tells transitions of CpG from others; without it they stand together.
    numbers, texts : dict of str to Field
        What to show of the farthest beside their scores.

    Attributes
    ----------
    records, alleles : int
        How many have passed.
    columns : tuple of str
        Names of the numbers of the farthest: those that records came with, and fields.
    statuses : Counter of (kind, Status)
        Alleles of each.
    histograms : dict of str to Histogram
        Of the scored alleles, by change; see `change_of`.
    refused : int
        Alleles that have no score for a reason that their status tells.
    unscored : list of Unscored
        The first of those.
    """

    def __init__(
        self, main: str, genome: Genome | None, numbers: Mapping[str, Field], texts: Mapping[str, Field]
    ) -> None:
        self.main, self.numbers, self.texts = main, dict(numbers), dict(texts)
        self.columns: tuple[str, ...] = ()
        self._genome = genome
        self.records = self.alleles = self.refused = 0
        self.statuses: Counter[tuple[Kind, Status]] = Counter()
        self.histograms: dict[str, Histogram] = {}
        self.unscored: list[Unscored] = []
        self._top: list[tuple[float, int, Top]] = []

    def add(
        self,
        records: Sequence[VcfRecord],
        contig_of: Callable[[VcfRecord], str | None],
        columns: Mapping[str, npt.NDArray[Any]],
        statuses: Sequence[Status],
        where: str,
    ) -> None:
        """Take records with a value an allele in each column, and a status."""
        self.columns = (*columns, *self.numbers)
        scores = np.asarray(columns[self.main], np.float64).tolist()
        by_change: dict[str, list[float]] = {}
        at = 0
        for record in records:
            contig = contig_of(record)
            for i, alt in enumerate(record.alts):
                variant = Variant(contig or record.chrom, record.pos - 1, record.ref, alt)
                self.statuses[variant.kind, statuses[at]] += 1
                if math.isfinite(scores[at]):
                    change = change_of(variant, self._genome if contig else None)
                    by_change.setdefault(change, []).append(scores[at])
                    self._consider(abs(scores[at]), record, i, change, columns, at, where)
                elif statuses[at] is not Status.OK:
                    self.refused += 1
                    if len(self.unscored) < _MOST_UNSCORED:
                        place = f"{record.chrom}:{record.pos:,} {short(record.ref)}>{short(alt)}"
                        self.unscored.append(Unscored(record.number, statuses[at], f"{place}: {statuses[at].reason}"))
                at += 1
        for change, values in by_change.items():
            self.histograms.setdefault(change, Histogram()).add(np.array(values))
        self.records += len(records)
        self.alleles += at

    def _consider(
        self,
        size: float,
        record: VcfRecord,
        allele: int,
        change: str,
        columns: Mapping[str, npt.NDArray[Any]],
        at: int,
        where: str,
    ) -> None:
        """Keep an allele that is farther from 0 than the nearest of those that are kept; of equals the first stays."""
        if len(self._top) == _MOST_TOP and size <= self._top[0][0]:
            return
        numbers = [float(column[at]) for column in columns.values()]
        numbers += [field.numbers(record, where)[allele] for field in self.numbers.values()]
        top = Top(
            record.chrom,
            record.pos,
            record.id.decode("utf-8", "backslashreplace"),
            record.ref,
            record.alts[allele],
            change,
            tuple(None if math.isnan(number) else number for number in numbers),
            tuple(
                (field.texts(record, where)[allele] or b".").decode("utf-8", "backslashreplace")
                for field in self.texts.values()
            ),
        )
        entry = (size, -(self.alleles + at), top)
        if len(self._top) == _MOST_TOP:
            heapq.heapreplace(self._top, entry)
        else:
            heapq.heappush(self._top, entry)

    def top(self) -> list[Top]:
        """Return the alleles whose scores are farthest from 0, the farthest first."""
        return [top for _, _, top in sorted(self._top, key=lambda entry: (-entry[0], -entry[1]))]

    def count(self, status: Status) -> int:
        """Return how many alleles have a status."""
        return sum(count for (_, one), count in self.statuses.items() if one is status)


def change_of(variant: Variant, genome: Genome | None) -> str:
    """Return what an allele changes, in words: the groups of the histograms.

    Parameters
    ----------
    variant : Variant
        A sequence, on the contig that `genome` has.
    genome : Genome, optional
        Where it tells whether a transition lies in CpG: C>T before a G, or G>A behind a C.
    """
    least = variant.trimmed()
    removed, put = len(least.ref), len(least.alt)
    if removed == put == 1:
        pair = (least.ref.upper(), least.alt.upper())
        if pair not in _TRANSITIONS:
            return "transversion"
        if genome is None:
            return "transition"
        return "transition, CpG" if _is_cpg(least, genome) else "transition, other"
    if removed == put:
        return "several bases"
    if not removed or not put:
        longer = max(removed, put)
        length = next((name for most, name in _LENGTHS if longer <= most), "6 bases or more")
        return f"{'deletion' if removed else 'insertion'}, {length}"
    return "complex"


def _is_cpg(variant: Variant, genome: Genome) -> bool:
    """Whether a transition of one base is that of a methylated cytosine, on either strand."""
    pair = (variant.ref.upper(), variant.alt.upper())
    beside = {("C", "T"): (variant.end, b"G"), ("G", "A"): (variant.start - 1, b"C")}.get(pair)
    if beside is None or not 0 <= beside[0] < genome.length(variant.contig):
        return False
    alphabet = genome.alphabet
    symbol = genome.fetch(variant.contig, beside[0], beside[0] + 1)
    return alphabet.decode(alphabet.token_of_symbol[symbol]).upper() == beside[1]
