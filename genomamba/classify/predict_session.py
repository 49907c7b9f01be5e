"""`genomamba predict`: what a model with a head says of sequences, of stretches, or of a genome window by window."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genomamba.alphabet import get_alphabet
from genomamba.classify.classifier_files import load_classifier
from genomamba.classify.config import DataConfig
from genomamba.classify.figures import class_figures_of, figures_of
from genomamba.classify.finetune_config import PredictConfig
from genomamba.classify.heads import HeadConfig, SequenceModel
from genomamba.classify.judging import figures_in_words, judged_labels, write_metrics
from genomamba.classify.labelled import Labelled
from genomamba.classify.losses import probabilities_of, said_of, values_of
from genomamba.classify.predicting import predict_logits
from genomamba.classify.reading import read_data
from genomamba.classify.sequences import SequenceList
from genomamba.classify.stretches import Stretch, read_stretches
from genomamba.classify.tables_out import TABLES, Predicted, write_predictions
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, DataError, RunError
from genomamba.files import atomic_file, read_json
from genomamba.model.device import prepare_passes
from genomamba.score.progress import Progress
from genomamba.score.tracks import check_format, format_of, open_text

__all__ = ["Window", "predict", "windows_of"]

TRACKS: Final = (".bedgraph", ".bedgraph.gz")
_PART_BASES: Final = 1 << 18

T = TypeVar("T", bound=Sized)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch that is read, and the part of it, [start, end) of the contig, that it speaks for."""

    stretch: Stretch
    start: int
    end: int

    def __len__(self) -> int:
        return len(self.stretch.interval)


def windows_of(contig: str, length: int, window: int, stride: int, file: str) -> Iterator[Window]:
    """Cut a contig into windows that speak for every base once.

    Parameters
    ----------
    contig : str
    length : int
        Its bases.
    window, stride : int
        Bases of a window, and from the start of one to that of the next. A window speaks for the `stride` bases in its
        middle; the first also for what lies before, the last, which ends where the contig does, for what lies behind.
    file : str
        For messages.
    """
    count = _count(length, window, stride)
    margin = (window - stride) // 2
    for number in range(count):
        start = max(0, min(number * stride, length - window))
        speaks_from = number * stride + margin if number else 0
        speaks_to = (number + 1) * stride + margin if number + 1 < count else length
        interval = Interval(contig, start, min(start + window, length))
        yield Window(Stretch(interval, "+", file, 0), speaks_from, speaks_to)


def _count(length: int, window: int, stride: int) -> int:
    return 1 if length <= window else -(-(length - window) // stride) + 1


def predict(name: str, config: PredictConfig, *, emit: Callable[[str], None]) -> None:
    """Say of sequences what a head tells, and write the file that `config.out` names.

    Parameters
    ----------
    name : str
        A model with a head: a run folder of `genomamba finetune`, a folder, or a name on the hub.
    config : PredictConfig
        As the user gave it.
    emit : callable
        Takes the line that says what was written, and where `config.data` has labels the figures.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    assert config.out is not None
    out = Path(config.out)
    suffix = _check_output(out, config)
    device = prepare_passes(config.device, config.threads)
    model = load_classifier(name, revision=config.revision, device=device)
    column = _column(model.config, config) if suffix in TRACKS else 0
    if model.config.kind == "per-base" and config.window is not None and suffix not in TRACKS:
        raise ConfigError(f"--out is {out}; of labels of bases, windows are written as {', '.join(TRACKS)}")
    if config.data is not None:
        _of_data(name, model, config, out, suffix, emit)
        return
    with atomic_file(out) as temporary:
        if suffix in TRACKS:
            rows = _track(model, config, column, temporary, suffix)
        else:
            rows = write_predictions(temporary, suffix, _of_genome(model, config))
    emit(f"{out}: {rows:,} rows")


def _check_output(out: Path, config: PredictConfig) -> str:
    """Return the format of the output, or refuse it while nothing is computed yet."""
    suffix = format_of(out, (*TABLES, *TRACKS))
    if suffix in TRACKS and config.window is None:
        raise ConfigError(
            f"--out is {out}; a bedGraph is of windows, so give --window, or a name in {', '.join(TABLES)}"
        )
    if suffix not in TRACKS and config.class_name is not None:
        raise ConfigError("--class-name is of a bedGraph; a table has a column for each class")
    check_format(out, suffix, {})
    for path, flag in ((out, "out"), *([] if config.metrics is None else [(Path(config.metrics), "metrics")])):
        if path.is_dir():
            raise RunError(f"{path}: is a folder; name a file by --{flag}")
        if path.exists() and not config.force:
            raise RunError(f"{path}: exists; give --force to replace it, or another --{flag}")
        if not path.parent.is_dir():
            raise RunError(f"{path}: there is no folder {path.parent}; make it, or give another --{flag}")
    return suffix


def _column(head: HeadConfig, config: PredictConfig) -> int:
    """Return which of the classes a bedGraph holds."""
    if head.kind == "regression":
        if config.class_name is not None:
            raise ConfigError("--class-name is of classes, and the model tells numbers; leave it out")
        return 0
    if config.class_name is None:
        if len(head.classes) != 2:
            raise ConfigError(f"the model tells {', '.join(head.classes)}; name one of them by --class-name")
        return 1
    if config.class_name not in head.classes:
        raise ConfigError(f"--class-name is {config.class_name!r}; the model tells {', '.join(head.classes)}")
    return head.classes.index(config.class_name)


def _of_data(
    name: str, model: SequenceModel, config: PredictConfig, out: Path, suffix: str, emit: Callable[[str], None]
) -> None:
    """Write what is said of labelled or unlabelled sequences, and how far it is right."""
    # Labels are read as they stand: what they are, the head says, and not how many of them differ.
    given = DataConfig(
        data=config.data, kind="multi" if model.config.kind == "multi" else "single",
        sequence_column=config.sequence_column, label_column=config.label_column, name_column=config.name_column,
    )  # fmt: skip
    data = read_data(given, get_alphabet(model.model_config.alphabet), labels_needed=bool(config.label_column))
    labels, reason = None, ""
    try:
        labels = judged_labels(data, model.config)
    except DataError as error:
        if config.metrics is not None:
            raise
        reason = str(error)
    logits: list[Tensor] = []
    with atomic_file(out) as temporary:
        rows = write_predictions(temporary, suffix, _parts_of(model, data, logits))
    emit(f"{out}: {rows:,} rows")
    if labels is None:
        if data.labels is not None:
            emit(f"{reason}; so there are no figures")
        return
    said = said_of(model.config, torch.cat(logits))
    figures = figures_of(labels, [said])
    emit(figures_in_words(data.origin, figures))
    if _learnt_from(name, data.sequences):
        emit(f"{data.origin}: {name} has learnt from some of these rows; figures of its test part: {name}/figures.tsv")
    if config.metrics is not None:
        write_metrics(Path(config.metrics), figures, class_figures_of(labels, [said]))
        emit(f"{config.metrics}: figures")


def _learnt_from(name: str, sequences: SequenceList) -> bool:
    """Whether a run folder was made from just these sequences."""
    run = Path(name) / "run.json"
    if not (run.is_file() and (Path(name) / "figures.tsv").is_file()):
        return False
    known = {one.get("sequences_sha256") for one in read_json(run).get("inputs", [])}
    return sequences.checksum() in known


def _parts_of(model: SequenceModel, data: Labelled, kept: list[Tensor]) -> Iterator[Predicted]:
    """Give a table part by part, and keep the logits."""
    borders = data.sequences.borders
    spans = (range(start, end) for start, end in itertools.pairwise(borders.tolist()))
    done = 0
    with Progress("predicting", "bases", int(borders[-1])) as progress:
        for some in _filled(spans):
            part = data.select(np.arange(done, done + len(some)))
            done += len(some)
            logits = predict_logits(model, part.sequences)
            kept.append(logits)
            names = [part.name(row) for row in range(len(part))]
            # Labels of bases come from a BED file, which has none of a table's.
            labels = None if model.config.kind == "per-base" else part.labels
            yield Predicted.of(model.config, names, part.sequences.lengths, logits, labels)
            progress.add(int(part.sequences.lengths.sum()))


def _open(config: PredictConfig, model: SequenceModel) -> Genome:
    return Genome.open(
        list(config.fasta), get_alphabet(model.model_config.alphabet), cache_dir=config.cache_dir,
        contigs=config.contigs or ("*",), chrom_map=config.chrom_map,
    )  # fmt: skip


def _of_genome(model: SequenceModel, config: PredictConfig) -> Iterator[Predicted]:
    """Give a table of contigs, stretches or windows, part by part."""
    genome = _open(config, model)
    for part, logits in _pieces(model, genome, config):
        stretches = [window.stretch for window in part]
        lengths = np.array([len(window) for window in part], np.int64)
        whole = config.bed is None and config.window is None
        if whole:
            names = [stretch.interval.contig for stretch in stretches]
            yield Predicted.of(model.config, names, lengths, logits)
            continue
        places: dict[str, Sequence[Any]] = {
            "contig": [stretch.interval.contig for stretch in stretches],
            "start": [stretch.interval.start for stretch in stretches],
            "end": [stretch.interval.end for stretch in stretches],
            "strand": [stretch.strand for stretch in stretches],
        }
        yield Predicted.of(model.config, [one.name for one in stretches], lengths, logits, places=places)


def _track(model: SequenceModel, config: PredictConfig, column: int, path: Path, suffix: str) -> int:
    """Write what windows say of the bases that they speak for."""
    genome, rows = _open(config, model), 0
    with open_text(path, suffix) as put:
        for part, logits in _pieces(model, genome, config):
            if model.config.kind == "regression":
                values = values_of(model.config, logits)
            else:
                values = probabilities_of(model.config, logits)[:, column]
            lines = _lines(part, values, per_base=model.config.kind == "per-base")
            for line in lines:
                put(line)
                rows += 1
    return rows


def _lines(part: Sequence[Window], values: npt.NDArray[np.float64], *, per_base: bool) -> Iterator[str]:
    place = 0
    for number, window in enumerate(part):
        contig, start = window.stretch.interval.contig, window.stretch.interval.start
        if not per_base:
            yield f"{contig}\t{window.start}\t{window.end}\t{values[number]:z.4f}\n"
            continue
        for base in range(window.start, window.end):
            yield f"{contig}\t{base}\t{base + 1}\t{values[place + base - start]:z.4f}\n"
        place += len(window)


def _pieces(model: SequenceModel, genome: Genome, config: PredictConfig) -> Iterator[tuple[Sequence[Window], Tensor]]:
    """Give windows, stretches or contigs with their logits, as many at once as a few hundred thousand bases hold."""
    with Progress("predicting", "bases", _bases(genome, config)) as progress:
        for part in _filled(_windows(genome, config)):
            symbols = [window.stretch.symbols(genome) for window in part]
            borders = np.concatenate([[0], np.cumsum([len(window) for window in part])]).astype(np.int64)
            sequences = SequenceList(np.concatenate(symbols), borders, genome.alphabet)
            yield part, predict_logits(model, sequences)
            progress.add(int(borders[-1]))


def _bases(genome: Genome, config: PredictConfig) -> int:
    """Return how many bases are to be read, those of two windows twice."""
    if config.bed is not None:
        return sum(map(len, _windows(genome, config)))
    if config.window is None:
        return sum(contig.length for contig in genome.contigs)
    stride, lengths = _stride(config), [contig.length for contig in genome.contigs]
    return sum(min(length, config.window) * _count(length, config.window, stride) for length in lengths)


def _windows(genome: Genome, config: PredictConfig) -> Iterator[Window]:
    if config.bed is not None:
        for stretch in read_stretches(Path(config.bed), genome):
            yield Window(stretch, stretch.interval.start, stretch.interval.end)
        return
    for contig in genome.contigs:
        if config.window is not None:
            yield from windows_of(contig.name, contig.length, config.window, _stride(config), str(contig.path))
        elif contig.length:
            yield Window(Stretch(Interval(contig.name, 0, contig.length), "+", str(contig.path), 0), 0, contig.length)


def _stride(config: PredictConfig) -> int:
    assert config.window is not None
    return config.stride or max(1, config.window // 2)


def _filled(windows: Iterable[T]) -> Iterator[list[T]]:
    """Group what follows each other until so many bases are full. A genome has more windows than memory holds."""
    part: list[T] = []
    taken = 0
    for window in windows:
        part.append(window)
        taken += len(window)
        if taken >= _PART_BASES:
            yield part
            part, taken = [], 0
    if part:
        yield part
