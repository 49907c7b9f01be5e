"""What the records of a VCF hold, found by reading them once, so that a fault is told before hours of work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from genomamba.data.vcf import VcfReader, VcfRecord
from genomamba.errors import DataError
from genomamba.score.variants.config import VariantsConfig
from genomamba.score.variants.scorers import Scorer
from genomamba.score.variants.selection import Selection, short, variants_of
from genomamba.score.variants.status import Status

__all__ = ["Survey", "scored_statuses", "take_survey"]

_MOST_MISMATCHES: Final = 0.01


@dataclass(slots=True)
class Survey:
    """What the records that are taken hold.

    Attributes
    ----------
    name : str
        Of the file, as the user knows it.
    config : VariantsConfig
        As the user gave it.
    """

    name: str
    config: VariantsConfig
    records: int = 0
    alleles: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    first_mismatch: str = ""

    @property
    def scored(self) -> int:
        """Alleles that are scored."""
        return sum(self.statuses[status] for status in scored_statuses(self.config))

    def in_words(self) -> str:
        """Return a line that says so."""
        scored = scored_statuses(self.config)
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.kinds.most_common())
        left = ", ".join(f"{count:,} {status}" for status, count in self.statuses.most_common() if status not in scored)
        told = f"{self.name}: {self.records:,} records, {self.alleles:,} alleles ({kinds or 'none'})"
        return told + (f"; not scored: {left}" if left else "")

    def take_note(self, record: VcfRecord, contig: str | None, scorer: Scorer) -> None:
        """Count a record that is taken."""
        self.records += 1
        for variant in variants_of(record, contig):
            status = scorer.status(contig, variant)
            self.alleles += 1
            self.statuses[status] += 1
            self.kinds[variant.kind] += 1
            if status is Status.REF_MISMATCH and not self.first_mismatch:
                self.first_mismatch = (
                    f"{self.name}:{record.number}: REF is {short(record.ref)!r}, which is not what the FASTA has"
                    f" at {record.chrom}:{record.pos:,}"
                )
                if self.config.ref_mismatch == "error":
                    raise DataError(f"{self.first_mismatch}; --ref-mismatch skip leaves such records unscored")


def take_survey(
    vcf: Path,
    selection: Selection,
    scorer: Scorer,
    config: VariantsConfig,
    *,
    name: str,
    shard: tuple[int, int] = (0, 1),
) -> Survey:
    """Read all records of a file once, and have the selection take a part of them alone.

    Parameters
    ----------
    vcf : Path
        The file.
    name : str
        What the user calls it.
    shard : tuple of int
        Number of the part, from 0, and how many there are.

    Raises
    ------
    DataError
        At a fault of the file, and where its REFs are not those of the genome.
    """
    part, parts = shard
    if parts > 1:
        with VcfReader(vcf) as reader:
            total = sum(len(batch) for batch in selection.batches(reader))
        selection.part = range(total * part // parts, total * (part + 1) // parts)
    survey = Survey(name, config)
    with VcfReader(vcf) as reader:
        for batch in selection.batches(reader):
            for record in batch:
                survey.take_note(record, selection.contig(record), scorer)
    mismatches = survey.statuses[Status.REF_MISMATCH]
    compared = mismatches + survey.statuses[Status.OK]
    if config.ref_mismatch == "skip" and mismatches > _MOST_MISMATCHES * compared:
        raise DataError(
            f"{survey.first_mismatch}; so it is for {mismatches:,} of {compared:,} alleles: is this the right assembly?"
            " --ref-mismatch keep scores them all the same"
        )
    return survey


def scored_statuses(config: VariantsConfig) -> frozenset[Status]:
    """Return the statuses of alleles that are scored."""
    return frozenset({Status.OK, Status.REF_MISMATCH} if config.ref_mismatch == "keep" else {Status.OK})
