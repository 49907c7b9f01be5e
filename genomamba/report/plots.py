"""Figures of a report: each function draws one from plain arrays and returns it as SVG, to stand inside a page."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

__all__ = [
    "ContextPoint", "as_svg", "draw_bits_by_context", "draw_bits_by_order", "draw_learning", "draw_quantity", "short",
]  # fmt: skip

FloatArray = npt.NDArray[np.float64]

MODEL: Final = "#0f766e"
MARKOV: Final = "#b45309"
RAW: Final = "#b9c2cb"
SMOOTH: Final = "#475569"
INK: Final = "#334155"
MAX_POINTS: Final = 1_000
MAX_MARKERS: Final = 100
MAX_TICKS: Final = 7
# Share of the rows that a smoothed point is the mean of.
SMOOTHING: Final = 0.02

STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": "#94a3b8",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "grid.color": "#e8ecef",
    "grid.linewidth": 0.7,
    "xtick.color": "#64748b",
    "ytick.color": "#64748b",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "lines.solid_capstyle": "round",
}
METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))


class ContextPoint(NamedTuple):
    """What a base costs with one context, and how that differs from the smallest context; NaN where not known."""

    context: int
    bits: float
    low: float
    high: float
    change: float
    change_low: float
    change_high: float


def draw_learning(
    train: tuple[FloatArray, FloatArray],
    valid: tuple[FloatArray, FloatArray],
    markov: tuple[str, float] | None,
    cost: str = "bits per base",
    unit: str = "base",
) -> Markup:
    """Draw what a base costs against training bases.

    Parameters
    ----------
    train, valid : pair of (rows,), float64
        Training bases, and bits per base; NaN where a row has none.
    markov : pair of str and float, optional
        Label and bits per base of the model to beat, drawn as a level line.
    cost : str
        Name of the vertical axis.
    unit : str
        What one symbol is called.
    """
    bases, bits = _finite(*train)
    smoothed = smooth(bits)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(*thin(bases, bits), color=RAW, linewidth=0.6, label="training, each row")
        axes.plot(*thin(bases, smoothed), color=SMOOTH, linewidth=1.5, label="training, smoothed")
        known = _finite(*valid)
        marker = "o" if known[0].size <= MAX_MARKERS else ""
        axes.plot(*thin(*known), color=MODEL, linewidth=1.4, marker=marker, markersize=3.5, label="validation")
        if markov is not None:
            axes.axhline(markov[1], color=MARKOV, linewidth=1.2, linestyle=(0, (5, 3)), label=markov[0])
        _frame(axes, smoothed, known[1], markov)
        axes.set_ylabel(cost)
        _bases_axis(axes, unit)
        axes.legend(loc="upper right")

    return as_svg(draw, (6.8, 3.4), f"{cost}, of training and validation, against training {unit}s")


def draw_quantity(bases: FloatArray, values: FloatArray, title: str, unit: str = "base") -> Markup:
    """Draw one quantity of the training rows, 0 or more, such as the learning rate, against training bases.

    Parameters
    ----------
    bases, values : (rows,), float64
        NaN where a row has none.
    title : str
        Name of the quantity, with its unit.
    unit : str
        What one symbol is called.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        x, y = _finite(bases, values)
        axes.plot(*thin(x, y), color=SMOOTH, linewidth=1)
        axes.set_title(title)
        axes.set_ylim(0, 1.15 * y.max(initial=0) or 1)
        axes.yaxis.set_major_formatter(FuncFormatter(short))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        _bases_axis(axes, unit)

    return as_svg(draw, (3.3, 2.2), f"{title} against training {unit}s")


def draw_bits_by_order(splits: Mapping[str, tuple[float, Mapping[int, float]]], unit: str = "base") -> Markup:
    """Draw the Markov models by their order, and the model as a level line, a panel each split.

    Parameters
    ----------
    splits : mapping
        Title of each panel, to the model's bits per base and those of the Markov models by order.
    unit : str
        What one symbol is called.
    """

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
        for axes, (title, (model, markov)) in zip(panels, splits.items(), strict=True):
            orders = sorted(markov)
            heights = [markov[order] for order in orders]
            axes.plot(
                orders, heights, color=MARKOV, linewidth=1.1, marker="o", markersize=4.5, label="Markov, interpolated"
            )
            axes.axhline(model, color=MODEL, linewidth=2, label="genomamba")
            axes.set_title(title)
            axes.margins(y=0.12)
            axes.set_xlabel("order of the Markov model")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].set_ylabel(f"bits per {unit}")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

    return as_svg(draw, (6.8, 3.1), f"Bits per {unit} of the model and of Markov models by order")


def draw_bits_by_context(
    points: Sequence[ContextPoint], *, trained_context: int | None, cost: str, unit: str = "base"
) -> tuple[Markup, bytes]:
    """Draw what a base costs against context, and below it the difference from the smallest context.

    Parameters
    ----------
    points : sequence of ContextPoint
        Ascending by context.
    trained_context : int, optional
        Marked where it lies within the contexts.
    cost : str
        Name of the upper vertical axis.
    unit : str
        What one symbol is called.

    Returns
    -------
    svg, png : Markup and bytes
        The same figure, the second at 200 dots an inch on white.
    """
    columns = [np.array(column, np.float64) for column in zip(*points, strict=True)]
    contexts, bits, low, high, change, change_low, change_high = columns

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _whiskers(upper, contexts, (bits, low, high), 0.01)
        upper.set_ylabel(cost)
        _whiskers(lower, contexts, (change, change_low, change_high), 0.002)
        lower.axhline(0, color=SMOOTH, linewidth=0.9, zorder=1)
        lower.set_ylabel(f"against {points[0].context:,}")
        lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.4f}" if value else "0"))
        lower.set_xlabel(f"context, {unit}s")
        for axes in (upper, lower):
            axes.margins(x=0.08)
            if trained_context is not None and contexts[0] <= trained_context <= contexts[-1]:
                line = f"as in training, {trained_context:,}"
                axes.axvline(trained_context, color=MARKOV, linewidth=1, linestyle=(0, (5, 3)), label=line, zorder=1)
        lower.set_xscale("log", base=2)
        _context_ticks(lower, contexts)
        figure.legend(*upper.get_legend_handles_labels(), loc="outside upper right", ncols=3)

    label = f"{cost} against context, and the difference from {points[0].context:,} {unit}s of context"
    return as_svg(draw, (5.6, 4.4), label), _png(draw, (5.6, 4.4))


def smooth(values: FloatArray) -> FloatArray:
    """Return the centred moving mean over a fiftieth of the rows, over what there is of them at both ends."""
    half = max(1, round(SMOOTHING * values.size / 2))
    sums = np.concatenate(([0.0], np.cumsum(values)))
    at = np.arange(values.size)
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, values.size)
    mean: FloatArray = (sums[last] - sums[first]) / (last - first)
    return mean


def thin(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Keep at most `MAX_POINTS` points, among them the lowest and the highest of every stretch."""
    if x.size <= MAX_POINTS:
        return x, y
    edges = np.linspace(0, x.size, MAX_POINTS // 2 + 1).astype(int)
    kept = [
        first + index
        for first, last in pairwise(edges)
        for index in sorted((int(y[first:last].argmin()), int(y[first:last].argmax())))
    ]
    return x[kept], y[kept]


def _finite(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    is_known = np.isfinite(x) & np.isfinite(y)
    return x[is_known], y[is_known]


def _whiskers(axes: Axes, x: FloatArray, values: tuple[FloatArray, FloatArray, FloatArray], least: float) -> None:
    """Draw a line with its 95 % intervals, on an axis of at least so much, lest noise look like an effect."""
    y, low, high = values
    axes.plot(x, y, color=MODEL, linewidth=1.4, marker="o", markersize=4.5, label="mean over all blocks")
    if np.isfinite(low).any():
        axes.vlines(x, low, high, color=MODEL, linewidth=1.2, label="95 % interval")
    bottom, top = float(np.nanmin([y, low])), float(np.nanmax([y, high]))
    middle, half = (bottom + top) / 2, 0.6 * max(top - bottom, least)
    axes.set_ylim(middle - half, middle + half)
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _context_ticks(axes: Axes, contexts: FloatArray) -> None:
    """Name the contexts themselves, and of many every second, third, ... one."""
    step = -(-contexts.size // MAX_TICKS)
    axes.set_xticks(contexts[::step], [f"{context:,.0f}" for context in contexts[::step]])
    axes.set_xticks([], minor=True)


def _frame(axes: Axes, smoothed: FloatArray, valid: FloatArray, markov: tuple[str, float] | None) -> None:
    """Fit the last three quarters, so that the steep fall of the first rows does not flatten what follows."""
    level = np.array([] if markov is None else [markov[1]])
    shown = np.concatenate([smoothed[smoothed.size // 4 :], valid[valid.size // 4 :], level])
    if shown.size:
        span = max(0.04, float(np.ptp(shown)))
        axes.set_ylim(shown.min() - 0.25 * span, shown.max() + 0.75 * span)


def _bases_axis(axes: Axes, unit: str) -> None:
    axes.set_xlabel(f"training {unit}s")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.xaxis.set_major_locator(MaxNLocator(6))


def short(value: float, _: int | None = None) -> str:
    """Write 2500000 as 2.5 M."""
    for suffix, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= scale:
            return f"{value / scale:g} {suffix}"
    return f"{value:g}"


def as_svg(draw: Callable[[Figure], None], inches: tuple[float, float], label: str) -> Markup:
    """Draw a figure in the style of the page, and return it as SVG with a label for those who do not see it."""
    # The salt keeps the ids of two figures in one page apart, and the same from one run to the next.
    with mpl.rc_context({**STYLE, "svg.hashsalt": label}):
        buffer = io.StringIO()
        _figure(draw, inches).savefig(buffer, format="svg", transparent=True, metadata=METADATA)
    svg = buffer.getvalue()
    body = svg[svg.index("<svg") + len("<svg") :]
    return Markup('<svg role="img" aria-label="{}"').format(label) + Markup(body)


def _png(draw: Callable[[Figure], None], inches: tuple[float, float]) -> bytes:
    with mpl.rc_context(STYLE):
        buffer = io.BytesIO()
        _figure(draw, inches).savefig(buffer, format="png", dpi=200, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _figure(draw: Callable[[Figure], None], inches: tuple[float, float]) -> Figure:
    figure = Figure(figsize=inches, layout="constrained")
    draw(figure)
    return figure
