"""What a comparison leaves in a run folder: figures as JSON and as a table, predictions, and the report."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genomamba.classify.comparison import Compared, Contender, compare_contenders, in_words, write_figures_table
from genomamba.classify.evaluation_page import page_of
from genomamba.classify.labelled import SPLITS, Labelled
from genomamba.classify.tables_out import Predicted, write_predictions
from genomamba.classify.trials import TEST, Trials
from genomamba.files import atomic_file, read_json, write_json
from genomamba.report.classifier_page import write_classifier_page

__all__ = ["input_of", "write_evaluation"]


def write_evaluation(
    path: Path,
    trials: Trials,
    contenders: Sequence[Contender],
    *,
    name: str,
    what: str,
    left_out: Mapping[str, str],
    report: bool,
    emit: Callable[[str], None],
    facts: Mapping[str, Any] | None = None,
) -> Compared:
    """Compare contenders, write figures.json, figures.tsv, predictions.tsv and report.html, and say what was found.

    Other data that tests has its own table of figures, in words and on the page, and predictions.NAME.tsv.

    Parameters
    ----------
    path : Path
        Run folder.
    trials : Trials
        With a test part.
    contenders : sequence of Contender
        The first is what it is all about.
    name : str
        The model.
    what : str
        What was done to it, in words.
    left_out : mapping
        Baselines that were not for the data, and why.
    report : bool
        Whether report.html is written.
    emit : callable
        Takes the table in words.
    facts : mapping, optional
        What else stands in figures.json.
    """
    each = [_over(trials, contenders, number) for number in range(len(trials.others))]
    contenders = [_of_part(one, trials, TEST) for one in contenders]
    compared = compare_contenders(trials, contenders, left_out)
    others = {one: compare_contenders(*pair, left_out).figures for one, pair in zip(trials.others, each, strict=True)}
    figures = {"model": name, "what": what, **compared.figures, "others": others, **(facts or {})}
    compared.figures.update(figures)
    write_json(path / "figures.json", figures)
    write_figures_table(path / "figures.tsv", figures)
    for stem, pair in zip(
        ("predictions", *(f"predictions.{one}" for one in others)), [(trials, contenders), *each], strict=True
    ):
        with atomic_file(path / f"{stem}.tsv") as temporary:
            write_predictions(temporary, ".tsv", _predictions(*pair))
    emit(in_words(figures))
    for one, found in others.items():
        emit(in_words(found, one))
    if report:
        run = read_json(path / "run.json")
        write_classifier_page(page_of(compared, trials, path.resolve().name, run), path / "report.html")
        emit(f"report: {path / 'report.html'}")
    return compared


def _of_part(contender: Contender, trials: Trials, part: int) -> Contender:
    """Return a contender with what it says of one of the parts that test."""
    if not trials.others:
        return contender
    answers = []
    for trial, answer in zip(trials.each, contender.answers, strict=True):
        assert trial.data.splits is not None
        answers.append(dataclasses.replace(answer, said=answer.said[trial.data.splits[trial.judged] == part]))
    return dataclasses.replace(contender, answers=answers)


def _over(trials: Trials, contenders: Sequence[Contender], number: int) -> tuple[Trials, list[Contender]]:
    """Return trials and contenders with other data in the place of the test part."""
    return trials.over(number), [_of_part(one, trials, len(SPLITS) + number) for one in contenders]


def _predictions(trials: Trials, contenders: Sequence[Contender]) -> list[Predicted]:
    """Return a table a trial: what is true, what the first says, and what the others do."""
    found = []
    for number, trial in enumerate(trials.each):
        part = trial.data.select(trial.test)
        assert part.labels is not None
        names = [part.name(row) for row in range(len(part))]
        lengths = part.sequences.lengths
        first, *others = [
            Predicted.of_said(part.labels, names, lengths, one.answers[number].said) for one in contenders
        ]
        columns = {"trial": [trial.name] * len(first.columns["prediction"]), **first.columns}
        for one, other in zip(contenders[1:], others, strict=True):
            columns[one.name] = other.columns["prediction"]
        found.append(Predicted(columns))
    return found


def input_of(data: Labelled) -> dict[str, Any]:
    """Return what is learnt from, as run.json keeps it: a run does not go on with other data."""
    assert data.labels is not None
    arrays = [data.sequences.symbols, data.sequences.borders, data.labels.values]
    if data.splits is not None:
        arrays.append(data.splits)
    digest = hashlib.sha256(repr(data.labels.classes).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return {
        "path": data.origin,
        "bytes": int(data.sequences.symbols.size),
        "sha256": digest.hexdigest(),
        "sequences_sha256": data.sequences.checksum(),
    }
