"""Probes over features: weights that say what the probe says, probabilities that hold, strengths that are chosen."""

import numpy as np
import pytest
from sklearn.base import clone

from genomamba.classify.probes import FeatureClassifier, linear_weights, make_probe
from genomamba.errors import ConfigError
from genomamba.metrics import expected_calibration_error

CENTRES = np.random.default_rng(7).normal(0, 1, (3, 6))


def draw(classes, rows=240, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=rows)
    features = CENTRES[labels] + generator.normal(0, 1.2, (rows, 6))
    return (5 + 3 * features).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("solver", ["logistic", "ridge"])
def test_weights_say_what_the_probe_says(solver, classes):
    features, labels = draw(classes)
    probe = make_probe("single", solver, 0).fit(features, labels)
    weight, bias = linear_weights(probe)
    powers = np.exp(features @ weight.T + bias)
    np.testing.assert_allclose(powers / powers.sum(1, keepdims=True), probe.predict_proba(features), atol=1e-6)


def test_weights_of_several_labels_and_of_numbers():
    features, labels = draw(2)
    several = np.stack([labels, features[:, 0] > 5, np.ones(len(labels))], 1).astype(np.uint8)
    probe = make_probe("multi", "logistic", 0).fit(features, several)
    weight, bias = linear_weights(probe)
    found = 1 / (1 + np.exp(-(features @ weight.T + bias)))
    np.testing.assert_allclose(found[:, :2], probe.predict_proba(features)[:, :2], atol=1e-6)
    assert (found[:, 2] > 0.999).all()
    probe = make_probe("regression", None, 0).fit(features, 100 + 7 * features[:, 1])
    weight, bias = linear_weights(probe)
    found = (features @ weight.T + bias)[:, 0] * probe.scale_ + probe.mean_
    np.testing.assert_allclose(found, probe.predict(features), rtol=1e-6)
    np.testing.assert_allclose(found, 100 + 7 * features[:, 1], rtol=0.05)


@pytest.mark.parametrize("solver", ["logistic", "ridge", "svm", "boosting"])
def test_every_solver_learns(solver):
    features, labels = draw(3)
    probe = make_probe("single", solver, 0).fit(features, labels)
    others, truth = draw(3, seed=1)
    said = probe.predict_proba(others)
    assert (said.argmax(1) == truth).mean() > 0.6
    assert np.allclose(said.sum(1), 1)
    assert (probe.predict(others) == said.argmax(1)).mean() > 0.99
    assert clone(probe).get_params() == probe.get_params()


def test_scores_become_probabilities_that_hold():
    features, labels = draw(3, rows=900)
    probe = FeatureClassifier("ridge", (10.0,)).fit(features, labels)
    others, truth = draw(3, rows=3_000, seed=1)

    def error():
        said = probe.predict_proba(others)
        return expected_calibration_error(said.argmax(1) == truth, said.max(1))

    found, probe.factor_ = error(), 1.0
    assert found < 0.05 < error()


def test_strength_is_chosen_and_groups_stay_together():
    # 40 groups of 6 rows alike but for noise, whose labels say nothing: what is known of a row's twins must not help.
    generator = np.random.default_rng(2)
    groups = np.arange(40).repeat(6)
    features = (generator.normal(0, 1, (40, 30))[groups] + generator.normal(0, 0.1, (240, 30))).astype(np.float32)
    labels = generator.integers(2, size=40)[groups]
    apart = make_probe("single", "logistic", 0).fit(features, labels)
    together = make_probe("single", "logistic", 0).fit(features, labels, groups=groups)
    assert apart.cost_[0] < 0.05
    assert together.cost_[0] > 0.25


def test_logistic_regression_tells_no_numbers():
    with pytest.raises(ConfigError, match="is logistic, and labels are numbers"):
        make_probe("regression", "logistic", 0)
