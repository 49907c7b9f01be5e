"""Genes of a region as they are drawn: exons, coding parts, start codons; transcripts that look alike are one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.data.gff import Feature, FeatureStrand, read_features

__all__ = ["GeneModel", "Stretch", "introns", "lanes_of", "read_genes"]

Stretch = tuple[int, int]

_CODON: Final = 3
_EXONS: Final = frozenset({"exon", "five_prime_UTR", "three_prime_UTR", "UTR"})
_CODING: Final = frozenset({"CDS", "stop_codon"})
_START: Final = "start_codon"
_PARTS: Final = _EXONS | _CODING | {_START}


@dataclass(frozen=True, slots=True)
class GeneModel:
    """One or several transcripts that look alike in the region. Positions are 0-based and half-open, within the region.

    Attributes
    ----------
    name : str
        What people call the gene, and the transcript where the gene has others.
    strand : {"+", "-", ".", "?"}
        `.` and `?`: none, or not known.
    start, end : int
        From its first exon to its last.
    exons, coding, starts : tuple of (int, int)
        Ascending: exons with their coding parts, coding parts, start codons (a codon that an intron divides has two).
    """

    name: str
    strand: FeatureStrand
    start: int
    end: int
    exons: tuple[Stretch, ...]
    coding: tuple[Stretch, ...]
    starts: tuple[Stretch, ...]


def read_genes(path: str | Path, genome: Genome, region: Interval) -> list[GeneModel]:
    """Read the genes of a GFF3 or GTF file that lie in a region, by position.

    The start codon of a transcript is what the file says it is, or else the first three coding bases where the file has
    their phase as 0. A gene without exons or coding parts is one exon.

    Parameters
    ----------
    path : str or Path
        See `genomamba.data.gff.read_features`.
    genome : Genome
        Whose names and lengths count.
    region : Interval
        What is drawn; its contig is as in the FASTA.

    Raises
    ------
    DataError
        See `genomamba.data.gff.read_features`.
    """
    near = [one for one in read_features(path, genome, within=region) if _is_drawn(one.type)]
    if not near:
        return []
    # A transcript's first codon may lie outside of the region, and so does not follow from what lies within.
    first, last = min(one.interval.start for one in near), max(one.interval.end for one in near)
    hull = Interval(region.contig, min(first, region.start), max(last, region.end))
    return _models([one for one in read_features(path, genome, within=hull) if _is_drawn(one.type)], region)


def lanes_of(spans: Sequence[Stretch]) -> list[int]:
    """Return a lane for each span, from 0, so that no two in one lane overlap; spans come by their start."""
    ends: list[int] = []
    lanes = []
    for start, end in spans:
        lane = next((i for i, taken in enumerate(ends) if taken <= start), len(ends))
        ends[lane : lane + 1] = [end]
        lanes.append(lane)
    return lanes


def introns(gene: GeneModel) -> list[Stretch]:
    """Return what lies between a gene's exons, and between them and its ends."""
    borders = [gene.start, *(at for exon in gene.exons for at in exon), gene.end]
    return [(start, end) for start, end in list(pairwise(borders))[::2] if start < end]


@dataclass(frozen=True, slots=True)
class _Transcript:
    gene: str
    name: str
    strand: FeatureStrand
    span: Stretch
    exons: tuple[Stretch, ...]
    coding: tuple[Stretch, ...]
    starts: tuple[Stretch, ...]


def _is_drawn(kind: str) -> bool:
    return kind in _PARTS or any(word in kind for word in ("gene", "RNA", "transcript"))


def _models(features: Sequence[Feature], region: Interval) -> list[GeneModel]:
    owners = {name: one for one in features if one.type not in _PARTS and (name := one.id)}
    parts: defaultdict[str, list[Feature]] = defaultdict(list)
    for one in features:
        if one.type in _PARTS:
            # CDS of gene finders have no parent.
            for parent in one.parents or (one.id or f"line {one.line}",):
                parts[parent].append(one)
    with_parts = {ancestor for key in parts for ancestor in _ancestors(key, owners)}
    found = [_transcript(key, some, owners) for key, some in parts.items()]
    for name, one in owners.items():
        if "gene" in one.type and name not in with_parts:
            stretch = (one.interval.start, one.interval.end)
            found.append(_Transcript(one.name or name, name, one.strand, stretch, (stretch,), (), ()))
    return _put_together([_cut(one, region) for one in found if _touches(one.span, region)])


def _ancestors(name: str, owners: dict[str, Feature]) -> list[str]:
    """Return a name, its parent's, and so on, as far as the file has them."""
    found = [name]
    while found[-1] in owners and (parents := owners[found[-1]].parents) and parents[0] not in found:
        found.append(parents[0])
    return found


def _transcript(key: str, parts: Sequence[Feature], owners: dict[str, Feature]) -> _Transcript:
    line = [owners[name] for name in _ancestors(key, owners) if name in owners]
    strand = parts[0].strand
    coding = _joined(one for one in parts if one.type in _CODING)
    exons = _joined(one for one in parts if one.type in _EXONS | _CODING)
    starts = _joined(one for one in parts if one.type == _START) or _first_codon(parts, strand)
    everything = [*parts, *line[:1]]
    return _Transcript(
        gene=(line[-1] if line else parts[0]).name or key,
        name=(line[0] if line else parts[0]).name or key,
        strand=strand,
        span=(min(one.interval.start for one in everything), max(one.interval.end for one in everything)),
        exons=exons or starts,
        coding=coding,
        starts=starts,
    )


def _joined(parts: Iterable[Feature]) -> tuple[Stretch, ...]:
    found: list[Stretch] = []
    for start, end in sorted((one.interval.start, one.interval.end) for one in parts):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def _first_codon(parts: Sequence[Feature], strand: FeatureStrand) -> tuple[Stretch, ...]:
    """Return the first three coding bases along the strand; none where the file does not have them as a codon."""
    coding = sorted((one for one in parts if one.type == "CDS"), key=lambda one: one.interval)
    if strand == "-":
        coding.reverse()
    if strand not in ("+", "-") or not coding or coding[0].phase != 0:
        return ()
    left, found = _CODON, list[Stretch]()
    for one in coding:
        start, end = one.interval.start, one.interval.end
        taken = min(left, end - start)
        found.append((start, start + taken) if strand == "+" else (end - taken, end))
        left -= taken
        if not left:
            break
    return tuple(sorted(found))


def _touches(span: Stretch, region: Interval) -> bool:
    return span[0] < region.end and span[1] > region.start


def _cut(one: _Transcript, region: Interval) -> _Transcript:
    def inside(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
        return tuple((max(s, region.start), min(e, region.end)) for s, e in stretches if _touches((s, e), region))

    (span,) = inside([one.span])
    return _Transcript(one.gene, one.name, one.strand, span, inside(one.exons), inside(one.coding), inside(one.starts))


def _put_together(transcripts: Sequence[_Transcript]) -> list[GeneModel]:
    alike: defaultdict[tuple[object, ...], list[_Transcript]] = defaultdict(list)
    for one in transcripts:
        alike[one.gene, one.strand, one.span, one.exons, one.coding, one.starts].append(one)
    forms = Counter(group[0].gene for group in alike.values())
    models = []
    for group in alike.values():
        one = group[0]
        name = one.gene
        if len(group) > 1:
            name += f", {len(group)} transcripts"
        elif forms[one.gene] > 1 and one.name != one.gene:
            name += f" {one.name}"
        models.append(GeneModel(name, one.strand, *one.span, one.exons, one.coding, one.starts))
    return sorted(models, key=lambda model: (model.start, -model.end, model.name))
