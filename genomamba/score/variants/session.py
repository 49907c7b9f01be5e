"""`genomamba score`: read the variants, score them so that an interrupted command goes on, and write the file.

The file is read three times: to check it and count, to score, and to write. Between the last two, a number a column and
allele waits in a folder beside the output.
"""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
from genomamba.errors import ConfigError, RunError
from genomamba.files import atomic_file
from genomamba.model.checkpoint import open_checkpoint
from genomamba.model.device import choose_device
from genomamba.model.process import keep_freed_memory, set_threads
from genomamba.score.partial import Partial, plan_of
from genomamba.score.variants.config import ScoreConfig
from genomamba.score.variants.inquiry import Inquiry
from genomamba.score.variants.labels import LabelledRecords, read_labels
from genomamba.score.variants.placing import Background, find_background
from genomamba.score.variants.scorers import STATUS_TAG, Scorer, choose_scorer, tags_of
from genomamba.score.variants.selection import Selection, short, variants_of
from genomamba.score.variants.status import Status
from genomamba.score.variants.steps import STATUSES, at_rest, plan_of_files, score_alleles, working_folder
from genomamba.score.variants.study import Scored
from genomamba.score.variants.survey import scored_statuses, take_survey
from genomamba.score.variants.tail import TIMES_FARTHER, TailSample

__all__ = ["score"]

Float64Array = npt.NDArray[np.float64]

_TAIL_SHARE: Final = 0.05
"""Of the time for all scores, what may go into the measure of what lies beyond the horizon."""


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
    background = find_background(config.calibration, checkpoint.weights.parent, scorer, model, genome)
    with ExitStack() as stack:
        folder = stack.enter_context(working_folder(config))
        vcf = at_rest(config.vcf, stack)
        selection = Selection(genome, config)
        survey = take_survey(vcf, selection, scorer, config, name=str(config.vcf), shard=config.part)
        emit(survey.in_words())
        if background is not None:
            emit(background.in_words())
        labels = None
        if config.labels is not None:
            labels = read_labels(vcf, selection, config.labels, config.positive, config.compare)
            emit(f"{config.vcf}: {labels.in_words()}")
        inquiry = Inquiry(
            config=config, vcf=vcf, taken=selection, labels=labels, name=name, model=model,
            trained_context=checkpoint.training.get("context"), genome=genome, scorer=scorer,
            columns=tuple(tag.column for tag in tags_of(scorer, background.tags if background else ())[:-1]),
        )  # fmt: skip
        if config.dry_run:
            return
        assert kind is not None
        assert config.out is not None
        plan = plan_of_files(config, vcf, scorer) | {"shard": config.shard} | plan_of(model, genome, ())
        rows = survey.alleles * (len(scorer.columns) + 1)
        partial = stack.enter_context(Partial(folder, plan, rows, force=config.force))
        began, tail = time.monotonic(), TailSample(survey.alleles)
        score_alleles(vcf, selection, scorer, partial, survey.alleles, tail=tail)
        if scorer.causal is not None:
            budget_s = _TAIL_SHARE * (time.monotonic() - began)
            beyond = tail.measure(model, genome, scorer.causal, budget_s=budget_s)
            emit(_tail_in_words(beyond, scorer.causal.horizon))
        study = inquiry.study(
            lambda reader: _rows(reader, selection, scorer, background, partial),
            lambda other, records: _score_labelled(vcf, records, other, folder, plan, config),
        )
        written = _write(vcf, kind, selection, scorer, background, partial, config, command)
        inquiry.write(study, command)
        partial.remove()
    if not is_stream(config.out):
        emit(f"{config.out}: {written}")
    for line in study.lines() if study is not None else ():
        emit(line)


def _tail_in_words(differences: Float64Array, horizon: int) -> str:
    if not differences.size:
        return f"beyond the horizon of {horizon:,} bases: not measured, no allele was scored now"
    return (
        f"beyond the horizon of {horizon:,} bases: over {TIMES_FARTHER} times as many, {differences.size} scores change"
        f" by {np.median(differences):.2g} nats at the median, {differences.max():.2g} at most"
    )


def _score_labelled(
    vcf: Path, labelled: LabelledRecords, scorer: Scorer, folder: Path, plan: dict[str, Any], config: ScoreConfig
) -> list[float]:
    """Score the alleles of labelled records by another network; return its main score of each."""
    width = len(scorer.columns) + 1
    asked = plan | {"labels": config.labels, "weights": "random"}
    with Partial(folder / "random", asked, labelled.num_alleles * width, force=config.force) as partial:
        score_alleles(vcf, labelled, scorer, partial, labelled.num_alleles, doing="scoring with random weights")
        found: list[float] = partial.read(0, labelled.num_alleles * width).reshape(-1, width)[:, 0].tolist()
    return found


def _rows(
    reader: VcfReader, selection: Selection, scorer: Scorer, background: Background | None, partial: Partial
) -> Iterator[Scored]:
    """Yield the records with their numbers, by the columns of the tags."""
    width, at = len(scorer.columns) + 1, 0
    for batch in selection.batches(reader):
        count = sum(len(record.alts) for record in batch)
        values = partial.read(at * width, count * width).reshape(count, width)
        columns: dict[str, Any] = {name: values[:, i] for i, name in enumerate(scorer.columns)}
        if background is not None:
            columns |= background.columns(values[:, 0].tolist(), selection.alleles(batch))
        yield Scored(batch, columns, [STATUSES[int(number)] for number in values[:, -1]])
        at += count


def _write(
    vcf: Path,
    kind: str,
    selection: Selection,
    scorer: Scorer,
    background: Background | None,
    partial: Partial,
    config: ScoreConfig,
    command: str,
) -> str:
    """Write the records with their numbers, and the warnings; return what was written, in words."""
    assert config.out is not None
    tags, statuses = tags_of(scorer, background.tags if background else ()), Counter[Status]()
    with ExitStack() as stack:
        reader = stack.enter_context(VcfReader(vcf))
        out = stack.enter_context(open_scored(config.out, kind, reader.header, tags, command))
        warn = stack.enter_context(_warnings(config.warnings))
        for batch, numbers, found in _rows(reader, selection, scorer, background, partial):
            statuses.update(found)
            columns: dict[str, Any] = {tag.id: numbers[tag.column] for tag in tags[:-1]}
            out.write(batch, columns | {STATUS_TAG.id: [str(status) for status in found]})
            alleles = (
                (record, variant) for record in batch for variant in variants_of(record, selection.contig(record))
            )
            for (record, variant), status in zip(alleles, found, strict=True):
                if status is not Status.OK:
                    warn(record, variant, status)
    scored = sum(statuses[status] for status in scored_statuses(config))
    return f"{scored:,} of {statuses.total():,} alleles scored"


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
            place = f"{record.chrom}:{record.pos:,} {short(variant.ref)}>{short(variant.alt)}"
            table.writerow((record.number, status, f"{place}: {status.reason}"))

        yield warn


def _check_output(out: str, config: ScoreConfig) -> str:
    """Return the kind of the output, or refuse it while nothing is computed yet."""
    kind = output_kind(out, config.output_type)
    for name in (out, config.warnings, config.metrics, config.report):
        if name is None or is_stream(name):
            continue
        if Path(name).exists() and not config.force:
            raise RunError(f"{name}: exists; give --force to replace it, or another name")
        if not Path(name).parent.is_dir():
            raise RunError(f"{name}: there is no folder {Path(name).parent}; make it, or give another name")
    if config.resume and (is_stream(out) or is_stream(config.vcf or "")):
        raise ConfigError("--resume needs files to go on with; standard input and output leave none")
    return kind
