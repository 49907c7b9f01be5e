"""One self-contained HTML page for what a classifier tells, beside its baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from markupsafe import Markup

from genomamba.files import atomic_file
from genomamba.report.classifier_plots import FloatArray, IntArray, draw_confusion, draw_intervals, draw_reliability
from genomamba.report.variant_plots import draw_curves_of, draw_label_against_score

__all__ = ["Cell", "ClassifierPage", "Section", "templates", "write_classifier_page"]

Cell = tuple[str, str]
"""What stands in a cell, and in small letters below it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A table with its heading.

    Attributes
    ----------
    id, title, text : str
    header : sequence of str
    rows : sequence of (name, is_model, cells)
    notes : sequence of str
        Below it.
    """

    id: str
    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[tuple[str, bool, Sequence[Cell]]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierPage:
    """All that the page says.

    Attributes
    ----------
    name, verdict : str
        Its heading, and the sentence under it.
    headline : sequence of (label, value)
        The few numbers at the top.
    warnings : sequence of str
        What a reader must know before anything else.
    figure : str
        Name of the figure that contenders are held against one another by.
    intervals : sequence of (name, is_baseline, value, low, high)
    contenders : Section
        Their figures.
    sections : sequence of Section
        Other tables, in order: without leaks, classes, trials, what was chosen.
    classes : sequence of str
    confusion : mapping of str to (classes, classes)
        By contender; empty for numbers and several labels.
    curves : mapping of str to (truth, score)
        ROC and precision-recall; by contender, or by class.
    curves_of : str
        What the curves are of.
    reliability : mapping of str to (truth, probability)
    probability : str
        What the probability is of.
    numbers : (truth, said), optional
        Of a regression.
    rows_drawn : str
        Which rows the figures are drawn from.
    facts : mapping of str to str
        Protocol, data, command, versions.
    """

    name: str
    verdict: str
    headline: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    figure: str
    intervals: Sequence[tuple[str, bool, float, float, float]]
    contenders: Section
    sections: Sequence[Section]
    classes: Sequence[str] = ()
    confusion: Mapping[str, IntArray] = field(default_factory=dict)
    curves: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    curves_of: str = ""
    reliability: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    probability: str = ""
    numbers: tuple[FloatArray, FloatArray] | None = None
    rows_drawn: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def write_classifier_page(page: ClassifierPage, path: Path) -> None:
    """Write the page. It needs no script, and loads nothing from outside.

    Raises
    ------
    RunError
        Where the file cannot be written.
    """
    text = render(page)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render(page: ClassifierPage) -> str:
    """Return the page as text."""
    return templates().get_template("classifier.html.jinja").render(page=page, drawn=_drawn(page))


def templates() -> jinja2.Environment:
    """Return what renders the pages of tables."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("genomamba.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _drawn(page: ClassifierPage) -> dict[str, Markup]:
    """Return the figures that there are, by name."""
    drawn = {}
    if page.intervals:
        drawn["intervals"] = draw_intervals(page.intervals, page.figure)
    if page.confusion:
        drawn["confusion"] = draw_confusion(page.classes, page.confusion)
    if page.curves:
        drawn["curves"] = draw_curves_of(page.curves)
    if page.reliability:
        drawn["reliability"] = draw_reliability(page.reliability, page.probability)
    if page.numbers is not None:
        truth, said = page.numbers
        drawn["numbers"] = draw_label_against_score(truth, said, ("true", "said"), "sequences")
    return drawn
