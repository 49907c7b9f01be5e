"""One self-contained HTML page for the scores of variants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from genomamba.files import atomic_file
from genomamba.report import words
from genomamba.report.variant_plots import Counted, draw_histograms, quantiles

__all__ = ["Labelled", "TopRow", "VariantsPage", "write_variants_page"]

_DIGITS: Final = 4
_MOST_DECIMALS: Final = 8
_SHOWN: Final = 24


@dataclass(frozen=True, slots=True)
class TopRow:
    """An allele of the table: where and what it is, a number a column of scores, and fields of the file."""

    place: str
    id: str
    ref: str
    alt: str
    change: str
    values: tuple[float | None, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """What was found against labels, ready to be shown.

    Attributes
    ----------
    of : str
        What the labels are.
    sentence : str
        What is known of how many.
    differences : sequence of str
        How the model's scores differ from the best of the others, a sentence each.
    header, rows : sequence of str, and of (name, is_model, cells)
        The table.
    figure : Markup, optional
        The curves.
    caption : str
        Of the figure.
    notes : sequence of str
        What has to be known.
    """

    of: str
    sentence: str
    differences: Sequence[str]
    header: Sequence[str]
    rows: Sequence[tuple[str, bool, Sequence[str]]]
    figure: Markup | None
    caption: str
    notes: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantsPage:
    """All that the page says.

    Attributes
    ----------
    name, verdict : str
        Its heading, and the sentence under it.
    records, alleles, scored, refused : int
        How many there were; refused are alleles without a score whose status tells why.
    score, axis, meaning : str
        Name of the main score; the same with its unit; and what its sign says.
    counts : mapping
        Kind of allele, to how many have each status.
    statuses : mapping of str to str
        The statuses that occur, and what each says.
    histograms : mapping
        What the alleles change, to the counts of their scores.
    columns, fields : sequence of str
        Of the table of the farthest.
    top : sequence of TopRow
        The farthest first.
    unscored : sequence of (line, status, text)
        The first ones.
    labelled : Labelled, optional
        Where labels were given.
    facts : mapping of str to str
        Command, versions, files.
    """

    name: str
    verdict: str
    records: int
    alleles: int
    scored: int
    refused: int
    score: str
    axis: str
    meaning: str
    counts: Mapping[str, Mapping[str, int]]
    statuses: Mapping[str, str]
    histograms: Mapping[str, Counted]
    columns: Sequence[str]
    fields: Sequence[str]
    top: Sequence[TopRow]
    unscored: Sequence[tuple[int, str, str]]
    labelled: Labelled | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


def write_variants_page(page: VariantsPage, path: Path) -> None:
    """Write the page. It loads nothing from outside; its table is searched and sorted by a script of its own.

    Raises
    ------
    RunError
        Where the file cannot be written.
    """
    text = render(page)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render(page: VariantsPage) -> str:
    """Return the page as text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("genomamba.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"allele": _allele, "signed": words.signed}
    decimals = [
        _decimals([row.values[i] for row in page.top if row.values[i] is not None]) for i in range(len(page.columns))
    ]
    return environment.get_template("variants.html.jinja").render(
        page=page,
        headline=_headline(page),
        figure=draw_histograms(page.histograms, page.axis) if page.histograms else None,
        spreads=_spreads(page.histograms),
        decimals=decimals,
        has_ids=any(row.id != "." for row in page.top),
        silent=page.alleles - page.scored - page.refused,
    )


def _headline(page: VariantsPage) -> list[tuple[str, str]]:
    return [
        ("records", f"{page.records:,}"),
        ("alleles", f"{page.alleles:,}"),
        ("scored", f"{page.scored:,}"),
        ("not scored", f"{page.alleles - page.scored:,}"),
    ]


def _spreads(histograms: Mapping[str, Counted]) -> list[dict[str, Any]]:
    """Return how many alleles of each change there are, and where their scores lie."""
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    found = [quantiles(counted, shares) for counted in histograms.values()]
    decimals = _decimals([number for row in found for number in row])
    return [
        {
            "change": change,
            "count": int(counted[1].sum()),
            "quantiles": [words.signed(number, decimals) for number in row],
        }
        for (change, counted), row in zip(histograms.items(), found, strict=True)
    ]


def _decimals(numbers: Sequence[float | None]) -> int:
    """Return how many decimals show four digits of the largest number of a column."""
    largest = max((abs(number) for number in numbers if number is not None), default=0.0)
    if not (largest > 0 and math.isfinite(largest)):
        return 0
    return min(_MOST_DECIMALS, max(0, _DIGITS - 1 - math.floor(math.log10(largest))))


def _allele(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} bases)"
