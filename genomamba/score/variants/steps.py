"""Steps that commands on a VCF share: they go through its records again and again, in constant memory."""

from __future__ import annotations

import hashlib
import logging
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby, islice
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
"""Alleles after which what is done is kept on the disk, at the latest."""
KEPT_EVERY_S: Final = 30.0
"""Seconds after which it is."""
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
    """Score the alleles that are not done, put their values into a folder, and show them to a sample.

    What is done is kept every 4,096 alleles, every half minute, and when the command is interrupted.

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
    done = max(partial.done, default=0)
    if done:
        _log.info("%s: going on, %s of %s alleles are done", partial.folder, f"{done:,}", f"{total:,}")
    rows: list[tuple[float, ...]] = []
    kept_at = time.monotonic()

    def keep() -> None:
        nonlocal done, rows, kept_at
        values = np.array(rows, np.float32)
        partial.write(done * values.shape[1], values.ravel())
        partial.finish(done + len(rows), [])
        done, rows, kept_at = done + len(rows), [], time.monotonic()

    try:
        with VcfReader(vcf) as reader, Progress(doing, "alleles", total, done) as progress:
            for contig, variant, status, numbers in _scored(reader, records, scorer, skip=done):
                if tail is not None:
                    tail.see(contig, variant, numbers[0])
                rows.append((*numbers, float(STATUSES.index(status))))
                progress.add(1)
                is_time = time.monotonic() - kept_at >= KEPT_EVERY_S
                if is_time or len(rows) >= PART or done + len(rows) == total:
                    keep()
    except (KeyboardInterrupt, SystemExit):
        if rows:
            keep()
        _log.info(
            "%s: %s of %s alleles are done; --resume goes on from there", partial.folder, f"{done:,}", f"{total:,}"
        )
        raise


def _scored(
    reader: VcfReader, records: Records, scorer: Scorer, *, skip: int
) -> Iterator[tuple[str | None, Variant, Status, tuple[float, ...]]]:
    """Score the alleles after the first `skip`; what they give does not depend on those."""
    alleles = (
        (record.chrom, *allele)
        for batch in records.batches(reader)
        for record in batch
        for allele in records.alleles([record])
    )
    deque(islice(alleles, skip), maxlen=0)
    # A file may name a contig in two ways, each in its own order.
    for (_, contig), group in groupby(alleles, lambda allele: allele[:2]):
        for variant, status, numbers in scorer.scores(contig, (variant for _, _, variant in group)):
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
