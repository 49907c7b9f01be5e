"""Figures of scored variants hold the numbers that they are given."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from genomamba.report import variant_plots


@pytest.fixture
def drawn(monkeypatch):
    """Have a function of the module give back its figure in the place of its SVG."""

    def as_figure(draw, size, label):
        figure = Figure(figsize=size)
        draw(figure)
        return figure

    monkeypatch.setattr(variant_plots, "as_svg", as_figure)
    return variant_plots


def test_histograms_count_all_that_their_frame_holds_and_mark_the_median(drawn):
    values = {"transition": np.arange(-9.0, 4.0), "transversion": np.array([5.0, -2.0, 1.0])}
    counts = {"transition": np.full(13, 3), "transversion": np.array([1, 5, 1])}
    counted = {name: (values[name], counts[name]) for name in values}
    rows = drawn.draw_histograms(counted, "llr, nats").axes
    for axes, name, median in zip(rows, counted, (-3.0, -2.0), strict=True):
        filled = axes.patches[0].get_data()
        assert filled.values.sum() == counts[name].sum()
        (bin_of_median,) = np.flatnonzero((filled.edges[:-1] <= median) & (median < filled.edges[1:]))
        assert filled.values[bin_of_median] == counts[name][values[name] == median].sum()
        zero, middle = (line.get_xdata()[0] for line in axes.lines)
        assert (zero, middle) == (0, median)
        assert axes.get_ylabel() == f"{name}\n{counts[name].sum()}"
    assert rows[-1].get_xlabel() == "llr, nats"


def test_quantiles_take_numbers_in_any_order():
    middles, counts = np.array([3.0, -1.0, 2.0]), np.array([1, 4, 1])
    found = variant_plots.quantiles((middles, counts), (0.0, 0.5, 0.75, 1.0))
    assert found == (-1.0, -1.0, 1.25, 3.0)


def test_curves_are_of_the_rows_that_a_score_has(drawn):
    generator = np.random.default_rng(0)
    truth = (np.arange(200) % 4 == 0).astype(float)
    scores = {"-llr": generator.normal(truth), "CADD": generator.normal(2 * truth)}
    scores["CADD"][:40] = np.nan
    roc, recall = drawn.draw_curves(truth, scores).axes
    areas = [np.trapezoid(*line.get_data()[::-1]) for line in roc.lines[1:]]
    known = ~np.isnan(scores["CADD"])
    expected = [roc_auc_score(truth[known], scores["CADD"][known]), roc_auc_score(truth, scores["-llr"])]
    assert areas == pytest.approx(expected)
    assert recall.lines[0].get_ydata()[0] == 0.25
    assert [line.get_label() for line in recall.lines] == ["chance", "CADD", "-llr"]


def test_one_score_for_all_has_the_precision_of_chance_throughout(drawn):
    truth = (np.arange(40) % 4 == 0).astype(float)
    _, recall = drawn.draw_curves(truth, {"model": truth, "majority": np.full(40, 0.7)}).axes
    chance, majority, model = recall.lines
    assert majority.get_xdata().tolist() == [0, 1]
    assert majority.get_ydata().tolist() == [0.25, 0.25] == chance.get_ydata()
    assert model.get_ydata().max() == model.get_ydata()[0] == 1


def test_labels_stand_over_scores(drawn):
    labels, scores = np.array([100.0, 101.0, np.nan]), np.array([-3.0, 3.0, 0.0])
    axes = drawn.draw_label_against_score(labels, scores, ("FS", "-llr")).axes[0]
    (cells,) = axes.collections
    assert cells.get_array().sum() == 2
    assert axes.get_xlim()[0] < -3 < 3 < axes.get_xlim()[1] < 10
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("-llr", "FS")
