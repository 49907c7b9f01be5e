"""Classes of bases, such as exon, intron and repeat: every base of a genome has one, by a BED file or an annotation.

BED: the fourth column names the class of a stretch, and a base of no stretch is `other`. Where stretches of several
classes overlap, the class whose first line comes first in the file has the base: sort the lines by what matters more.

GFF3 and GTF: a base is `CDS` where a coding sequence has it, else `exon` where an exon or an untranslated end does
(non-coding genes, too), else `intron` where it lies between such parts of a transcript, else `genic` where it lies in a
gene or transcript otherwise, else `intergenic`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from genomamba.coordinates import Interval
from genomamba.data.bed import merge, read_lines
from genomamba.data.genome import Genome
from genomamba.data.gff import read_features
from genomamba.errors import DataError

__all__ = ["RegionClasses", "read_classes"]

_log = logging.getLogger("genomamba")

ANNOTATIONS: Final = (".gff", ".gff3", ".gtf")
CODING, INTRONS = frozenset({"CDS"}), frozenset({"intron"})
EXONS: Final = frozenset({"exon", "noncoding_exon", "UTR", "five_prime_UTR", "three_prime_UTR"})
_TRANSCRIPT: Final = re.compile(r'(?:^|;)\s*(?:Parent=\s*([^;]+)|transcript_id\s+"([^"]+)")')
_MOST: Final = 250
_NAMED: Final = 3


class _Runs(NamedTuple):
    """Stretches of one class each that cover a contig: where they start, ascending from 0, and their classes."""

    starts: npt.NDArray[np.int64]
    classes: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class RegionClasses:
    """The class of every base of some contigs; light and picklable.

    Attributes
    ----------
    names : tuple of str
        The classes, in the order in which they are told.
    runs : mapping of str to runs
        By contig; bases of contigs that are not in it have no class.
    """

    names: tuple[str, ...]
    runs: Mapping[str, _Runs]

    def of(self, interval: Interval) -> npt.NDArray[np.uint8] | None:
        """Return the class of each base, as a place in `names`, (len(interval),) uint8; None on another contig."""
        if interval.contig not in self.runs:
            return None
        classes, lengths = self._within(interval)
        return np.repeat(classes, lengths)

    def count(self, intervals: Iterable[Interval]) -> dict[str, int]:
        """Return how many bases of some stretches each class has; classes without any are left out."""
        counts = np.zeros(len(self.names), np.int64)
        for interval in intervals:
            if interval.contig in self.runs:
                np.add.at(counts, *self._within(interval))
        return {name: count for name, count in zip(self.names, counts.tolist(), strict=True) if count}

    def _within(self, interval: Interval) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Return the runs that lie in a stretch: their classes, and how many bases of it each has."""
        starts, classes = self.runs[interval.contig]
        first = int(np.searchsorted(starts, interval.start, side="right")) - 1
        last = int(np.searchsorted(starts, interval.end, side="left"))
        edges = np.append(starts[first:last], interval.end)
        edges[0] = interval.start
        return classes[first:last], np.diff(edges)

    @classmethod
    def join(cls, members: Mapping[str, RegionClasses]) -> RegionClasses:
        """Return the classes of several genomes as those of one, whose contigs are named GENOME/CONTIG."""
        names = tuple(dict.fromkeys(name for one in members.values() for name in one.names))
        runs = {}
        for genome, one in members.items():
            place = np.array([names.index(name) for name in one.names], np.uint8)
            for contig, (starts, classes) in one.runs.items():
                runs[f"{genome}/{contig}"] = _Runs(starts, place[classes])
        return cls(names, runs)


def read_classes(path: str | Path, genome: Genome) -> RegionClasses:
    """Read the classes of all contigs of a genome, from a BED file or, by its name, GFF3 or GTF; plain or gzip.

    Lines of contigs that the genome does not have are left out, and their number is logged.

    Raises
    ------
    DataError
        With the line: one that is malformed, that passes its contig's end, or, in BED, that has no fourth column.
        Without one: a file without a stretch on any contig of the genome, and more classes than 250.
    """
    path = Path(path)
    name = path.name.removesuffix(".gz").removesuffix(".bgz").lower()
    layers, rest = _annotated(path, genome) if name.endswith(ANNOTATIONS) else _listed(path, genome)
    if len(layers) > _MOST:
        raise DataError(f"{path}: {len(layers):,} classes, the most is {_MOST}; is its fourth column a class?")
    names = (*(one for one in layers if one != rest), rest)
    by_contig: dict[str, list[tuple[Interval, int]]] = {contig.name: [] for contig in genome.contigs}
    # What stands first is painted last.
    for number, one in reversed(list(enumerate(names))):
        for interval in layers.get(one, []):
            by_contig[interval.contig].append((interval, number))
    runs = {contig: _painted(genome.length(contig), len(names) - 1, those) for contig, those in by_contig.items()}
    return RegionClasses(names, runs)


def _painted(length: int, rest: int, stretches: Sequence[tuple[Interval, int]]) -> _Runs:
    """Lay stretches over a contig, the last one on top."""
    classes = np.full(length, rest, np.uint8)
    for interval, number in stretches:
        classes[interval.start : interval.end] = number
    starts = np.append(0, np.flatnonzero(classes[1:] != classes[:-1]) + 1).astype(np.int64)
    return _Runs(starts, classes[starts])


def _listed(path: Path, genome: Genome) -> tuple[dict[str, list[Interval]], str]:
    """Return the stretches of a BED file by class, and what other bases are called."""
    layers: dict[str, list[Interval]] = {}
    absent: Counter[str] = Counter()
    for line in read_lines(path, genome, absent=absent):
        name = line.columns[3].strip() if len(line.columns) > 3 else ""
        if name in ("", "."):
            raise DataError(f"{path}:{line.number}: no fourth column; it names the class of the stretch, such as exon")
        layers.setdefault(name, []).append(line.interval)
    named = ", ".join(repr(one) for one in list(absent)[:_NAMED])
    if not layers:
        raise DataError(f"{path}: its stretches lie on {named}, which the FASTA does not have; see --chrom-map")
    if absent:
        _log.info("%s: %s stretches left out, on contigs such as %s", path, f"{absent.total():,}", named)
    return layers, "other"


def _annotated(path: Path, genome: Genome) -> tuple[dict[str, list[Interval]], str]:
    """Return the stretches of an annotation by class, what has a base first standing first, and the rest's name."""
    layers: dict[str, list[Interval]] = {"CDS": [], "exon": [], "intron": [], "genic": []}
    parts: dict[str, list[Interval]] = {}
    for feature in read_features(path, genome):
        kind = feature.type
        if kind in CODING:
            layers["CDS"].append(feature.interval)
        elif kind in EXONS:
            layers["exon"].append(feature.interval)
        elif kind in INTRONS:
            layers["intron"].append(feature.interval)
        elif kind.endswith(("gene", "RNA", "transcript")):
            layers["genic"].append(feature.interval)
        if kind in CODING | EXONS:
            for parent in _transcripts(feature.text):
                parts.setdefault(parent, []).append(feature.interval)
    for of_parent in parts.values():
        layers["intron"] += _between(of_parent)
    return {name: intervals for name, intervals in layers.items() if intervals}, "intergenic"


def _transcripts(text: str) -> list[str]:
    """Return the transcripts of an exon or coding part as the file spells them; all attributes would take longer."""
    found = _TRANSCRIPT.search(text)
    return (found[1] or found[2]).split(",") if found else []


def _between(parts: Sequence[Interval]) -> list[Interval]:
    """Return what lies between the parts of one transcript; nothing where they lie on several contigs."""
    ordered = merge(parts)
    if len({one.contig for one in ordered}) > 1:
        return []
    return [Interval(one.contig, one.end, other.start) for one, other in pairwise(ordered)]
