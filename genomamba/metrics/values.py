"""Metrics as plain functions of what is true and what was said, each a number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genomamba.metrics.bootstrap import known_rows
from genomamba.metrics.weighted import METRICS, Metric, reason_against

__all__ = ["accuracy", "auprc", "auroc", "expected_calibration_error", "f1", "macro_f1", "mcc", "pearson", "spearman"]


def auroc(truth: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the area under the receiver operating characteristic: how often a positive has more than a negative.

    Parameters
    ----------
    truth : (rows,)
        1 for positives, 0 for negatives.
    scores : (rows,)
        Any numbers, high for positives; of equal ones, half the pairs count. Here and below, rows in which either is
        NaN are left out.

    Returns
    -------
    float
        0 to 1; NaN where all rows are of one class.

    Raises
    ------
    ValueError
        Where the two differ in length, or the truth has other values.

    References
    ----------
    Hanley & McNeil 1982, "The meaning and use of the area under a receiver operating characteristic (ROC) curve".
    """
    return _value("auroc", truth, scores)


def auprc(truth: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the area under the curve of precision against recall, as average precision: without interpolation.

    A score that says nothing has the share of positives. Parameters and errors are those of `auroc`.

    References
    ----------
    Davis & Goadrich 2006, "The relationship between precision-recall and ROC curves".
    """
    return _value("auprc", truth, scores)


def spearman(truth: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the correlation of ranks, -1 to 1; NaN where one side has one value alone. Ties share their mean rank.

    References
    ----------
    Spearman 1904, "The proof and measurement of association between two things".
    """
    return _value("spearman", truth, scores)


def pearson(truth: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the linear correlation, -1 to 1; NaN where one side has one value alone."""
    return _value("pearson", truth, scores)


def accuracy(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Return the share of rows whose class, any number, is the one predicted."""
    return _value("accuracy", truth, predicted)


def mcc(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Return Matthews' correlation coefficient of two classes or more, each any number: -1 to 1, 0 for a guess.

    References
    ----------
    Matthews 1975, "Comparison of the predicted and observed secondary structure of T4 phage lysozyme"; for more than
    two classes Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient".
    """
    return _value("mcc", truth, predicted)


def macro_f1(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Return the mean over classes, each any number, of the harmonic mean of precision and recall."""
    return _value("macro_f1", truth, predicted)


def f1(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Return the harmonic mean of precision and recall of the rows that are 1; both columns are 0 or 1."""
    return _value("f1", truth, predicted)


def expected_calibration_error(truth: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Return how far probabilities are from frequencies: the mean distance over 15 equal bins of probability.

    Parameters
    ----------
    truth : (rows,)
        1 where what was predicted is so, 0 where not: of two classes, whether it is the positive one; of more, whether
        the most probable class is the true one.
    probabilities : (rows,)
        What the model gave that, 0 to 1.

    References
    ----------
    Guo et al. 2017, "On calibration of modern neural networks", arXiv:1706.04599.
    """
    return _value("expected_calibration_error", truth, probabilities)


def _value(metric: Metric, truth: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    (true, given), _ = known_rows(metric, truth, scores)
    if reason_against(metric, true, given):
        return float("nan")
    return float(METRICS[metric](true, given)(np.ones((1, true.size)))[0])
