"""Figures of the page of scored variants: histograms by change, ROC and precision-recall, labels against scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from sklearn.metrics import precision_recall_curve, roc_curve

from genomamba.report.plots import MARKOV, MODEL, RAW, SMOOTH, as_svg

__all__ = ["draw_curves", "draw_curves_of", "draw_histograms", "draw_label_against_score", "quantiles"]

FloatArray = npt.NDArray[np.float64]
Counted = tuple[FloatArray, npt.NDArray[np.int64]]
"""Middles of bins, ascending, and how many numbers each holds."""

FEWEST_BINS: Final = 24
MOST_BINS: Final = 80
# Share of the numbers that the frame leaves out on either side, lest one far out squeezes the rest.
OUTSIDE: Final = 0.0025
MOST_POINTS: Final = 800
OTHERS: Final = (MARKOV, "#64748b", "#4338ca", "#be185d", "#0369a1", "#4d7c0f")


def draw_histograms(by_change: Mapping[str, Counted], axis: str) -> Markup:
    """Draw a histogram of scores a row, each to its own height, over one axis.

    Parameters
    ----------
    by_change : mapping
        What the alleles change, to the counts of their scores; none empty.
    axis : str
        Name of the axis: the score and its unit.
    """
    together = (
        np.concatenate([middles for middles, _ in by_change.values()]),
        np.concatenate([counts for _, counts in by_change.values()]),
    )
    low, high = quantiles(together, (OUTSIDE, 1 - OUTSIDE))
    # A single number still gets a frame, and the frame holds 0.
    low, high = min(low, 0.0), max(high, 0.0)
    room = 0.03 * (high - low) or 1.0
    bins = int(np.clip(2 * math.sqrt(together[1].sum()), FEWEST_BINS, MOST_BINS))
    edges = np.linspace(low - room, high + room, bins + 1)

    def draw(figure: Figure) -> None:
        rows = figure.subplots(len(by_change), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (change, counted) in zip(rows, by_change.items(), strict=True):
            heights, _ = np.histogram(counted[0], bins=edges, weights=counted[1])
            axes.stairs(heights, edges, fill=True, color=MODEL, alpha=0.28, linewidth=0)
            axes.stairs(heights, edges, color=MODEL, linewidth=0.9)
            (middle,) = quantiles(counted, (0.5,))
            axes.axvline(0, color=SMOOTH, linewidth=0.7, linestyle=(0, (2, 2)))
            axes.axvline(middle, color=MARKOV, linewidth=1.4)
            axes.set_ylim(0, 1.12 * max(heights.max(), 1))
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.set_ylabel(f"{change}\n{counted[1].sum():,}", rotation=0, ha="right", va="center", labelpad=8)
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="x", length=0)
        rows[-1].set_xlim(edges[0], edges[-1])
        rows[-1].xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        rows[-1].set_xlabel(axis)

    height = 0.7 + 0.52 * len(by_change)
    return as_svg(draw, (6.8, height), f"Histograms of {axis}, by what the alleles change")


def draw_curves(truth: FloatArray, scores: Mapping[str, FloatArray]) -> Markup:
    """Draw the ROC and the precision-recall curve of each score, the model's first.

    Parameters
    ----------
    truth : (rows,), float64
        1 for positives, 0 for negatives.
    scores : mapping of str to (rows,), float64
        High for positives; rows in which one is NaN are left out of its curves.
    """
    return draw_curves_of({name: (truth, values) for name, values in scores.items()})


def draw_curves_of(curves: Mapping[str, tuple[FloatArray, FloatArray]]) -> Markup:
    """Draw ROC and precision-recall curves, the first one thicker.

    Parameters
    ----------
    curves : mapping of str to (truth, score)
        (rows,) each, as of `draw_curves`. Chance is drawn where all have the same share of positives.
    """
    shares = {float(truth.mean()) for truth, _ in curves.values()}

    def draw(figure: Figure) -> None:
        roc, recall = figure.subplots(1, 2)
        roc.plot([0, 1], [0, 1], color=RAW, linewidth=0.9, linestyle=(0, (4, 3)))
        if len(shares) == 1:
            recall.axhline(*shares, color=RAW, linewidth=0.9, linestyle=(0, (4, 3)), label="chance")
        for i, (name, (truth, values)) in reversed(list(enumerate(curves.items()))):
            known = ~np.isnan(values)
            if len(np.unique(truth[known])) < 2:
                continue
            color, width = (MODEL, 1.9) if i == 0 else (OTHERS[(i - 1) % len(OTHERS)], 1.1)
            false, true, _ = roc_curve(truth[known], values[known])
            precision, found, _ = precision_recall_curve(truth[known], values[known])
            # It is given a last point of precision 1, towards which one and the same score for all would seem to rise.
            precision[-1] = precision[-2]
            roc.plot(*_thinned(false, true), color=color, linewidth=width)
            recall.plot(*_thinned(found[::-1], precision[::-1]), color=color, linewidth=width, label=name)
        for axes, x, y in ((roc, "false positive rate", "true positive rate"), (recall, "recall", "precision")):
            axes.set_xlim(-0.02, 1.02)
            axes.set_ylim(-0.02, 1.02)
            axes.set_xlabel(x)
            axes.set_ylabel(y)
            axes.set_box_aspect(1)
        handles, names = recall.get_legend_handles_labels()
        # The first curve, drawn last, stands first; chance last.
        before = len(shares) == 1
        order = [*range(len(names) - 1, before - 1, -1), *range(before)]
        figure.legend(
            [handles[i] for i in order], [names[i] for i in order], loc="outside lower center", ncols=min(4, len(names))
        )

    return as_svg(draw, (6.8, 3.9), f"ROC and precision-recall curves of {', '.join(curves)}")


def draw_label_against_score(
    labels: FloatArray, scores: FloatArray, names: tuple[str, str], unit: str = "alleles"
) -> Markup:
    """Draw how many rows have which label and which score, darker where there are more.

    Parameters
    ----------
    labels, scores : (rows,), float64
        Rows in which either is NaN are left out.
    names : pair of str
        Of the label and of the score.
    unit : str
        What a row is.
    """
    known = ~(np.isnan(labels) | np.isnan(scores))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        shades = LinearSegmentedColormap.from_list("shades", ["#d5ebe7", MODEL, "#042f2e"])
        drawn = axes.hexbin(
            scores[known], labels[known], gridsize=(48, 26), mincnt=1, cmap=shades, norm=LogNorm(), linewidths=0.1
        )
        axes.set_xlabel(names[1])
        axes.set_ylabel(names[0])
        bar = figure.colorbar(drawn, ax=axes, label=unit, pad=0.02, format=StrMethodFormatter("{x:,.0f}"))
        bar.outline.set_visible(False)

    return as_svg(draw, (6.8, 3.6), f"{names[0]} against {names[1]}")


def quantiles(counted: Counted, shares: tuple[float, ...]) -> tuple[float, ...]:
    """Return the numbers below which such shares of all lie, to a bin's width; between two, in proportion."""
    middles, counts = counted
    order = np.argsort(middles, kind="stable")
    below = np.cumsum(counts[order])
    ranks = np.array(shares) * (below[-1] - 1)
    low, high = (
        middles[order][np.searchsorted(below, np.trunc(rank), side="right")] for rank in (ranks, np.ceil(ranks))
    )
    return tuple((low + (high - low) * (ranks - np.trunc(ranks))).tolist())


def _thinned(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Keep so many points that no eye sees the difference."""
    if x.size <= MOST_POINTS:
        return x, y
    places = np.unique(np.linspace(0, x.size - 1, MOST_POINTS).astype(int))
    return x[places], y[places]
