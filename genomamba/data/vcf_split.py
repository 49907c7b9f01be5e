"""Shards of a VCF: records that follow each other, of one contig or of several short ones, in files of their own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genomamba.data.genome import Genome
from genomamba.data.names import some_names
from genomamba.data.vcf import VcfReader
from genomamba.data.vcf_output import open_bytes
from genomamba.errors import DataError
from genomamba.files import atomic_folder

__all__ = ["Shard", "check_contigs", "count_by_contig", "plan_shards", "write_shards"]


@dataclass(frozen=True, slots=True)
class Shard:
    """Records that follow each other in a file.

    Attributes
    ----------
    contigs : tuple of str
        CHROM as written, in the order of the file.
    records : int
        How many there are.
    """

    contigs: tuple[str, ...]
    records: int


def count_by_contig(vcf: str | Path) -> dict[str, int]:
    """Return how many records each contig of a VCF has, in the order of the file. Raises `DataError` at its faults."""
    counts: dict[str, int] = {}
    with VcfReader(vcf) as reader:
        for batch in reader.batches():
            for record in batch:
                counts[record.chrom] = counts.get(record.chrom, 0) + 1
    return counts


def plan_shards(counts: dict[str, int], size: int) -> list[Shard]:
    """Part records into shards of at most `size`.

    A contig with more is cut into equal parts, and contigs that follow each other share a shard where all of them fit
    into it. Without records there is one shard, so that the header is kept.
    """
    shards: list[Shard] = []
    held: list[str] = []
    room = size
    for contig, count in counts.items():
        if count <= room and held:
            held.append(contig)
            room -= count
            continue
        if held:
            shards.append(Shard(tuple(held), size - room))
            held, room = [], size
        if count <= size:
            held, room = [contig], size - count
            continue
        parts = -(-count // size)
        edges = [count * part // parts for part in range(parts + 1)]
        shards += [Shard((contig,), end - start) for start, end in itertools.pairwise(edges)]
    if held or not shards:
        shards.append(Shard(tuple(held), size - room))
    return shards


def write_shards(vcf: str | Path, shards: Sequence[Shard], folder: Path) -> None:
    """Write shards as `1.vcf.gz`, `2.vcf.gz` and so on, each with the header of the VCF, into a new folder, or anew.

    Raises
    ------
    DataError
        Where the VCF has faults.
    RunError
        Where the folder cannot be written; it is then as it was before.
    """
    with atomic_folder(folder) as temporary, VcfReader(vcf) as reader:
        records = (record for batch in reader.batches() for record in batch)
        for number, shard in enumerate(shards, 1):
            with open_bytes(temporary / f"{number}.vcf.gz", blocked=True) as sink:
                sink.write(reader.header.to_bytes())
                for record in itertools.islice(records, shard.records):
                    sink.write(record.line)


def check_contigs(vcf: str | Path, counts: dict[str, int], genome: Genome) -> str | None:
    """Return what is to be said of contigs that a genome lacks, or None.

    Raises
    ------
    DataError
        Where it has none of them: the VCF is of another assembly, or its names need a map.
    """
    absent = [contig for contig in counts if genome.find(contig) is None]
    if not absent:
        return None
    if len(absent) == len(counts):
        raise DataError(
            f"{vcf}: its records lie on {some_names(absent)}, and the FASTA has"
            f" {some_names([contig.name for contig in genome.contigs])}; is this the right assembly?"
            " --chrom-map matches names"
        )
    left = sum(counts[contig] for contig in absent)
    return f"{vcf}: {left:,} records lie on {some_names(absent)}, which the FASTA has not"
