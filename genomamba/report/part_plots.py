"""Figures of what was held out by parts, such as classes of bases: what each costs, and how that fell in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from genomamba.report.plots import INK, MARKOV, MODEL, FloatArray, as_svg, short, thin

__all__ = ["COLOURS", "PartCost", "draw_curves", "draw_parts"]

COLOURS: Final = ("#0f766e", "#b45309", "#4f46e5", "#be123c", "#0369a1", "#65a30d", "#a21caf", "#475569")
"""Of curves, in their order; from the ninth on they come again, dashed."""
STYLES: Final = ("-", (0, (5, 2)), (0, (1, 1.5)))


class PartCost(NamedTuple):
    """What a base of one part costs the model, and the Markov model, where there is one."""

    name: str
    bits: float
    markov: float | None


def draw_parts(panels: Mapping[str, Sequence[PartCost]], cost: str, what: str) -> Markup:
    """Draw what a base of each part costs, a row a part and a panel a split; the Markov models beside it.

    Parameters
    ----------
    panels : mapping of str to sequence of PartCost
        By title; names are those of rows, which all panels share.
    cost : str
        Name of the horizontal axis.
    what : str
        What the parts are, such as `region class`, for those who do not see it.
    """
    names = list(dict.fromkeys(part.name for parts in panels.values() for part in parts))
    place = {name: len(names) - number for number, name in enumerate(names)}

    def draw(figure: Figure) -> None:
        for axes, (title, parts) in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(),
                                        strict=True):  # fmt: skip
            rows = [place[part.name] for part in parts]
            compared = [(place[part.name], part) for part in parts if part.markov is not None]
            axes.hlines([row for row, _ in compared], [part.bits for _, part in compared],
                        [part.markov for _, part in compared], color="#cbd5e1", linewidth=2, zorder=1)  # fmt: skip
            if compared:
                axes.scatter([part.markov for _, part in compared], [row for row, _ in compared], color=MARKOV, s=26,
                             label="Markov, best order")  # fmt: skip
            axes.scatter([part.bits for part in parts], rows, color=MODEL, s=34, label="genomamba", zorder=3)
            axes.set_title(title)
            axes.set_xlabel(cost)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.margins(x=0.12)
        axes.set_yticks(list(place.values()), list(place), color=INK)
        axes.set_ylim(0.4, len(names) + 0.6)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)

    return as_svg(draw, (6.8, 1.3 + 0.27 * len(names)), f"{cost} by {what}")


def draw_curves(
    curves: Mapping[str, tuple[FloatArray, FloatArray]], *, cost: str, along: str, inches: tuple[float, float]
) -> Markup:
    """Draw what held-out bases cost while training, a line each.

    Parameters
    ----------
    curves : mapping of str to pair of (rows,), float64
        By name: where on the horizontal axis, and bits per base. NaN is left out.
    cost, along : str
        Names of the vertical and of the horizontal axis.
    inches : pair of float
        Size of the figure.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, (name, (x, y)) in enumerate(curves.items()):
            known = np.isfinite(x) & np.isfinite(y)
            marker = "o" if known.sum() <= 40 else ""
            axes.plot(*thin(x[known], y[known]), color=COLOURS[number % len(COLOURS)], marker=marker, markersize=3,
                      linestyle=STYLES[number // len(COLOURS) % len(STYLES)], linewidth=1.3, label=name)  # fmt: skip
        _fit(axes, [y for _, y in curves.values()])
        axes.set_ylabel(cost)
        axes.set_xlabel(along)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(FuncFormatter(short))
        axes.legend(loc="upper right", ncols=1 + len(curves) // 7)

    return as_svg(draw, inches, f"{cost} of {', '.join(curves)}, against {along}")


def _fit(axes: Axes, columns: Sequence[FloatArray]) -> None:
    """Fit the last three quarters of each curve, so that the steep fall of the first rows does not flatten the rest."""
    shown = np.concatenate([y[np.isfinite(y)][np.isfinite(y).sum() // 4 :] for y in columns])
    if shown.size:
        span = max(0.02, float(np.ptp(shown)))
        axes.set_ylim(shown.min() - 0.1 * span, shown.max() + 0.25 * span)
