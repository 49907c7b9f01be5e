"""Figures of what is said of labels, worked by hand."""

import math

import numpy as np
import pytest

from genomamba.classify.figures import class_figures_of, differences_of, figures_of
from genomamba.classify.labels import Labels

TWO = Labels("single", ("no", "yes"), np.array([0, 1, 0, 0], np.int32))
SAID = np.array([[0.7, 0.3], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]])


def values(found):
    return {name: figure["value"] for name, figure in found.items()}


def test_two_classes():
    found = figures_of(TWO, [SAID])
    assert found["accuracy"]["value"] == 0.75
    assert found["auroc"]["value"] == pytest.approx(2 / 3)
    # tp 1, tn 2, fp 1, fn 0
    assert found["mcc"]["value"] == pytest.approx(2 / math.sqrt(2 * 1 * 3 * 2))
    # F1 of yes is 2/3, of no 4/5.
    assert found["macro_f1"]["value"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["expected_calibration_error"]["value"] == pytest.approx((0.3 + 0.3 + 0.9 + 0.1) / 4)
    assert found["accuracy"]["low"] <= 0.75 <= found["accuracy"]["high"]
    of_yes = values(class_figures_of(TWO, [SAID])["yes"])
    assert of_yes == {"auroc": pytest.approx(2 / 3), "auprc": 0.5, "f1": pytest.approx(2 / 3), "rows": 1}


def test_three_classes_are_each_held_against_the_others():
    labels = Labels("single", ("a", "b", "c"), np.array([0, 1, 2, 2], np.int32))
    said = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.0, 0.1, 0.9]])
    found = values(figures_of(labels, [said]))
    assert found["accuracy"] == 0.75
    # a: .6 above all; b: .8 above all; c: .2 above .1 and .1.
    assert found["auroc"] == 1.0
    assert found["expected_calibration_error"] == pytest.approx((0.4 + 0.2 + 0.5 + 0.1) / 4)
    assert values(class_figures_of(labels, [said])["c"])["f1"] == pytest.approx(2 / 3)


def test_several_labels_and_numbers():
    several = Labels("multi", ("a", "b"), np.array([[1, 0], [0, 0], [1, 1]], np.uint8))
    said = np.array([[0.9, 0.5], [0.1, 0.7], [0.8, 0.9]])
    found = values(figures_of(several, [said]))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["auroc"] == 1.0
    # Of a tp 2, tn 1: 1; of b tp 1, fp 1, tn 1: 1 / sqrt(2 * 1 * 2 * 1).
    assert found["mcc"] == pytest.approx((1 + 0.5) / 2)
    numbers = Labels("regression", (), np.array([1.0, 2.0, 3.0, 5.0]))
    found = values(figures_of(numbers, [np.array([0.0, 2.0, 4.0, 8.0])]))
    assert found == {"pearson": pytest.approx(1.0), "spearman": pytest.approx(1.0)}


def test_figures_of_several_trainings_are_their_means():
    other = np.array([[0.7, 0.3], [0.6, 0.4], [0.9, 0.1], [0.9, 0.1]])
    found = figures_of(TWO, [SAID, other])
    each = [values(figures_of(TWO, [one])) for one in (SAID, other)]
    for name, figure in found.items():
        assert figure["value"] == pytest.approx((each[0][name] + each[1][name]) / 2), name
    difference = differences_of(TWO, [SAID, other], [SAID, SAID])["accuracy"]
    assert difference["value"] == 0.0
    assert differences_of(TWO, [SAID], [other])["auroc"]["value"] == pytest.approx(2 / 3 - 1)


def test_bases_of_a_sequence_are_drawn_together():
    # Of ten sequences of 20 bases half are right from end to end, the others wrong.
    units = np.arange(10).repeat(20)
    bases = Labels("per-base", ("in", "out"), np.zeros(200, np.int16))
    said = np.eye(2)[units % 2].astype(np.float64)
    alone, together = (figures_of(bases, [said], drawn)["accuracy"] for drawn in (None, units))
    assert alone["value"] == together["value"] == 0.5
    assert alone["high"] - alone["low"] < 0.16
    assert together["high"] - together["low"] > 0.4


def test_a_figure_that_there_is_none_of_has_no_value():
    found = figures_of(Labels("single", ("no", "yes"), np.array([1, 1])), [SAID[:2]])
    assert found["auroc"] == {"value": None, "low": None, "high": None, "rows": 2}
