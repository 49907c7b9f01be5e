"""Each metric by hand, and against scikit-learn and scipy, with ties and with weights."""

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from genomamba.metrics import (
    accuracy,
    auprc,
    auroc,
    expected_calibration_error,
    macro_f1,
    mcc,
    pearson,
    spearman,
)
from genomamba.metrics.weighted import METRICS

OF_SKLEARN = {
    "auroc": sklearn.metrics.roc_auc_score,
    "auprc": sklearn.metrics.average_precision_score,
    "accuracy": sklearn.metrics.accuracy_score,
    "mcc": sklearn.metrics.matthews_corrcoef,
    "macro_f1": lambda truth, given, **weights: sklearn.metrics.f1_score(truth, given, average="macro", **weights),
}


def rows_of(metric, seed, rows=300):
    """Truth and scores, the scores with ties; classes 0, 1, 2 for metrics of predictions."""
    generator = np.random.default_rng(seed)
    if metric in ("accuracy", "mcc", "macro_f1"):
        truth = generator.integers(0, 3, rows)
        given = np.where(generator.random(rows) < 0.5, truth, generator.integers(0, 3, rows))
        return truth.astype(float), given.astype(float)
    truth = (generator.random(rows) < 0.3).astype(float)
    return truth, np.round(generator.normal(0.7 * truth, 1), 1)


def test_by_hand():
    # Of the four pairs 3 > 2, 3 > 1, 1 < 2 and 1 = 1, which counts half.
    assert auroc([1, 0, 1, 0], [3, 2, 1, 1]) == 2.5 / 4
    # The positives come first and fourth: precision 1 and 2/4.
    assert auprc([1, 0, 0, 1, 0], [5, 4, 3, 2, 1]) == pytest.approx((1 + 2 / 4) / 2)
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5, squares 4.5 and 5.
    assert spearman([1, 2, 2, 9], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert pearson([0, 0, 1], [0, 1, 1]) == pytest.approx(0.5)
    assert accuracy([2, 0, 1, 1], [2, 1, 1, 1]) == 0.75
    # 2 true positives, 1 true negative, 1 false positive, 1 false negative.
    assert mcc([1, 1, 1, 0, 0], [1, 1, 0, 1, 0]) == pytest.approx((2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2))
    # F1 of class 0 is 2/4, of class 1 is 4/6.
    assert macro_f1([1, 1, 1, 0, 0], [1, 1, 0, 1, 0]) == pytest.approx((2 / 4 + 4 / 6) / 2)
    # Two bins: 0.9 said and 1/2 true, of 2 rows; 0.1 said and 0 true, of 1 row.
    assert expected_calibration_error([1, 0, 0], [0.9, 0.9, 0.1]) == pytest.approx((2 * 0.4 + 0.1) / 3)


@pytest.mark.parametrize("metric", OF_SKLEARN)
@pytest.mark.parametrize("seed", [0, 1])
def test_as_scikit_learn_with_weights(metric, seed):
    truth, given = rows_of(metric, seed)
    weights = np.random.default_rng(seed + 9).integers(0, 4, (3, truth.size)).astype(float)
    found = METRICS[metric](truth, given)(weights)
    expected = [OF_SKLEARN[metric](truth, given, sample_weight=row) for row in weights]
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(spearman, scipy.stats.spearmanr), (pearson, scipy.stats.pearsonr)],
    ids=lambda one: one.__name__,
)
def test_correlations_are_those_of_scipy_and_of_repeated_rows(ours, theirs):
    truth, scores = rows_of("auroc", 3)
    labels = np.round(scores * 0.3 + np.random.default_rng(4).normal(1e6, 1, truth.size), 1)
    assert ours(labels, scores) == pytest.approx(theirs(labels, scores).statistic, abs=1e-9)
    weights = np.random.default_rng(5).integers(0, 3, truth.size)
    found = METRICS[ours.__name__](labels, scores)(weights[None].astype(float))
    assert found[0] == pytest.approx(theirs(np.repeat(labels, weights), np.repeat(scores, weights)).statistic, abs=1e-9)


def test_calibration_of_bins_added_up_one_by_one():
    generator = np.random.default_rng(6)
    said = np.append(generator.random(500), [0.0, 1.0])
    truth = (generator.random(502) < said**2).astype(float)
    total = 0.0
    for i in range(15):
        inside = (said >= i / 15) & ((said < (i + 1) / 15) | (i == 14))
        total += abs(truth[inside].mean() - said[inside].mean()) * inside.sum() / 502
    assert expected_calibration_error(truth, said) == pytest.approx(total)


@pytest.mark.parametrize("metric", [auroc, auprc])
def test_rows_without_a_number_are_left_out(metric):
    truth, scores = rows_of("auroc", 7)
    with_gaps = np.append(scores, [math.nan, 5.0]), np.append(truth, [1.0, math.nan])
    assert metric(with_gaps[1], with_gaps[0]) == metric(truth, scores)


def test_what_has_no_value_is_nan_and_what_is_no_truth_is_refused():
    assert math.isnan(auroc([1, 1], [1, 2]))
    assert math.isnan(spearman([1, 2], [3, 3]))
    assert math.isnan(pearson([], []))
    assert mcc([1, 1], [1, 0]) == 0
    with pytest.raises(ValueError, match="auroc: the truth has other values than 0 and 1"):
        auroc([1, 2], [1, 2])
    with pytest.raises(ValueError, match=r"probabilities run from 0 to 1\.5, expected 0 to 1"):
        expected_calibration_error([0, 1], [0, 1.5])
    with pytest.raises(ValueError, match=r"the shapes \[\(2,\), \(3,\)\]"):
        auroc([0, 1], [1, 2, 3])
