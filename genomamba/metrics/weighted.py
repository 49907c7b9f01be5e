"""Metrics of rows that have weights, for many sets of weights at once, which is what a bootstrap needs.

A row that is drawn twice has the weight 2. What depends on the order of the rows alone, their sorting and their ties,
is found once and serves all draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["METRICS", "STRATIFIED", "Metric", "Statistic", "reason_against"]

Float64Array = npt.NDArray[np.float64]

Metric = Literal[
    "auroc", "auprc", "spearman", "pearson", "accuracy", "mcc", "macro_f1", "f1", "expected_calibration_error"
]  # fmt: skip

Statistic = Callable[[Float64Array], Float64Array]
"""Takes weights, (draws, rows), and gives a value a draw, (draws,); NaN where there is none."""

CALIBRATION_BINS: Final = 15


def auroc(truth: Float64Array, scores: Float64Array) -> Statistic:
    """Return the share of pairs, one positive and one negative, in which the positive has more; ties count half."""
    groups = _Groups(scores)
    positive = groups.ordered(truth[None] == 1)

    def of(weights: Float64Array) -> Float64Array:
        ordered = groups.ordered(weights)
        positives = groups.added(ordered * positive)
        negatives = groups.added(ordered) - positives
        below = np.cumsum(negatives, axis=1) - negatives / 2
        return _divided((positives * below).sum(1), positives.sum(1) * negatives.sum(1))

    return of


def auprc(truth: Float64Array, scores: Float64Array) -> Statistic:
    """Return the mean, over the positives, of the precision among all rows that have at least their score."""
    groups = _Groups(scores)
    positive = groups.ordered(truth[None] == 1)

    def of(weights: Float64Array) -> Float64Array:
        ordered = groups.ordered(weights)
        positives, taken = groups.added(ordered * positive)[:, ::-1], groups.added(ordered)[:, ::-1]
        precision = np.nan_to_num(_divided(np.cumsum(positives, axis=1), np.cumsum(taken, axis=1)))
        return _divided((positives * precision).sum(1), positives.sum(1))

    return of


def spearman(truth: Float64Array, scores: Float64Array) -> Statistic:
    """Return the correlation of ranks, ties sharing the mean of theirs."""
    one, other = _Groups(truth), _Groups(scores)

    def of(weights: Float64Array) -> Float64Array:
        return _correlation(one.ranks(weights), other.ranks(weights), weights)

    return of


def pearson(truth: Float64Array, scores: Float64Array) -> Statistic:
    """Return the linear correlation."""
    # Far from 0, squares would lose the digits in which rows differ.
    x, y = truth - truth.mean(), scores - scores.mean()

    def of(weights: Float64Array) -> Float64Array:
        return _correlation(x, y, weights)

    return of


def accuracy(truth: Float64Array, predicted: Float64Array) -> Statistic:
    """Return the share of rows whose class is the one predicted."""
    is_right = (truth == predicted).astype(np.float64)
    return lambda weights: _divided(weights @ is_right, weights.sum(1))


def mcc(truth: Float64Array, predicted: Float64Array) -> Statistic:
    """Return Matthews' correlation of two classes or more; 0 where all rows have, or are given, one class."""
    counts_of = _confusion(truth, predicted)

    def of(weights: Float64Array) -> Float64Array:
        counts = counts_of(weights)
        true, given, right = counts.sum(2), counts.sum(1), np.trace(counts, axis1=1, axis2=2)
        rows = true.sum(1)
        among_true, among_given = rows**2 - (true**2).sum(1), rows**2 - (given**2).sum(1)
        return np.nan_to_num(_divided(right * rows - (true * given).sum(1), np.sqrt(among_true * among_given)))

    return of


def macro_f1(truth: Float64Array, predicted: Float64Array) -> Statistic:
    """Return the mean of F1 over the classes that occur, be it as truth or as prediction."""
    counts_of = _confusion(truth, predicted)

    def of(weights: Float64Array) -> Float64Array:
        counts = counts_of(weights)
        found = counts.sum(2) + counts.sum(1)
        scores = np.nan_to_num(_divided(2 * np.diagonal(counts, axis1=1, axis2=2), found))
        return _divided(scores.sum(1), (found > 0).sum(1))

    return of


def f1(truth: Float64Array, predicted: Float64Array) -> Statistic:
    """Return the harmonic mean of precision and recall of the rows that are 1, be it as truth or as prediction."""
    right, found = truth * predicted, truth + predicted
    return lambda weights: _divided(2 * (weights @ right), weights @ found)


def expected_calibration_error(truth: Float64Array, probabilities: Float64Array) -> Statistic:
    """Return the mean distance of probability and frequency over equal bins, each weighing as many rows as it has."""
    bins = np.minimum((probabilities * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    groups, excess = _Groups(bins.astype(np.float64)), truth - probabilities

    def of(weights: Float64Array) -> Float64Array:
        return _divided(np.abs(groups.sums(weights * excess)).sum(1), weights.sum(1))

    return of


METRICS: Final[dict[str, Callable[[Float64Array, Float64Array], Statistic]]] = {
    "auroc": auroc,
    "auprc": auprc,
    "spearman": spearman,
    "pearson": pearson,
    "accuracy": accuracy,
    "mcc": mcc,
    "macro_f1": macro_f1,
    "f1": f1,
    "expected_calibration_error": expected_calibration_error,
}

STRATIFIED: Final = ("auroc", "auprc")
"""Those whose resamples have as many rows of each class as there are."""

_OF_TWO_CLASSES: Final = (*STRATIFIED, "f1", "expected_calibration_error")
_CORRELATIONS: Final = ("spearman", "pearson")


def reason_against(metric: Metric, truth: Float64Array, scores: Float64Array) -> str:
    """Say why some rows have no value of a metric; empty where they have one. Raises `ValueError` for wrong values."""
    if metric in _OF_TWO_CLASSES and not np.isin(truth, (0, 1)).all():
        raise ValueError(f"{metric}: the truth has other values than 0 and 1")
    if metric == "expected_calibration_error" and truth.size and not 0 <= scores.min() <= scores.max() <= 1:
        raise ValueError(f"{metric}: probabilities run from {scores.min():g} to {scores.max():g}, expected 0 to 1")
    if metric == "f1" and not np.isin(scores, (0, 1)).all():
        raise ValueError(f"{metric}: predictions have other values than 0 and 1")
    if not truth.size:
        return "no row has both a truth and a score"
    if metric == "f1" and not (truth.any() or scores.any()):
        return f"none of {truth.size:,} rows is positive, in truth or as predicted"
    if metric in STRATIFIED and truth.min() == truth.max():
        return f"all {truth.size:,} rows are {'positive' if truth[0] else 'negative'}"
    if metric in _CORRELATIONS and (np.ptp(truth) == 0 or np.ptp(scores) == 0):
        return f"all {truth.size:,} {'labels' if np.ptp(truth) == 0 else 'scores'} are the same"
    return ""


class _Groups:
    """Rows in ascending order, those of one value together."""

    def __init__(self, values: Float64Array) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        is_first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        self._starts = np.flatnonzero(is_first)
        self._group_of_row = np.empty(values.size, np.int64)
        self._group_of_row[self._order] = np.cumsum(is_first) - 1
        self.values = ordered[self._starts]

    def ordered(self, weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Put weights, (draws, rows), in ascending order of their rows."""
        return weights[:, self._order]

    def added(self, ordered: Float64Array) -> Float64Array:
        """Add up the weights of each group, which come in order: (draws, groups)."""
        if self._starts.size == self._order.size:
            return ordered
        found: Float64Array = np.add.reduceat(ordered, self._starts, axis=1)
        return found

    def sums(self, weights: Float64Array) -> Float64Array:
        """Add up the weights of each group: (draws, groups), in ascending order."""
        return self.added(self.ordered(weights))

    def ranks(self, weights: Float64Array) -> Float64Array:
        """Return the rank of each row among rows of these weights, but for a constant: (draws, rows)."""
        sums = self.sums(weights)
        ranks: Float64Array = (np.cumsum(sums, axis=1) - sums / 2)[:, self._group_of_row]
        return ranks


def _confusion(truth: Float64Array, predicted: Float64Array) -> Callable[[Float64Array], Float64Array]:
    """Return what counts rows by truth and prediction: (draws, classes, classes)."""
    classes, codes = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    true, given = codes[: truth.size], codes[truth.size :]
    groups = _Groups((true * classes.size + given).astype(np.float64))

    def of(weights: Float64Array) -> Float64Array:
        counts = np.zeros((len(weights), classes.size**2))
        counts[:, groups.values.astype(np.int64)] = groups.sums(weights)
        return counts.reshape(-1, classes.size, classes.size)

    return of


def _correlation(x: Float64Array, y: Float64Array, weights: Float64Array) -> Float64Array:
    rows = weights.sum(1, keepdims=True)
    x = x - (weights * x).sum(1, keepdims=True) / rows
    y = y - (weights * y).sum(1, keepdims=True) / rows
    weighted = weights * x
    scale = np.sqrt((weighted * x).sum(1) * (weights * y * y).sum(1))
    return np.clip(_divided((weighted * y).sum(1), scale), -1, 1)


def _divided(above: Float64Array, below: Float64Array) -> Float64Array:
    """Divide; NaN where there is nothing to divide by."""
    found: Float64Array = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return found
