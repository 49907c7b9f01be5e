"""The page of a scoring: what a study has found, in the words and order in which it is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup

from genomamba.environment import environment_facts, now
from genomamba.report import words
from genomamba.report.variant_plots import draw_curves, draw_label_against_score, quantiles
from genomamba.report.variants_page import Labelled, TopRow, VariantsPage, write_variants_page
from genomamba.score.variants.evaluation import METRIC_NAMES, Evaluation, Row, difference_in_words, in_words
from genomamba.score.variants.labels import Labels
from genomamba.score.variants.status import Status
from genomamba.score.variants.study import Study
from genomamba.score.variants.summary import Summary

__all__ = ["page_of", "write_page"]

_UNITS: Final = {
    **dict.fromkeys(("llr", "llr_lc", "wt_marginal", "masked_marginal", "pseudo_llr"), "nats"),
    **dict.fromkeys(("js_divergence", "influence"), "bits"),
}
_FACTS: Final = {
    "genomamba": "genomamba", "commit": "commit", "python": "Python", "torch": "PyTorch", "platform": "platform",
    "cpu": "CPU",
}  # fmt: skip
_ORDER: Final = (
    "transition", "transition, CpG", "transition, other", "transversion", "several bases",
    *(f"{kind}, {length}" for kind in ("insertion", "deletion")
      for length in ("1 base", "2 to 5 bases", "6 bases or more")),
    "complex",
)  # fmt: skip


def write_page(study: Study, path: Path, facts: Mapping[str, str], command: str) -> None:
    """Write the page of a study that has a summary.

    Parameters
    ----------
    study : Study
        What was found.
    path : Path
        The file.
    facts : mapping of str to str
        What is known of the model and the files, shown before command and versions; `variants` names the page.
    command : str
        As typed.
    """
    write_variants_page(page_of(study, facts, command), path)


def page_of(study: Study, facts: Mapping[str, str], command: str) -> VariantsPage:
    """Return all that the page says."""
    summary = study.summary
    assert summary is not None
    scored = sum(histogram.count for histogram in summary.histograms.values())
    histograms = {
        change: summary.histograms[change].counts()
        for change in sorted(summary.histograms, key=_ORDER.index)
    }  # fmt: skip
    score, unit = summary.main, _UNITS.get(summary.main, "")
    statuses = [status for status in Status if summary.count(status)]
    kinds = sorted({kind for kind, _ in summary.statuses}, key=lambda kind: -_all_of(summary, kind))
    here = environment_facts()
    found = summary.top()
    columns = _telling(summary.columns, [top.values for top in found])
    return VariantsPage(
        name=Path(facts["variants"]).name,
        verdict=_verdict(summary, scored, unit, study.evaluation),
        records=summary.records,
        alleles=summary.alleles,
        scored=scored,
        refused=summary.refused,
        score=score,
        axis=f"{score}, {unit}" if unit else score,
        meaning=_meaning(score, unit),
        counts={
            kind: {str(status): summary.statuses[kind, status] for status in statuses if summary.statuses[kind, status]}
            for kind in kinds
        },
        statuses={str(status): status.reason for status in statuses},
        histograms=histograms,
        columns=tuple(columns),
        fields=tuple(summary.texts),
        top=[
            TopRow(
                f"{top.chrom}:{top.pos:,}",
                top.id,
                top.ref,
                top.alt,
                top.change,
                tuple(top.values[i] for i in columns.values()),
                top.texts,
            )
            for top in found
        ],
        unscored=[(one.line, str(one.status), one.text) for one in summary.unscored],
        labelled=None if study.evaluation is None or study.labels is None else _labelled(study, study.evaluation),
        facts={
            **facts,
            "command": command,
            "written": words.moment(now()),
            **{label: str(here[key]) for key, label in _FACTS.items() if here[key] is not None},
        },
    )


def _telling(names: Sequence[str], rows: Sequence[tuple[float | None, ...]]) -> dict[str, int]:
    """Return the columns, and their places, without those that say in every row what one before them says."""
    kept: dict[str, int] = {}
    for i, name in enumerate(names):
        if all(any(row[i] != row[j] for row in rows) for j in kept.values()):
            kept[name] = i
    return kept


def _all_of(summary: Summary, kind: str) -> int:
    return sum(count for (one, _), count in summary.statuses.items() if one == kind)


def _verdict(summary: Summary, scored: int, unit: str, evaluation: Evaluation | None) -> str:
    """Say in a sentence or two what there is."""
    if not summary.records:
        return "The file has no record, so nothing was scored."
    if not scored:
        return f"None of {summary.alleles:,} alleles was scored; the tables below say why."
    counted = [histogram.counts() for histogram in summary.histograms.values()]
    together = (np.concatenate([one[0] for one in counted]), np.concatenate([one[1] for one in counted]))
    low, middle, high = (words.signed(number, _decimals(number)) for number in quantiles(together, (0.25, 0.5, 0.75)))
    of = f" {unit}" if unit else ""
    said = (
        f"The {summary.main} of half of {scored:,} scored alleles lies between {low} and {high}{of},"
        f" the median at {middle}."
    )
    return said if evaluation is None else f"{said} {_sentence(evaluation)}"


def _decimals(number: float) -> int:
    return 0 if not number else max(0, 1 - int(np.floor(np.log10(abs(number)))))


def _meaning(score: str, unit: str) -> str:
    if unit == "nats":
        return (
            f"{score} is a log-likelihood ratio of alternative and reference, in nats. Below 0, the model finds the"
            " alternative less likely than the reference; the farther below, the less."
        )
    return f"{score} says how much an allele changes of what the model makes of the sequence: 0 for nothing."


def _labelled(study: Study, evaluation: Evaluation) -> Labelled:
    assert study.labels is not None
    names = [METRIC_NAMES[metric] for metric in evaluation.metrics]
    header = ["score", "alleles", *(["positive"] if study.labels.is_class else []), *names]
    notes = [
        f"In brackets the 95 % interval of {evaluation.draws:,} bootstrap resamples"
        + (", drawn within the classes" if study.labels.is_class else "")
    ]
    if evaluation.best:
        notes.append(
            f"{evaluation.best} is the best of the others on these alleles; differences are taken over alleles that"
            " have both scores, drawn together, and p is two-sided"
        )
    figure, caption = _figure(study, study.labels)
    return Labelled(
        of=evaluation.of,
        sentence=_known(study.labels),
        differences=[
            f"{evaluation.difference_in_words(_with_minus(row.name))}: {_typeset(difference_in_words(row.difference))}"
            for row in evaluation.rows
            if row.difference is not None
        ],
        header=header,
        rows=[(_with_minus(row.name), row.is_model, _cells(row, evaluation)) for row in evaluation.rows],
        figure=figure,
        caption=caption,
        notes=[*notes, *(_with_minus(note) for note in evaluation.notes)],
    )


def _known(labels: Labels) -> str:
    known = f"{labels.count:,} of {labels.values.size:,} alleles have {labels.tag}"
    if not labels.is_class:
        return f"{known}."
    return f"{known}: {', '.join(f'{count:,} {name}' for name, count in labels.classes.items())}."


def _cells(row: Row, evaluation: Evaluation) -> list[str]:
    cells = [f"{row.metrics[evaluation.metrics[0]].rows:,}"]
    cells += [] if row.positives is None else [f"{row.positives:,}"]
    cells += [_typeset(in_words(found)) for found in row.metrics.values()]
    return cells


def _sentence(evaluation: Evaluation) -> str:
    """Say how the model's first score does, against chance and against the best of the others."""
    row = evaluation.rows[0]
    metric = evaluation.metrics[0]
    found = row.metrics[metric]
    if found.reason:
        return f"The labels say nothing of {_with_minus(row.name)}: {found.reason}."
    chance = 0.5 if metric == "auroc" else 0.0
    said = f"{METRIC_NAMES[metric]} of {_with_minus(row.name)} is {_typeset(in_words(found))}"
    if found.low <= chance <= found.high:
        said += ", which chance may give"
    elif metric == "auroc" and found.high < chance:
        said += ", on the wrong side of chance"
    if evaluation.best is None:
        return f"{said}."
    other = next(one for one in evaluation.rows if one.name == evaluation.best).metrics[metric]
    return f"{said}; the best of the others is {evaluation.best}, {_typeset(in_words(other))}."


def _figure(study: Study, labels: Labels) -> tuple[Markup | None, str]:
    known = ~np.isnan(labels.values)
    truth, first = labels.values[known], study.curves[0]
    if not truth.size:
        return None, ""
    if labels.is_class:
        scores = {_with_minus(one.name): one.values[known] for one in study.curves}
        return draw_curves(truth, scores), "Dashed is chance: a score that knows nothing of the labels."
    if not np.isfinite(first.values[known]).any():
        return None, ""
    names = (labels.tag, _with_minus(first.name))
    return draw_label_against_score(truth, first.values[known], names), "Darker where there are more alleles."


def _with_minus(text: str) -> str:
    """Give the names of scores whose sign was turned the minus sign of a page; hyphens within words stay."""
    return re.sub(r"(?<![\w-])-(?=\w)", "\u2212", text)


def _typeset(text: str) -> str:
    """Give a number that a terminal shows the minus sign of a page; hyphens in words are not in these texts."""
    return text.replace("-", "\u2212")
