"""Figures of what a head says, worked by hand."""

import math

import numpy as np
import pytest
import torch

from genomamba.classify.figures import figures_of
from genomamba.classify.heads import HeadConfig


def test_two_classes():
    config = HeadConfig(kind="single", classes=("no", "yes"))
    logits = torch.tensor([[0.0, -1.0], [0.0, 1.0], [0.0, 2.0], [0.0, -2.0]])
    found = figures_of(config, logits, np.array([0, 1, 0, 0]))
    assert set(found) == {"accuracy", "mcc", "macro_f1", "auroc", "auprc"}
    assert found["accuracy"]["value"] == 0.75
    assert found["auroc"]["value"] == pytest.approx(2 / 3)
    # tp 1, tn 2, fp 1, fn 0
    assert found["mcc"]["value"] == pytest.approx(2 / math.sqrt(2 * 1 * 3 * 2))
    assert found["accuracy"]["low"] <= 0.75 <= found["accuracy"]["high"]


def test_several_classes_numbers_and_bases():
    several = HeadConfig(kind="multi", classes=("a", "b"))
    found = figures_of(several, torch.tensor([[3.0, 0.0], [-3.0, 1.0], [2.0, 2.0]]), np.array([[1, 0], [0, 0], [1, 1]]))
    assert found["auroc of a"]["value"] == found["auroc of b"]["value"] == 1.0
    numbers = HeadConfig(kind="regression", mean=5.0, scale=2.0)
    found = figures_of(numbers, torch.tensor([[0.0], [1.0], [2.0], [4.0]]), np.array([1.0, 2.0, 3.0, 5.0]))
    assert found["pearson"]["value"] == pytest.approx(1.0)
    bases = HeadConfig(kind="per-base", classes=("in", "out"))
    found = figures_of(bases, torch.tensor([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 0], np.int16))
    assert found["accuracy"] == {"value": 0.5, "low": None, "high": None, "rows": 2}


def test_a_figure_that_there_is_none_of_has_no_value():
    config = HeadConfig(kind="single", classes=("no", "yes"))
    found = figures_of(config, torch.tensor([[0.0, -1.0], [0.0, 1.0]]), np.array([1, 1]))
    assert found["auroc"] == {"value": None, "low": None, "high": None, "rows": 2}
