"""Figures of the page of a classifier: intervals, confusion, ROC and precision-recall, reliability, numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from genomamba.report.plots import INK, MARKOV, MODEL, RAW, as_svg

__all__ = ["draw_confusion", "draw_intervals", "draw_reliability", "reliability"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BINS: Final = 10
# Above so many classes there is no room for their names and counts.
MOST_NAMED: Final = 12
LONGEST_NAME: Final = 22
_SHADES: Final = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#d5ebe7", MODEL])


def draw_intervals(figures: Sequence[tuple[str, bool, float, float, float]], name: str) -> Markup:
    """Draw a figure of each contender with its interval, a row each, the first on top.

    Parameters
    ----------
    figures : sequence of (name, is_baseline, value, low, high)
    name : str
        Of the figure.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for row, (_, is_baseline, value, low, high) in enumerate(figures):
            color = MARKOV if is_baseline else MODEL
            axes.plot([low, high], [row, row], color=color, linewidth=2.2, alpha=0.55)
            axes.plot([value], [row], color=color, marker="o", markersize=6)
        first = figures[0][2]
        axes.axvline(first, color=MODEL, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.set_yticks(range(len(figures)), [row[0] for row in figures])
        axes.set_ylim(len(figures) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.06)
        axes.xaxis.set_major_locator(MaxNLocator(8))
        axes.set_xlabel(f"{name}, 95 % interval")

    return as_svg(draw, (6.8, 0.75 + 0.32 * len(figures)), f"{name} of each contender with its 95 % interval")


def draw_confusion(classes: Sequence[str], counts: Mapping[str, IntArray]) -> Markup:
    """Draw how often each class is said of each class, a panel a contender; shades are shares of what is true.

    Parameters
    ----------
    classes : sequence of str
    counts : mapping of str to (classes, classes), int64
        By contender: rows of each true class that are said to be of each.
    """
    named = len(classes) <= MOST_NAMED
    texts = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in classes]
    turned = max(map(len, texts)) > 7 and len(classes) > 2

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(counts), squeeze=False, sharey=True)[0]
        for axes, (name, table) in zip(panels, counts.items(), strict=True):
            shares = table / np.maximum(1, table.sum(1, keepdims=True))
            axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1, aspect="equal")
            axes.set_title(name)
            axes.grid(visible=False)
            axes.set_xlabel("said")
            for spine in axes.spines.values():
                spine.set_visible(False)
            axes.tick_params(length=0)
            if not named:
                continue
            axes.set_xticks(
                range(len(classes)), texts, rotation=35 if turned else 0, ha="right" if turned else "center"
            )
            axes.set_yticks(range(len(classes)), texts)
            for (true, said), count in np.ndenumerate(table):
                color = "#ffffff" if shares[true, said] > 0.75 else INK
                text = f"{count:,}\n{100 * shares[true, said]:.0f} %"
                axes.text(said, true, text, ha="center", va="center", color=color, fontsize=8)
        panels[0].set_ylabel("true")

    side = min(3.4, 1.3 + 0.75 * len(classes))
    return as_svg(draw, (6.8, 0.6 + side), f"Confusion matrices of {', '.join(counts)}")


def draw_reliability(given: Mapping[str, tuple[FloatArray, FloatArray]], what: str) -> Markup:
    """Draw how often what is said with a probability is so, and below it how often it is said with that probability.

    Parameters
    ----------
    given : mapping of str to (truth, probability), each (rows,)
        By contender, the model first; truth is 1 where what is said is so.
    what : str
        What the probability is of.
    """
    edges = np.linspace(0, 1, BINS + 1)

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color=RAW, linewidth=0.9, linestyle=(0, (4, 3)))
        for number, (name, (truth, said)) in enumerate(given.items()):
            color = MARKOV if number else MODEL
            middle, share, rows = reliability(truth, said)
            upper.plot(middle, share, color=color, marker="o", markersize=4.5, linewidth=1.3, label=name)
            lower.stairs(
                rows / rows.sum(), edges, color=color, linewidth=1.2, fill=not number, alpha=1 if number else 0.3
            )
        upper.set_ylabel("share that is so")
        upper.set_ylim(-0.03, 1.03)
        upper.legend(loc="upper left")
        lower.set_ylabel("rows")
        lower.set_yticks([])
        lower.set_xlim(-0.02, 1.02)
        lower.set_xlabel(what)

    return as_svg(draw, (4.6, 3.9), f"Reliability: {what} against how often it is so, of {', '.join(given)}")


def reliability(truth: FloatArray, said: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the mean of what is said, and how often it is so, in each of ten bins that holds any; and rows of all."""
    places = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    rows = np.bincount(places, minlength=BINS)
    held = rows > 0
    middle, share = (np.bincount(places, values, BINS)[held] / rows[held] for values in (said, truth))
    return middle, share, rows
