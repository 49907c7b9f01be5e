"""Steps that commands on a VCF share: they go through its records again and again, in constant memory."""

from __future__ import annotations

import hashlib
import logging
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby, tee
from pathlib import Path
from typing import Any, Final

import numpy as np

from genomamba.coordinates import Variant
from genomamba.data.vcf import VcfReader
from genomamba.data.vcf_output import is_stream
from genomamba.errors import RunError
from genomamba.score.partial import Partial
from genomamba.score.progress import Progress
from genomamba.score.variants.config import VariantsConfig
from genomamba.score.variants.scorers import Scorer
from genomamba.score.variants.selection import Records
from genomamba.score.variants.status import Status
from genomamba.score.variants.tail import TailSample

__all__ = ["PART", "STATUSES", "at_rest", "plan_of_files", "score_alleles", "working_folder"]

_log = logging.getLogger("genomamba")

PART: Final = 4_096
"""Alleles after which what is done is noted."""
STATUSES: Final = tuple(Status)
"""The numbers of statuses among the values of an allele."""
_STREAM: Final = "-"


def score_alleles(
    vcf: Path,
    records: Records,
    scorer: Scorer,
    partial: Partial,
    total: int,
    *,
    tail: TailSample | None = None,
    doing: str = "scoring",
) -> None:
    """Score the alleles whose parts are not done, put their values into a folder, and show them to a sample.

    Parameters
    ----------
    vcf : Path
        A file that can be read again.
    records : Records
        Those of it that are taken.
    scorer : Scorer
        Of the genome.
    partial : Partial
        With room for every column and the status of every allele, float32.
    total : int
        Alleles that there are.
    tail : TailSample, optional
        Sees the alleles that are scored now, with their first score.
    doing : str
        What the progress calls it.
    """
    done = min(total, len(partial.done) * PART)
    if done:
        _log.info("%s: going on, %s of %s alleles are done", partial.folder, f"{done:,}", f"{total:,}")
    try:
        with VcfReader(vcf) as reader, Progress(doing, "alleles", total, done) as progress:
            rows: list[tuple[float, ...]] = []
            at = done
            for contig, variant, status, numbers in _scored(reader, records, scorer, skip=done):
                if tail is not None:
                    tail.see(contig, variant, numbers[0])
                rows.append((*numbers, float(STATUSES.index(status))))
                progress.add(1)
                if len(rows) == PART or at + len(rows) == total:
                    values = np.array(rows, np.float32)
                    partial.write(at * values.shape[1], values.ravel())
                    partial.finish(at // PART, [])
                    at, rows = at + len(rows), []
    except (KeyboardInterrupt, SystemExit):
        kept = min(total, len(partial.done) * PART)
        _log.info(
            "%s: %s of %s alleles are done; --resume goes on from there", partial.folder, f"{kept:,}", f"{total:,}"
        )
        raise


def _scored(
    reader: VcfReader, records: Records, scorer: Scorer, *, skip: int
) -> Iterator[tuple[str | None, Variant, Status, tuple[float, ...]]]:
    """Score the alleles after the first `skip`; what they give does not depend on those."""
    alleles = (allele for batch in records.batches(reader) for allele in records.alleles(batch))
    deque((next(alleles) for _ in range(skip)), maxlen=0)
    for contig, group in groupby(alleles, lambda allele: allele[0]):
        variants, kept = tee(variant for _, variant in group)
        for variant, (status, numbers) in zip(kept, scorer.scores(contig, variants), strict=True):
            yield contig, variant, status, numbers


@contextmanager
def working_folder(config: VariantsConfig) -> Iterator[Path]:
    """Give the folder of a command that is under way: beside the output, or where that is a stream, a temporary one."""
    if config.out is None or is_stream(config.out) or config.dry_run:
        with tempfile.TemporaryDirectory(prefix="genomamba-score-") as temporary:
            yield Path(temporary) / "partial"
        return
    out = Path(config.out)
    folder = out.with_name(f"{out.name}.partial")
    if folder.exists() and not (config.resume or config.force):
        raise RunError(f"{folder}: an interrupted command left it; --resume goes on from there, --force begins anew")
    if config.resume and not folder.exists():
        raise RunError(f"{folder}: nothing to go on with; leave out --resume")
    yield folder


def at_rest(vcf: str | None, stack: ExitStack) -> Path:
    """Return a file that can be read more than once: of standard input or a pipe, a copy."""
    assert vcf is not None
    if not is_stream(vcf):
        return Path(vcf)
    copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="genomamba-score-"))) / "stdin.vcf"
    with Path(vcf).open("rb") if vcf != _STREAM else sys.stdin.buffer as source, copy.open("wb") as file:
        shutil.copyfileobj(source, file)
    return copy


def plan_of_files(config: VariantsConfig, vcf: Path, scorer: Scorer) -> dict[str, Any]:
    """Return what the numbers depend on beside the model and the genome."""
    with vcf.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    bed = None if config.regions_bed is None else hashlib.sha256(Path(config.regions_bed).read_bytes()).hexdigest()[:12]
    return scorer.settings | {
        "vcf": digest[:12],
        "region": config.region,
        "regions_bed": bed,
        "ref_mismatch": config.ref_mismatch,
    }
