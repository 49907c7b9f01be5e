"""Which records of a VCF are taken, and their alleles as variants on the contigs of a genome."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from genomamba.coordinates import Interval, Variant
from genomamba.data.bed import read_bed
from genomamba.data.genome import Genome
from genomamba.data.vcf import VcfReader, VcfRecord
from genomamba.score.variants.config import VariantsConfig

__all__ = ["Records", "Selection", "short", "variants_of"]

_SHOWN: Final = 20


class Records(Protocol):
    """Records that are taken of a file, and the names of their contigs in the genome."""

    def contig(self, record: VcfRecord) -> str | None:
        """Return the name of a record's contig in the genome; None where it has none."""

    def batches(self, reader: VcfReader) -> Iterator[list[VcfRecord]]:
        """Give the records that are taken, in the lists in which they are read; some may be empty."""

    def alleles(self, batch: Iterable[VcfRecord]) -> Iterator[tuple[str | None, Variant]]:
        """Give the alleles of records, each with its contig's name in the genome."""
        for record in batch:
            contig = self.contig(record)
            for variant in variants_of(record, contig):
                yield contig, variant


def variants_of(record: VcfRecord, contig: str | None) -> Iterator[Variant]:
    """Give the alleles of a record, in their order; `contig` is its name in the genome, where it has one."""
    for alt in record.alts:
        yield Variant(contig or record.chrom, record.pos - 1, record.ref, alt)


def short(allele: str) -> str:
    """Return an allele as a message shows it: cut where it is long."""
    return allele if len(allele) <= _SHOWN else f"{allele[:_SHOWN]}... ({len(allele):,} bases)"


class Selection(Records):
    """Records of one file that are taken: by place, and of those a part by number.

    Parameters
    ----------
    genome : Genome
        Whose names the contigs of the file are matched with.
    config : VariantsConfig
        As the user gave it.

    Attributes
    ----------
    part : range, optional
        Numbers of the records to take, among those of the place; None takes them all.
    """

    def __init__(self, genome: Genome, config: VariantsConfig) -> None:
        self._genome = genome
        self._names: dict[str, str | None] = {}
        self._stretches: dict[str, tuple[list[int], list[int]]] | None = None
        if config.region is not None:
            self._stretches = _by_contig([genome.interval(config.region)])
        elif config.regions_bed is not None:
            self._stretches = _by_contig(read_bed(config.regions_bed, genome))
        self.part: range | None = None

    def contig(self, record: VcfRecord) -> str | None:
        """Return the name of a record's contig in the genome; None where it has none."""
        name = record.chrom
        if name not in self._names:
            self._names[name] = self._genome.find(name)
        return self._names[name]

    def batches(self, reader: VcfReader) -> Iterator[list[VcfRecord]]:
        """Give the records that are taken, in the lists in which they are read; some may be empty."""
        number = 0
        for batch in reader.batches():
            taken = batch if self._stretches is None else [record for record in batch if self._lies_inside(record)]
            first, number = number, number + len(taken)
            if self.part is not None:
                taken = taken[max(0, self.part.start - first) : max(0, self.part.stop - first)]
            yield taken

    def _lies_inside(self, record: VcfRecord) -> bool:
        """Whether any base of REF lies in a stretch."""
        assert self._stretches is not None
        starts, ends = self._stretches.get(self.contig(record) or "", ([], []))
        last = bisect_right(starts, record.pos - 2 + len(record.ref)) - 1
        return last >= 0 and ends[last] > record.pos - 1


def _by_contig(stretches: Sequence[Interval]) -> dict[str, tuple[list[int], list[int]]]:
    """Return starts and ends by contig, both ascending."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for one in sorted(stretches):
        starts, ends = found.setdefault(one.contig, ([], []))
        starts.append(one.start)
        ends.append(one.end)
    return found
