"""Figures of what is said of labelled sequences: for all, for each class, and between two; with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt

from genomamba.classify.labels import Kind, Labels
from genomamba.metrics import Difference, Estimate, compare, estimate
from genomamba.metrics.weighted import Metric

__all__ = ["NAMES", "class_figures_of", "classes_said", "differences_of", "figures_of", "main_figure"]

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

NAMES: Final[dict[str, str]] = {
    "accuracy": "accuracy", "mcc": "MCC", "macro_f1": "macro F1", "f1": "F1", "auroc": "AUROC", "auprc": "AUPRC",
    "pearson": "Pearson", "spearman": "Spearman", "expected_calibration_error": "calibration error",
}  # fmt: skip
"""Metrics, as people call them."""

_OF_CLASSES: Final[tuple[Metric, ...]] = (
    "accuracy", "mcc", "macro_f1", "auroc", "auprc", "expected_calibration_error"
)  # fmt: skip
_OF_NUMBERS: Final[tuple[Metric, ...]] = ("pearson", "spearman")
_OF_ONE_CLASS: Final[tuple[Metric, ...]] = ("auroc", "auprc", "f1")
_DRAWS: Final = 1_000
# Bases come in millions, and each draw reads them all.
_MANY: Final = 200_000
_FEWER_DRAWS: Final = 200

assert set(NAMES) == set(get_args(Metric)), "every metric has a name"


def main_figure(kind: Kind) -> Metric:
    """Return the metric that contenders are held against one another by."""
    return {"regression": "pearson", "multi": "auroc"}.get(kind, "accuracy")  # type: ignore[return-value]


def classes_said(kind: Kind, said: Float64Array) -> npt.NDArray[np.int64]:
    """Return the likeliest class of each row of probabilities, or of several classes those above one half, 0 or 1."""
    chosen = said > 0.5 if kind == "multi" else said.argmax(1)
    return chosen.astype(np.int64)


def figures_of(
    labels: Labels, said: Sequence[Float64Array], units: Int64Array | None = None, *, draws: int | None = None
) -> dict[str, dict[str, Any]]:
    """Return figures by name: `value`, `low`, `high` (95 %, bootstrap) and `rows`; None where there is no value.

    Parameters
    ----------
    labels : Labels
        What is true of each row.
    said : sequence of (rows, classes), or (rows,) for numbers
        Probabilities, or numbers, from one training or several; a figure is the mean over them.
    units : (rows,), int64, optional
        Rows that are drawn together: of labels of bases, the sequence of each.
    draws : int, optional
        Resamples; of very many rows fewer by default.

    Returns
    -------
    dict
        Of numbers pearson and spearman; else accuracy (of several labels, how often all of them are right), mcc,
        macro_f1, auroc, auprc and expected_calibration_error. Of two classes auroc and auprc are those of the second;
        of more, and of several labels, the mean over classes, each against the others. The calibration error is that of
        the class that is said; of two classes, of the second; of several labels, the mean over them.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in _OF_NUMBERS if labels.kind == "regression" else _OF_CLASSES:
        found[name] = _plain(_estimate(name, *_columns(name, labels, said), units, draws))
    return found


def class_figures_of(
    labels: Labels, said: Sequence[Float64Array], units: Int64Array | None = None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return auroc, auprc and f1 of each class against the others, and how many `rows` are of it, by its name."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for column, name in enumerate(labels.classes):
        truth = labels.values[:, column] if labels.kind == "multi" else labels.values == column
        several = np.tile(truth[:, None].astype(np.float64), len(said))
        likely = np.stack([one[:, column] for one in said], 1)
        chosen = np.stack([_is_said(labels.kind, one, column) for one in said], 1).astype(np.float64)
        of_class: dict[str, dict[str, Any]] = {
            metric: _plain(_estimate(metric, *_narrow(several, chosen if metric == "f1" else likely), units))
            for metric in _OF_ONE_CLASS
        }
        found[name] = of_class | {"rows": {"value": int(truth.sum())}}
    return found


def differences_of(
    labels: Labels, first: Sequence[Float64Array], second: Sequence[Float64Array], units: Int64Array | None = None
) -> dict[str, dict[str, Any]]:
    """Return by how much the first is above the second, row by row paired: `value`, `low`, `high`, `p`, by metric."""
    found: dict[str, dict[str, Any]] = {}
    names = _OF_NUMBERS if labels.kind == "regression" else _OF_CLASSES[:-1]
    for name in names:
        truth, one = _columns(name, labels, first)
        _, other = _columns(name, labels, second)
        found[name] = _plain(compare(name, truth, one, other, draws=_draws(len(truth)), units=units))
    return found


def _columns(name: Metric, labels: Labels, said: Sequence[Float64Array]) -> tuple[Float64Array, Float64Array]:
    """Return what is true and what is said of each row, as the metric takes it: a column a training, or class."""
    kind, values, times = labels.kind, labels.values, len(said)
    if kind == "regression":
        return _narrow(np.tile(values[:, None], times), np.stack(said, 1))
    if kind == "multi":
        if name == "accuracy":
            right = np.stack([(classes_said(kind, one) == values).all(1) for one in said], 1)
            return _narrow(np.ones(right.shape), right)
        truth, given = np.tile(values, times), np.hstack(said)
        return truth.astype(np.float64), given if _is_of_scores(name) else (given > 0.5).astype(np.float64)
    if name == "expected_calibration_error" and len(labels.classes) > 2:
        likeliest = [(one.argmax(1) == values, one.max(1)) for one in said]
        return _narrow(np.stack([right for right, _ in likeliest], 1), np.stack([sure for _, sure in likeliest], 1))
    if not _is_of_scores(name):
        return _narrow(np.tile(values[:, None], times), np.stack([one.argmax(1) for one in said], 1))
    if len(labels.classes) == 2:
        return _narrow(np.tile(values[:, None], times), np.stack([one[:, 1] for one in said], 1))
    return np.tile(np.eye(len(labels.classes))[values], times), np.hstack(said)


def _is_of_scores(name: Metric) -> bool:
    return name in ("auroc", "auprc", "expected_calibration_error")


def _is_said(kind: Kind, said: Float64Array, column: int) -> npt.NDArray[np.bool_]:
    chosen = classes_said(kind, said)
    found: npt.NDArray[np.bool_] = chosen[:, column] == 1 if kind == "multi" else chosen == column
    return found


def _narrow(truth: npt.NDArray[Any], said: npt.NDArray[Any]) -> tuple[Float64Array, Float64Array]:
    """Return one column as a row of numbers, which is drawn class by class where the metric is of two."""
    one, other = truth.astype(np.float64), said.astype(np.float64)
    return (one[:, 0], other[:, 0]) if one.shape[1] == 1 else (one, other)


def _estimate(
    name: Metric, truth: Float64Array, said: Float64Array, units: Int64Array | None, draws: int | None = None
) -> Estimate:
    return estimate(name, truth, said, draws=draws or _draws(len(truth)), units=units)


def _draws(rows: int) -> int:
    return _DRAWS if rows <= _MANY else _FEWER_DRAWS


def _plain(found: Estimate | Difference) -> dict[str, Any]:
    numbers = {name: value for name, value in found._asdict().items() if name in ("value", "low", "high", "p")}
    return {name: None if math.isnan(value) else value for name, value in numbers.items()} | {"rows": found.rows}
