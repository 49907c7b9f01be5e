"""What the records of a VCF hold, found by reading them once, so that a fault is told before hours of work."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
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

_log = logging.getLogger("genomamba")

_MOST_MISMATCHES: Final = 0.01
_SHOWN: Final = 5


@dataclass(slots=True)
class Survey:
    """What the records that are taken hold.

    Attributes
    ----------
    name : str
        Of the file, as the user knows it.
    config : VariantsConfig
        As the user gave it.
    contigs : dict of str to (str or None)
        Contigs of the records, and their names in the genome.
    """

    name: str
    config: VariantsConfig
    records: int = 0
    alleles: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    contigs: dict[str, str | None] = field(default_factory=dict)
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
        self.contigs.setdefault(record.chrom, contig)
        for variant in variants_of(record, contig):
            status = scorer.status(contig, variant)
            self.alleles += 1
            self.statuses[status] += 1
            self.kinds[variant.kind] += 1
            if status is Status.REF_MISMATCH and contig is not None and not self.first_mismatch:
                self.first_mismatch = (
                    f"{self.name}:{record.number}: REF is {short(record.ref)!r}, and the FASTA has"
                    f" {short(scorer.reference(contig, variant))!r} at {record.chrom}:{record.pos:,}"
                )
                if self.config.ref_mismatch == "error":
                    raise DataError(f"{self.first_mismatch}; --ref-mismatch skip-all leaves such records unscored")

    def check_declared(self, vcf: Path) -> None:
        """Raise `DataError` where the header does not declare a contig, which BCF needs."""
        with VcfReader(vcf) as reader:
            declared = reader.header.contigs
        absent = [name for name in self.contigs if name not in declared]
        if absent:
            raise DataError(
                f"{self.name}: its header has no ##contig line for {_listed(absent)}, which BCF needs; add them, as"
                " bcftools reheader --fai does, or write .vcf.gz"
            )


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
            " --ref-mismatch skip-all leaves them unscored, keep scores them all the same"
        )
    unknown = [name for name, contig in survey.contigs.items() if contig is None]
    # A part may hold no other contigs than those.
    if unknown and len(unknown) == len(survey.contigs) and parts == 1 and config.ref_mismatch != "skip-all":
        raise DataError(
            f"{name}: none of its contigs ({_listed(unknown)}) is in the FASTA; is this the right genome?"
            " --chrom-map FILE says which name of the VCF stands for which of the FASTA; --ref-mismatch skip-all"
            " leaves all unscored"
        )
    if unknown:
        _log.warning("%s: the FASTA has no contig %s; --chrom-map may name them", name, _listed(unknown))
    return survey


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def scored_statuses(config: VariantsConfig) -> frozenset[Status]:
    """Return the statuses of alleles that are scored."""
    return frozenset({Status.OK, Status.REF_MISMATCH} if config.ref_mismatch == "keep" else {Status.OK})
