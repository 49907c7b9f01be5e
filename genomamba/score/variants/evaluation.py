"""Scores held against labels: each with its intervals, and the model's against the best of the others."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.files import atomic_file
from genomamba.metrics.bootstrap import DRAWS, Difference, Estimate, compare, estimate
from genomamba.metrics.weighted import Metric
from genomamba.score.variants.labels import Labels

__all__ = ["METRIC_NAMES", "Evaluated", "Evaluation", "Row", "evaluate", "oriented"]

Float64Array = npt.NDArray[np.float64]

METRIC_NAMES: Final[dict[Metric, str]] = {
    "auroc": "AUROC", "auprc": "AUPRC", "spearman": "Spearman", "pearson": "Pearson"
}  # fmt: skip
_OF_CLASSES: Final[tuple[Metric, ...]] = ("auroc", "auprc")
_OF_NUMBERS: Final[tuple[Metric, ...]] = ("spearman", "pearson")
# Below 0, these say that the alternative is the less likely one; the rest are 0 or more, and high where much changes.
_PLACED: Final = ("pct", "z")
_LOW_IS_UNLIKELY: Final = ("llr", "llr_lc", "wt_marginal", "masked_marginal", "pseudo_llr")
# A place, which is neither high nor low.
_NO_SCORE: Final = ("influence_at",)
# Draws times rows that are bearable.
_MOST_DRAWN: Final = 50_000_000
_FEWEST_DRAWS: Final = 100


_NO_DIFFERENCE: Final = Difference(math.nan, math.nan, math.nan, math.nan, 0, 0)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A score that is held against the labels: its name as shown, a number an allele, and whether it is the model's."""

    name: str
    values: Float64Array
    is_model: bool


@dataclass(frozen=True, slots=True)
class Row:
    """What was found of one score: its metrics, and for the model's own how it differs from the best of the others."""

    name: str
    is_model: bool
    positives: int | None
    metrics: dict[Metric, Estimate]
    difference: Difference | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What was found of all scores.

    Attributes
    ----------
    of : str
        What the labels are, in words.
    rows : tuple of Row
        The model's scores, then the others.
    best : str, optional
        The one that `difference` is from, chosen by the first metric on these alleles; None where there is no other.
    notes : tuple of str
        What has to be known of the other scores.
    draws : int
        Resamples of each interval.
    """

    of: str
    rows: tuple[Row, ...]
    best: str | None
    notes: tuple[str, ...]
    draws: int

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of every row, the first of which differences are of."""
        return tuple(self.rows[0].metrics)

    def difference_in_words(self, name: str = "") -> str:
        """Return what the difference of a score is of."""
        first = METRIC_NAMES[self.metrics[0]]
        first = first if self.metrics[0] == "auroc" else f"|{first}|"
        return f"{first}{f' of {name}' if name else ''} less that of {self.best}"

    def lines(self) -> list[str]:
        """Return a table for a terminal, with its notes."""
        header = ["score", "alleles", *(f"{METRIC_NAMES[metric]} [95 %]" for metric in self.metrics)]
        header += [f"{self.difference_in_words()} [95 %]"] if self.best else []
        table = [header]
        for row in self.rows:
            cells = [row.name, f"{row.metrics[self.metrics[0]].rows:,}"]
            cells += [in_words(found) for found in row.metrics.values()]
            if row.difference is not None:
                cells.append(difference_in_words(row.difference))
            table.append(cells)
        widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(len(header))]
        # Counts end, and all else begins, in line.
        aligned = [
            [cell.rjust(widths[i]) if i == 1 else cell.ljust(widths[i]) for i, cell in enumerate(row)] for row in table
        ]
        return [
            f"{self.of}; 95 % intervals of {self.draws:,} resamples",
            *("  ".join(row).rstrip() for row in aligned),
            *self.notes,
        ]

    def write(self, path: Path) -> None:
        """Write it as JSON where the name ends so, else as a table divided by tabs, a row a score."""
        with atomic_file(path) as temporary:
            temporary.write_text(self._json() if path.suffix == ".json" else self._tsv())

    def _records(self) -> list[dict[str, Any]]:
        found = []
        for row in self.rows:
            record: dict[str, Any] = {"score": row.name, "alleles": row.metrics[self.metrics[0]].rows}
            if row.positives is not None:
                record["positives"] = row.positives
            for metric, one in row.metrics.items():
                record |= {metric: one.value, f"{metric}_low": one.low, f"{metric}_high": one.high}
            less = row.difference or _NO_DIFFERENCE
            record |= {
                "best_other": self.best if row.difference else None,
                "difference": less.value,
                "difference_low": less.low,
                "difference_high": less.high,
                "difference_p": less.p,
            }
            found.append(record)
        return found

    def _tsv(self) -> str:
        text = io.StringIO()
        records = self._records()
        table = csv.writer(text, delimiter="\t", lineterminator="\n")
        table.writerow(records[0])
        table.writerows([_cell(value) for value in record.values()] for record in records)
        return text.getvalue()

    def _json(self) -> str:
        rows = [{key: None if _is_nan(value) else value for key, value in row.items()} for row in self._records()]
        said = {"labels": self.of, "notes": self.notes, "draws": self.draws, "scores": rows}
        return json.dumps(said, indent=2, allow_nan=False) + "\n"


def oriented(columns: Mapping[str, npt.NDArray[Any]]) -> list[tuple[str, Float64Array]]:
    """Return the columns of a scorer as they are held against labels: high where the alternative is unlikely.

    A ratio has its sign turned, and its name says so; so have its percentile and distance, where the first column is
    one. A column that says the same of every allele as the one before is left out.
    """
    found: list[tuple[str, Float64Array]] = []
    placed = _PLACED if next(iter(columns), None) in _LOW_IS_UNLIKELY else ()
    for name, column in columns.items():
        if name in _NO_SCORE:
            continue
        values = np.asarray(column, np.float64)
        is_ratio = name in _LOW_IS_UNLIKELY or name in placed
        values = -values if is_ratio else values
        if not any(np.array_equal(values, other, equal_nan=True) for _, other in found):
            found.append((f"-{name}" if is_ratio else name, values))
    return found


def evaluate(labels: Labels, scores: Sequence[Evaluated], notes: Sequence[str] = ()) -> Evaluation:
    """Hold scores against labels.

    Parameters
    ----------
    labels : Labels
        Of all alleles.
    scores : sequence of Evaluated
        A number an allele, NaN where there is none; the model's first.
    notes : sequence of str
        See `Evaluation`.
    """
    metrics = _OF_CLASSES if labels.is_class else _OF_NUMBERS
    is_labelled = ~np.isnan(labels.values)
    truth = labels.values[is_labelled]
    draws = max(_FEWEST_DRAWS, min(DRAWS, _MOST_DRAWN // max(truth.size, 1)))
    values = {score.name: score.values[is_labelled] for score in scores}
    found = {
        name: {metric: estimate(metric, truth, column, draws=draws) for metric in metrics}
        for name, column in values.items()
    }
    first = {name: one[metrics[0]].value for name, one in found.items()}
    # A number may rise or fall with its label; of a class, the score that is high for positives is what is asked for.
    signs = {name: -1 if not labels.is_class and value < 0 else 1 for name, value in first.items()}
    others = [score.name for score in scores if not score.is_model and not math.isnan(first[score.name])]
    best = max(others, key=lambda name: signs[name] * first[name], default=None)
    rows = []
    for score in scores:
        column, difference = values[score.name], None
        if score.is_model and best is not None:
            between = (signs[score.name], signs[best])
            difference = compare(metrics[0], truth, column, values[best], draws=draws, signs=between)
        positives = int((truth[~np.isnan(column)] == 1).sum()) if labels.is_class else None
        rows.append(Row(score.name, score.is_model, positives, found[score.name], difference))
    return Evaluation(of=_of(labels), rows=tuple(rows), best=best, notes=tuple(notes), draws=draws)


def in_words(found: Estimate) -> str:
    """Return a metric with its interval: `0.804 [0.786, 0.821]`."""
    if found.reason:
        return f"none: {found.reason}"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def difference_in_words(found: Difference) -> str:
    """Return a difference with its interval and p."""
    if found.reason:
        return f"none: {found.reason}"
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}], p {found.p:.2g}"


def _of(labels: Labels) -> str:
    if labels.is_class:
        return f"{labels.tag}: {', '.join(labels.positive)} against the rest"
    return f"{labels.tag}, a number"


def _cell(value: Any) -> str:
    if value is None or _is_nan(value):
        return "NA"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
