"""The bootstrap: how far a metric would move, had other rows been drawn, and whether two scores differ by more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from genomamba.metrics.weighted import METRICS, STRATIFIED, Metric, Statistic, reason_against

__all__ = ["DRAWS", "Difference", "Estimate", "compare", "estimate", "known_rows"]

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

DRAWS: Final = 1_000
_TAILS: Final = (2.5, 97.5)
# Weights of so many rows at a time, which the caches of a core hold.
_CHUNK: Final = 1 << 18


class Estimate(NamedTuple):
    """A metric of some rows.

    Attributes
    ----------
    value, low, high : float
        The metric, and its 95 % interval; NaN where there is none.
    rows, left_out : int
        Rows that it was found from, and rows that lack a truth or a score.
    reason : str
        Why there is no value; empty where there is one.
    """

    value: float
    low: float
    high: float
    rows: int
    left_out: int
    reason: str = ""


class Difference(NamedTuple):
    """How much more of a metric one score has than another, over the rows that have both.

    Attributes
    ----------
    value, low, high : float
        Metric of the first less that of the second, and its 95 % interval; NaN where there is none.
    p : float
        Two-sided: how often the difference of a resample lies on the other side of 0, twice.
    rows, left_out, reason
        As those of `Estimate`.
    """

    value: float
    low: float
    high: float
    p: float
    rows: int
    left_out: int
    reason: str = ""


def estimate(
    metric: Metric,
    truth: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    units: npt.ArrayLike | None = None,
) -> Estimate:
    """Return a metric with its percentile bootstrap interval of 95 %.

    Rows are drawn with replacement; for AUROC and AUPRC as many of each class as there are (stratified).

    Parameters
    ----------
    metric : str
        Name of a function of `genomamba.metrics.values`, which tells what the two arrays are.
    truth, scores : (rows,) or (rows, columns)
        Rows in which either is NaN are left out, and counted. Of several columns, such as classes or trainings from
        several seeds, the metric is the mean over those that have one; a row is drawn with all of its columns, and
        rows are not stratified.
    draws : int
        Resamples.
    seed : int
        Of the draws.
    units : (rows,), optional
        Rows of one unit, such as bases of one sequence, are drawn together, and not stratified.

    Raises
    ------
    ValueError
        For an unknown metric, lengths that differ, and values that the metric does not take.

    References
    ----------
    Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    (true, given), left_out, together = _known(metric, units, truth, scores)
    if reason := _reason(metric, true, given):
        return Estimate(math.nan, math.nan, math.nan, len(true), left_out, reason)
    of = _statistic(metric, true, given)
    found = np.concatenate([of(weights) for weights in _resamples(metric, true, draws, seed, together)])
    low, high = _interval(found)
    return Estimate(float(of(np.ones((1, len(true))))[0]), low, high, len(true), left_out)


def compare(
    metric: Metric,
    truth: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    signs: tuple[int, int] = (1, 1),
    units: npt.ArrayLike | None = None,
) -> Difference:
    """Return the difference of a metric between two scores of the same rows, drawn together: a paired bootstrap.

    Parameters
    ----------
    metric, truth, draws, seed, units
        As for `estimate`, and so are the errors.
    first, second : (rows,) or (rows, columns)
        The scores; rows in which anything is NaN are left out of both.
    signs : pair of int
        What each metric is multiplied by, 1 or -1: a score that falls where the truth rises can be held against one
        that rises.

    References
    ----------
    Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapters 13 and 15.
    """
    (true, one, other), left_out, together = _known(metric, units, truth, first, second)
    if reason := _reason(metric, true, one) or _reason(metric, true, other):
        return Difference(math.nan, math.nan, math.nan, math.nan, len(true), left_out, reason)
    of_one, of_other = _statistic(metric, true, one), _statistic(metric, true, other)

    def of(weights: Float64Array) -> Float64Array:
        return signs[0] * of_one(weights) - signs[1] * of_other(weights)

    found = np.concatenate([of(weights) for weights in _resamples(metric, true, draws, seed, together)])
    low, high = _interval(found)
    # One more than were drawn: what was observed is itself a draw, so that p is never 0. A resample may have no value.
    tail = 1 + min(int((found <= 0).sum()), int((found >= 0).sum()))
    p = min(1.0, 2 * tail / (int((~np.isnan(found)).sum()) + 1))
    return Difference(float(of(np.ones((1, len(true))))[0]), low, high, p, len(true), left_out)


def known_rows(metric: str, *columns: npt.ArrayLike) -> tuple[list[Float64Array], int]:
    """Return the columns as float64 without the rows in which any is NaN, and how many those are."""
    arrays, left_out, _ = _known(metric, None, *columns)
    return arrays, left_out


def _known(
    metric: str, units: npt.ArrayLike | None, *columns: npt.ArrayLike
) -> tuple[list[Float64Array], int, Int64Array | None]:
    """Return what `known_rows` does, and the number, from 0, of the unit of each row."""
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; it must be one of {', '.join(METRICS)}")
    arrays = [np.asarray(column, np.float64) for column in columns]
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1 or arrays[0].ndim not in (1, 2):
        raise ValueError(f"{metric}: the columns have the shapes {shapes}, expected (rows,) or (rows, columns) of each")
    rows = np.stack(arrays, axis=1)
    is_known = ~np.isnan(rows).any(axis=tuple(range(1, rows.ndim)))
    together = None
    if units is not None:
        _, numbered = np.unique(np.asarray(units)[is_known], return_inverse=True)
        together = numbered.astype(np.int64)
    return [array[is_known] for array in arrays], int((~is_known).sum()), together


def _reason(metric: Metric, truth: Float64Array, scores: Float64Array) -> str:
    """Say why there is no value: of several columns, where none of them has one."""
    if truth.ndim == 1:
        return reason_against(metric, truth, scores)
    reasons = [reason_against(metric, truth[:, i], scores[:, i]) for i in range(truth.shape[1])]
    return "" if not all(reasons) and reasons else (reasons or ["there is no column"])[0]


def _statistic(metric: Metric, truth: Float64Array, scores: Float64Array) -> Statistic:
    if truth.ndim == 1:
        return METRICS[metric](truth, scores)
    columns = range(truth.shape[1])
    known = [i for i in columns if not reason_against(metric, truth[:, i], scores[:, i])]
    each = [METRICS[metric](truth[:, i], scores[:, i]) for i in known]

    def of(weights: Float64Array) -> Float64Array:
        values = np.stack([one(weights) for one in each])
        has_value = ~np.isnan(values)
        count = has_value.sum(0)
        mean: Float64Array = np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)
        return mean

    return of


def _resamples(
    metric: Metric, truth: Float64Array, draws: int, seed: int, units: Int64Array | None = None
) -> Iterator[Float64Array]:
    """Yield how often each row is drawn: (some draws, rows)."""
    generator = np.random.default_rng(seed)
    rows_of = len(truth) if units is None else int(units.max()) + 1
    strata = [np.arange(rows_of)]
    if metric in STRATIFIED and truth.ndim == 1 and units is None:
        strata = [np.flatnonzero(truth == value) for value in (0, 1)]
    step = max(1, _CHUNK // truth.size)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        weights = np.zeros((count, rows_of))
        for rows in strata:
            drawn = generator.integers(rows.size, size=(count, rows.size))
            places = drawn + rows.size * np.arange(count)[:, None]
            weights[:, rows] = np.bincount(places.ravel(), minlength=count * rows.size).reshape(count, rows.size)
        yield weights if units is None else weights[:, units]


def _interval(found: Float64Array) -> tuple[float, float]:
    """Return the interval that 95 % of the resamples lie in, of those that have a value."""
    known = found[~np.isnan(found)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.percentile(known, _TAILS)
    return float(low), float(high)
