"""Intervals that hold the truth as often as they say, and differences of scores over the same rows."""

import math

import numpy as np
import pytest
import sklearn.metrics

from genomamba.metrics import compare, estimate
from genomamba.metrics.bootstrap import _resamples


def draw(generator, rows=200, shift=0.8):
    truth = (np.arange(rows) < rows // 4).astype(float)
    return truth, generator.normal(shift * truth, 1)


def test_an_interval_is_that_of_resamples_scored_one_by_one():
    truth, scores = draw(np.random.default_rng(0))
    found = estimate("auroc", truth, scores)
    generator = np.random.default_rng(1)
    strata = [np.flatnonzero(truth == value) for value in (0, 1)]
    values = []
    for _ in range(1_000):
        rows = np.concatenate([generator.choice(stratum, stratum.size) for stratum in strata])
        values.append(sklearn.metrics.roc_auc_score(truth[rows], scores[rows]))
    assert found.value == sklearn.metrics.roc_auc_score(truth, scores)
    assert (found.low, found.high) == pytest.approx(np.percentile(values, (2.5, 97.5)), abs=0.01)
    assert (found.rows, found.left_out, found.reason) == (200, 0, "")


@pytest.mark.parametrize("metric", ["auroc", "pearson"])
def test_intervals_hold_the_truth_as_often_as_they_say(metric):
    # Of two normals 0.8 apart, the AUROC is Phi(0.8 / sqrt(2)); with a quarter of one, the correlation follows.
    generator, held = np.random.default_rng(2), 0
    deviation = 0.8 * math.sqrt(0.25 * 0.75)
    expected = {
        "auroc": (1 + math.erf(0.8 / 2)) / 2,
        "pearson": deviation / math.sqrt(1 + deviation**2),
    }[metric]
    for _ in range(200):
        found = estimate(metric, *draw(generator), draws=200)
        held += found.low <= expected <= found.high
    # 95 % of 200 are 190, with a deviation of 3.
    assert 178 <= held <= 199


def test_seeds_and_gaps():
    truth, scores = draw(np.random.default_rng(3))
    assert estimate("auprc", truth, scores, seed=1) == estimate("auprc", truth, scores, seed=1)
    assert estimate("auprc", truth, scores, seed=1).low != estimate("auprc", truth, scores, seed=2).low
    gaps = np.append(scores, [math.nan] * 3)
    found = estimate("auprc", np.append(truth, [0, 0, 1]), gaps)
    assert (found.rows, found.left_out) == (200, 3)
    assert found.value == estimate("auprc", truth, scores).value


@pytest.mark.parametrize(("metric", "is_stratified"), [("auroc", True), ("auprc", True), ("spearman", False)])
def test_resamples_have_as_many_of_each_class_where_the_metric_is_of_two(metric, is_stratified):
    truth = np.array([1.0] * 3 + [0.0] * 30)
    weights = np.concatenate(list(_resamples(metric, truth, 500, seed=0)))
    assert weights.shape == (500, 33)
    assert (weights.sum(1) == 33).all()
    assert (weights[:, :3].sum(1) == 3).all() == is_stratified
    # Every row is drawn, once on average.
    assert weights.mean(0) == pytest.approx(np.ones(33), abs=0.2)


def test_a_reason_stands_where_there_is_no_value():
    one = estimate("auroc", [1, 1, 1], [1, 2, 3])
    assert math.isnan(one.value)
    assert math.isnan(one.low)
    assert one.reason == "all 3 rows are positive"
    assert estimate("spearman", [1, 2, math.nan], [5, 5, 6]).reason == "all 2 scores are the same"
    assert estimate("spearman", [math.nan], [1]).reason == "no row has both a truth and a score"
    assert compare("auroc", [1, 1], [1, 2], [2, 1]).reason == "all 2 rows are positive"
    with pytest.raises(ValueError, match="metric is 'auc'; it must be one of auroc, auprc"):
        estimate("auc", [0, 1], [0, 1])


def test_a_difference_is_sharper_than_the_intervals_of_its_sides():
    generator = np.random.default_rng(4)
    truth, scores = draw(generator, rows=400)
    worse = scores + generator.normal(0, 0.3, truth.size)
    found = compare("auroc", truth, scores, worse)
    first, second = estimate("auroc", truth, scores), estimate("auroc", truth, worse)
    assert found.value == pytest.approx(first.value - second.value)
    assert found.high - found.low < 0.6 * (first.high - first.low)
    assert found.low < found.value < found.high


def test_p_is_small_for_a_real_difference_and_level_without_one():
    generator = np.random.default_rng(5)
    truth, scores = draw(generator, rows=400, shift=1.5)
    assert compare("auroc", truth, scores, generator.normal(0, 1, 400)).p == pytest.approx(2 / 1_001)
    assert compare("auroc", truth, scores, scores).p == 1
    values = [
        compare("auroc", truth, truth + generator.normal(0, 2, 400), truth + generator.normal(0, 2, 400), draws=200).p
        for _ in range(100)
    ]
    # Below 0.1 lie 10 of 100, with a deviation of 3.
    assert 2 <= sum(p < 0.1 for p in values) <= 19


def test_a_score_that_falls_is_held_against_one_that_rises():
    generator = np.random.default_rng(6)
    label = generator.normal(size=300)
    rising, falling = label + generator.normal(size=300), -label + generator.normal(size=300)
    found = compare("spearman", label, rising, falling, signs=(1, -1))
    assert abs(found.value) < 0.15
    assert compare("spearman", label, rising, falling).value > 1
