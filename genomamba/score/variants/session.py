"""`genomamba score`: read the variants, score them so that an interrupted command goes on, and write the file.

The file is read three times: to check it and count, to score, and to write. Between the last two, a number a column and
allele waits in a folder beside the output.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby, tee
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.data.vcf import VcfReader, VcfRecord
from genomamba.data.vcf_output import is_stream, output_kind
from genomamba.data.vcf_write import open_scored
from genomamba.errors import ConfigError, DataError, RunError
from genomamba.files import atomic_file
from genomamba.model.checkpoint import open_checkpoint
from genomamba.model.device import choose_device
from genomamba.model.process import keep_freed_memory, set_threads
from genomamba.score.partial import Partial, plan_of
from genomamba.score.progress import Progress
from genomamba.score.variants.config import ScoreConfig
from genomamba.score.variants.scorers import STATUS_TAG, Scorer, choose_scorer, tags_of
from genomamba.score.variants.selection import Selection, variants_of
from genomamba.score.variants.status import Status
from genomamba.score.variants.tail import TIMES_FARTHER, TailSample

__all__ = ["score"]

Float64Array = npt.NDArray[np.float64]

_log = logging.getLogger("genomamba")

_PART: Final = 4_096
"""Alleles after which what is done is noted."""
_MOST_MISMATCHES: Final = 0.01
_TAIL_SHARE: Final = 0.05
"""Of the time for all scores, what may go into the measure of what lies beyond the horizon."""
_STATUSES: Final = list(Status)
_STREAM: Final = "-"
_SHOWN: Final = 20


def score(name: str, config: ScoreConfig, *, command: str, emit: Callable[[str], None]) -> None:
    """Score the variants of a VCF with a model, and write the file that `config.out` names.

    Parameters
    ----------
    name : str
        The model: a run folder, a checkpoint folder, or a name on the hub.
    config : ScoreConfig
        As the user gave it.
    command : str
        Goes into the header of a VCF.
    emit : callable
        Takes the lines that say what is done.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    kind = None if config.out is None else _check_output(config.out, config)
    device = choose_device(config.device)
    set_threads(config.threads)
    keep_freed_memory()
    checkpoint = open_checkpoint(name, revision=config.revision, alphabet=config.alphabet)
    model = checkpoint.load(device).eval()
    alphabet = get_alphabet(model.config.alphabet)
    genome = Genome.open(
        list(config.fasta), alphabet, cache_dir=config.cache_dir, contigs=("*",), chrom_map=config.chrom_map
    )
    scorer = choose_scorer(model, name, genome, config.scoring, checkpoint.training.get("context"))
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(config))
        vcf = _at_rest(config.vcf, stack)
        selection = Selection(genome, config)
        survey = _survey(vcf, selection, scorer, config)
        emit(survey.in_words(config))
        if config.dry_run:
            return
        assert kind is not None
        assert config.out is not None
        plan = _plan_of_files(config, vcf, scorer) | plan_of(model, genome, ())
        rows = survey.alleles * (len(scorer.columns) + 1)
        partial = stack.enter_context(Partial(folder, plan, rows, force=config.force))
        began, tail = time.monotonic(), TailSample(survey.alleles)
        _score(vcf, selection, scorer, partial, survey.alleles, tail)
        if scorer.causal is not None:
            budget_s = _TAIL_SHARE * (time.monotonic() - began)
            beyond = tail.measure(model, genome, scorer.causal, budget_s=budget_s)
            emit(_tail_in_words(beyond, scorer.causal.horizon))
        written = _write(vcf, kind, selection, scorer, partial, config, command)
        partial.remove()
    if not is_stream(config.out):
        emit(f"{config.out}: {written}")


@dataclass(slots=True)
class _Survey:
    """What the records that are taken hold."""

    records: int = 0
    alleles: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    first_mismatch: str = ""

    def in_words(self, config: ScoreConfig) -> str:
        """Return a line that says so."""
        scored = {Status.OK} | ({Status.REF_MISMATCH} if config.ref_mismatch == "keep" else set())
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.kinds.most_common())
        left = ", ".join(f"{count:,} {status}" for status, count in self.statuses.most_common() if status not in scored)
        told = f"{config.vcf}: {self.records:,} records, {self.alleles:,} alleles ({kinds or 'none'})"
        return told + (f"; not scored: {left}" if left else "")


def _survey(vcf: Path, selection: Selection, scorer: Scorer, config: ScoreConfig) -> _Survey:
    """Read all records once, so that a fault is told before hours of work, and choose the part."""
    counts = [0]
    part, parts = config.part
    if parts > 1:
        with VcfReader(vcf) as reader:
            counts = [len(batch) for batch in selection.batches(reader)]
        total = sum(counts)
        selection.part = range(total * part // parts, total * (part + 1) // parts)
    survey = _Survey()
    with VcfReader(vcf) as reader:
        for batch in selection.batches(reader):
            for record in batch:
                _take_note(survey, record, selection.contig(record), scorer, config)
    mismatches = survey.statuses[Status.REF_MISMATCH]
    compared = mismatches + survey.statuses[Status.OK]
    if config.ref_mismatch == "skip" and mismatches > _MOST_MISMATCHES * compared:
        raise DataError(
            f"{survey.first_mismatch}; so it is for {mismatches:,} of {compared:,} alleles: is this the right assembly?"
            " --ref-mismatch keep scores them all the same"
        )
    return survey


def _take_note(survey: _Survey, record: VcfRecord, contig: str | None, scorer: Scorer, config: ScoreConfig) -> None:
    survey.records += 1
    for variant in variants_of(record, contig):
        status = scorer.status(contig, variant)
        survey.alleles += 1
        survey.statuses[status] += 1
        survey.kinds[variant.kind] += 1
        if status is Status.REF_MISMATCH and not survey.first_mismatch:
            survey.first_mismatch = (
                f"{config.vcf}:{record.number}: REF is {_short(record.ref)!r}, which is not what the FASTA has at"
                f" {record.chrom}:{record.pos:,}"
            )
            if config.ref_mismatch == "error":
                raise DataError(f"{survey.first_mismatch}; --ref-mismatch skip leaves such records unscored")


def _score(vcf: Path, selection: Selection, scorer: Scorer, partial: Partial, total: int, tail: TailSample) -> None:
    """Score the alleles whose parts are not done, and show them to the sample."""
    done = min(total, len(partial.done) * _PART)
    if done:
        _log.info("%s: going on, %s of %s alleles are done", partial.folder, f"{done:,}", f"{total:,}")
    try:
        with VcfReader(vcf) as reader, Progress("scoring", "alleles", total, done) as progress:
            rows: list[tuple[float, ...]] = []
            at = done
            for contig, variant, status, numbers in _scored(reader, selection, scorer, skip=done):
                tail.see(contig, variant, numbers[0])
                rows.append((*numbers, float(_STATUSES.index(status))))
                progress.add(1)
                if len(rows) == _PART or at + len(rows) == total:
                    values = np.array(rows, np.float32)
                    partial.write(at * values.shape[1], values.ravel())
                    partial.finish(at // _PART, [])
                    at, rows = at + len(rows), []
    except (KeyboardInterrupt, SystemExit):
        kept = min(total, len(partial.done) * _PART)
        _log.info(
            "%s: %s of %s alleles are done; --resume goes on from there", partial.folder, f"{kept:,}", f"{total:,}"
        )
        raise


def _scored(
    reader: VcfReader, selection: Selection, scorer: Scorer, *, skip: int
) -> Iterator[tuple[str | None, Variant, Status, tuple[float, ...]]]:
    """Score the alleles after the first `skip`; what they give does not depend on those."""
    alleles = (
        (contig, variant)
        for batch in selection.batches(reader)
        for record in batch
        for contig in (selection.contig(record),)
        for variant in variants_of(record, contig)
    )
    deque((next(alleles) for _ in range(skip)), maxlen=0)
    for contig, group in groupby(alleles, lambda allele: allele[0]):
        variants, kept = tee(variant for _, variant in group)
        for variant, (status, numbers) in zip(kept, scorer.scores(contig, variants), strict=True):
            yield contig, variant, status, numbers


def _tail_in_words(differences: Float64Array, horizon: int) -> str:
    if not differences.size:
        return f"beyond the horizon of {horizon:,} bases: not measured, no allele was scored now"
    return (
        f"beyond the horizon of {horizon:,} bases: over {TIMES_FARTHER} times as many, {differences.size} scores change"
        f" by {np.median(differences):.2g} nats at the median, {differences.max():.2g} at most"
    )


def _write(
    vcf: Path, kind: str, selection: Selection, scorer: Scorer, partial: Partial, config: ScoreConfig, command: str
) -> str:
    """Write the records with their numbers, and the warnings; return what was written, in words."""
    assert config.out is not None
    tags, width = tags_of(scorer), len(scorer.columns) + 1
    at, statuses = 0, Counter[Status]()
    with ExitStack() as stack:
        reader = stack.enter_context(VcfReader(vcf))
        out = stack.enter_context(open_scored(config.out, kind, reader.header, tags, command))
        warn = stack.enter_context(_warnings(config.warnings))
        for batch in selection.batches(reader):
            count = sum(len(record.alts) for record in batch)
            values = partial.read(at * width, count * width).reshape(count, width)
            found = [_STATUSES[int(number)] for number in values[:, -1]]
            statuses.update(found)
            columns: dict[str, Any] = {tag.id: values[:, i] for i, tag in enumerate(tags[:-1])}
            out.write(batch, columns | {STATUS_TAG.id: [str(status) for status in found]})
            alleles = (
                (record, variant) for record in batch for variant in variants_of(record, selection.contig(record))
            )
            for (record, variant), status in zip(alleles, found, strict=True):
                if status is not Status.OK:
                    warn(record, variant, status)
            at += count
    scored = statuses[Status.OK] + (statuses[Status.REF_MISMATCH] if config.ref_mismatch == "keep" else 0)
    return f"{scored:,} of {at:,} alleles scored"


@contextmanager
def _warnings(path: str | None) -> Iterator[Callable[[VcfRecord, Variant, Status], None]]:
    """Open the table of what was not scored as it stands; without a path, nothing is written."""
    if path is None:
        yield lambda record, variant, status: None
        return
    with atomic_file(Path(path)) as temporary, temporary.open("w", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(("line", "code", "text"))

        def warn(record: VcfRecord, variant: Variant, status: Status) -> None:
            place = f"{record.chrom}:{record.pos:,} {_short(variant.ref)}>{_short(variant.alt)}"
            table.writerow((record.number, status, f"{place}: {status.reason}"))

        yield warn


@contextmanager
def _folder(config: ScoreConfig) -> Iterator[Path]:
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


def _at_rest(vcf: str | None, stack: ExitStack) -> Path:
    """Return a file that can be read more than once: of standard input or a pipe, a copy."""
    assert vcf is not None
    if not is_stream(vcf):
        return Path(vcf)
    copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="genomamba-score-"))) / "stdin.vcf"
    with Path(vcf).open("rb") if vcf != _STREAM else sys.stdin.buffer as source, copy.open("wb") as file:
        shutil.copyfileobj(source, file)
    return copy


def _plan_of_files(config: ScoreConfig, vcf: Path, scorer: Scorer) -> dict[str, Any]:
    """Return what the numbers depend on beside the model and the genome."""
    with vcf.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    bed = None if config.regions_bed is None else hashlib.sha256(Path(config.regions_bed).read_bytes()).hexdigest()[:12]
    return scorer.settings | {
        "vcf": digest[:12],
        "region": config.region,
        "regions_bed": bed,
        "shard": config.shard,
        "ref_mismatch": config.ref_mismatch,
    }


def _check_output(out: str, config: ScoreConfig) -> str:
    """Return the kind of the output, or refuse it while nothing is computed yet."""
    kind = output_kind(out, config.output_type)
    for name in (out, config.warnings):
        if name is None or is_stream(name):
            continue
        if Path(name).exists() and not config.force:
            raise RunError(f"{name}: exists; give --force to replace it, or another name")
        if not Path(name).parent.is_dir():
            raise RunError(f"{name}: there is no folder {Path(name).parent}; make it, or give another name")
    if config.resume and (is_stream(out) or is_stream(config.vcf or "")):
        raise ConfigError("--resume needs files to go on with; standard input and output leave none")
    return kind


def _short(allele: str) -> str:
    return allele if len(allele) <= _SHOWN else f"{allele[:_SHOWN]}... ({len(allele):,} bases)"
