"""Places that an annotation names or implies: splice sites, codons, starts of transcripts, coding bases."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from genomamba.coordinates import Interval
from genomamba.data.bed import merge
from genomamba.data.genome import Genome
from genomamba.data.gff import Feature, read_features
from genomamba.errors import DataError
from genomamba.score.reading import Strand
from genomamba.settings import did_you_mean

__all__ = ["DERIVED", "MOTIFS", "Annotation", "Site", "read_annotation"]

SHORTEST_INTRON: Final = 20
"""Gaps between exons of fewer bases are frameshifts and errors of the assembly, not introns."""
MOTIFS: Final = {"splice_donor": (0, 2), "splice_acceptor": (-1, 2), "start_codon": (0, 3), "stop_codon": (0, 3)}
"""Where the letters that mark a site begin, counted from it along its strand, and how many they are."""

_WHOLE_CONTIGS: Final = frozenset(
    {"region", "chromosome", "contig", "supercontig", "scaffold", "source", "biological_region"}
)
_KINDS: Final = ("biotype", "transcript_biotype", "gene_biotype", "gbkey")
_UNSPLICED: Final = "tRNA"
_CODON: Final = 3


@dataclass(frozen=True, order=True, slots=True)
class Site:
    """One base of a contig, 0-based, seen along a strand."""

    contig: str
    position: int
    strand: Strand


@dataclass(slots=True)
class _Transcript:
    """What one transcript is made of, in the order of the file."""

    contig: str
    strand: Strand
    exons: list[Interval] = field(default_factory=list)
    coding: list[tuple[Interval, int | None]] = field(default_factory=list)

    def introns(self) -> list[Interval]:
        """Return the gaps between exons, or between coding stretches where no exons are named, left to right."""
        parts = merge(self.exons or [interval for interval, _ in self.coding])
        gaps = (Interval(self.contig, one.end, two.start) for one, two in itertools.pairwise(parts))
        return [gap for gap in gaps if len(gap) >= SHORTEST_INTRON]

    def splice_donors(self) -> list[Site]:
        return [self._first(intron) for intron in self.introns()]

    def splice_acceptors(self) -> list[Site]:
        return [self._last(intron) for intron in self.introns()]

    def start_codons(self) -> list[Site]:
        """Return the first base of the coding sequence, where it begins with a whole codon in one exon."""
        if not self.coding:
            return []
        first, phase = (min if self.strand == "+" else max)(self.coding, key=lambda part: part[0])
        return [self._first(first)] if phase in (0, None) and len(first) >= _CODON else []

    def stop_codons(self) -> list[Site]:
        """Return the first base of the last codon, where it lies in one exon."""
        if not self.coding:
            return []
        last, _ = (max if self.strand == "+" else min)(self.coding, key=lambda part: part[0])
        if len(last) < _CODON:
            return []
        return [Site(self.contig, last.end - _CODON if self.strand == "+" else last.start + _CODON - 1, self.strand)]

    def starts(self) -> list[Site]:
        """Return the first base that is transcribed."""
        if not self.exons:
            return []
        start, end = min(exon.start for exon in self.exons), max(exon.end for exon in self.exons)
        return [self._first(Interval(self.contig, start, end))]

    def _first(self, interval: Interval) -> Site:
        return Site(self.contig, interval.start if self.strand == "+" else interval.end - 1, self.strand)

    def _last(self, interval: Interval) -> Site:
        return Site(self.contig, interval.end - 1 if self.strand == "+" else interval.start, self.strand)


DERIVED: Final[dict[str, Callable[[_Transcript], list[Site]]]] = {
    "splice_donor": _Transcript.splice_donors,
    "splice_acceptor": _Transcript.splice_acceptors,
    "start_codon": _Transcript.start_codons,
    "stop_codon": _Transcript.stop_codons,
    "tss": _Transcript.starts,
}


@dataclass(frozen=True, slots=True)
class Annotation:
    """What an annotation says of one kind of feature.

    Attributes
    ----------
    sites : list of Site
        Its places, each once, sorted: the first base of an intron, its last one, the first base of a codon, of a
        transcript; of other features the base in their middle.
    stretches : list of (Interval, strand)
        For CDS, and no sites: coding bases, those of overlapping transcripts of a strand joined.
    taken : list of Interval
        Bases of any feature, joined.
    """

    sites: list[Site]
    stretches: list[tuple[Interval, Strand]]
    taken: list[Interval]

    def by_contig(self) -> dict[str, Annotation]:
        """Return what it says of each contig; a contig that it says nothing of is empty."""
        found: dict[str, Annotation] = defaultdict(lambda: Annotation([], [], []))
        for site in self.sites:
            found[site.contig].sites.append(site)
        for interval, strand in self.stretches:
            found[interval.contig].stretches.append((interval, strand))
        for interval in self.taken:
            found[interval.contig].taken.append(interval)
        return found


def read_annotation(path: Path, genome: Genome, feature: str) -> Annotation:
    """Find the places of a feature.

    Splice sites are the ends of introns: gaps of 20 bases or more between exons of a transcript that is no tRNA, whose
    introns are cut otherwise. Codons are those that the file names, or else the ends of the coding sequence of each
    transcript; those that an intron divides, and sequences that begin inside of a codon, are left out.

    Parameters
    ----------
    path : Path
        GFF3 or GTF.
    genome : Genome
        Contigs that it leaves out are left out.
    feature : str
        splice_donor, splice_acceptor, start_codon, stop_codon, tss, CDS, or a type in the third column of the file.

    Raises
    ------
    DataError
        Where the file cannot be read, or has no such feature.
    """
    transcripts: dict[tuple[str, str, Strand], _Transcript] = {}
    unspliced: set[str] = set()
    named: list[Feature] = []
    taken: list[Interval] = []
    types: set[str] = set()
    for row in read_features(path, genome):
        types.add(row.type)
        if row.type not in _WHOLE_CONTIGS:
            taken.append(row.interval)
        if row.type == feature:
            named.append(row)
        if row.type in ("exon", "CDS") and row.strand in ("+", "-"):
            _add(transcripts, row)
        elif feature.startswith("splice_") and (row.type == _UNSPLICED or _is_unspliced(row)) and row.id is not None:
            unspliced.add(row.id)
    found = [one for (name, *_), one in transcripts.items() if name not in unspliced]
    sites, stretches = _places(feature, named, found)
    if not sites and not stretches:
        known = sorted({*types, *(DERIVED if transcripts else ())})
        raise DataError(f"{path}: no {feature} in it{_nearest(feature, known)}")
    return Annotation(sorted(set(sites)), stretches, merge(taken))


def _places(
    feature: str, named: list[Feature], transcripts: Iterable[_Transcript]
) -> tuple[list[Site], list[tuple[Interval, Strand]]]:
    if feature == "CDS":
        by_strand: dict[Strand, list[Interval]] = defaultdict(list)
        for one in transcripts:
            by_strand[one.strand].extend(interval for interval, _ in one.coding)
        return [], [(interval, strand) for strand, intervals in by_strand.items() for interval in merge(intervals)]
    if named and feature.endswith("_codon"):
        return [_first(row) for row in named if len(row.interval) == _CODON and row.strand in ("+", "-")], []
    if feature in DERIVED:
        return [site for one in transcripts for site in DERIVED[feature](one)], []
    return [_middle(row) for row in named], []


def _nearest(feature: str, known: list[str]) -> str:
    """Ask for a feature that holds the name, or is near it; else, and where the name is right, say what there is."""
    inside = [name for name in known if feature.lower() in name.lower()]
    hint = f"; did you mean {inside[0]}?" if inside else did_you_mean(feature, known)
    return hint if hint and feature not in {*DERIVED, "CDS"} else f"; it has {', '.join(known)}"


def _add(transcripts: dict[tuple[str, str, Strand], _Transcript], row: Feature) -> None:
    strand: Strand = "+" if row.strand == "+" else "-"
    for parent in row.parents or (f"line {row.line}",):
        # A name may come again on another contig, as those of genes in both pseudoautosomal regions do.
        key = (parent, row.interval.contig, strand)
        one = transcripts.setdefault(key, _Transcript(row.interval.contig, strand))
        if row.type == "exon":
            one.exons.append(row.interval)
        else:
            one.coding.append((row.interval, row.phase))


def _is_unspliced(row: Feature) -> bool:
    if _UNSPLICED not in row.text:
        return False
    found = row.attributes()
    return any(_UNSPLICED in found.get(key, ()) for key in _KINDS)


def _first(row: Feature) -> Site:
    strand: Strand = "+" if row.strand == "+" else "-"
    return Site(row.interval.contig, row.interval.start if strand == "+" else row.interval.end - 1, strand)


def _middle(row: Feature) -> Site:
    strand: Strand = "-" if row.strand == "-" else "+"
    start, end = row.interval.start, row.interval.end
    return Site(row.interval.contig, (start + end - (strand == "-")) // 2, strand)
