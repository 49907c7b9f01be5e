"""Bits per base against context: the figures with what is uncertain about them, as a table, files and a plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from genomamba.coordinates import Interval
from genomamba.metrics import resampled_means
from genomamba.report.plots import ContextPoint, draw_bits_by_context
from genomamba.score.contexts import Costs

__all__ = ["FILES", "describe", "files_of_curve", "points_of", "verdict"]

FILES = ("contexts.tsv", "blocks.tsv", "contexts.json", "contexts.svg", "contexts.png")


def points_of(costs: Costs, *, seed: int = 0) -> list[ContextPoint]:
    """Return the mean of each context and its difference from the smallest, with 95 % intervals.

    The intervals come from drawing the blocks anew, all contexts with the same draw. With fewer than two blocks there
    are none.
    """
    means = costs.bits.sum(1) / costs.bases.sum()
    changes = means - means[0]
    bounds = np.full((4, means.size), np.nan)
    if costs.bases.size > 1:
        drawn = resampled_means(costs.bits, costs.bases, seed=seed)
        bounds[:2] = np.quantile(drawn, (0.025, 0.975), axis=1)
        bounds[2:] = np.quantile(drawn - drawn[0], (0.025, 0.975), axis=1)
    columns = zip(costs.contexts, means.tolist(), changes.tolist(), bounds.T.tolist(), strict=True)
    return [
        ContextPoint(context, mean, low, high, change, *rest) for context, mean, change, (low, high, *rest) in columns
    ]


def describe(points: Sequence[ContextPoint], unit: str, masked: bool) -> str:
    """Return the table that is printed."""
    first = f"{points[0].context:,}"
    per = f"bits per {'masked ' if masked else ''}{unit}"
    lines = [f"{'context':>11}  {per:>20}  {'95 % interval':>18}  {'against ' + first:>18}  {'95 % interval':>18}"]
    for number, point in enumerate(points):
        line = f"{point.context:>11,}  {point.bits:>20.4f}  {_interval(point.low, point.high):>18}"
        if number:
            change = _interval(point.change_low, point.change_high, signed=True)
            line += f"  {point.change:>+z18.4f}  {change:>18}"
        lines.append(line)
    return "\n".join(lines)


def verdict(points: Sequence[ContextPoint], unit: str) -> str:
    """Say in a sentence whether the largest context helps, and which of them has the fewest bits."""
    first, last = points[0], points[-1]
    if len(points) == 1 or np.isnan(last.change_low):
        return "one context, or one block, shows no difference; give more of them"
    text = f"{last.context:,} {unit}s of context against {first.context:,}"
    if last.change_high < 0:
        text += f" save {-last.change:.4f} bits per {unit} ({-last.change_high:.4f} to {-last.change_low:.4f})"
    elif last.change_low > 0:
        text += f" cost {last.change:.4f} bits per {unit} more ({last.change_low:.4f} to {last.change_high:.4f})"
    else:
        interval = _interval(last.change_low, last.change_high, signed=True)
        text += f": no difference that these {unit}s show ({interval})"
    best = min(points, key=lambda point: point.bits)
    return text if best is last else f"{text}; the fewest bits are those with {best.context:,}"


def files_of_curve(
    costs: Costs,
    points: Sequence[ContextPoint],
    blocks: Sequence[Interval],
    facts: dict[str, Any],
    *,
    trained_context: int | None,
    unit: str,
    masked: bool,
) -> dict[str, bytes]:
    """Return the content of each of `FILES`.

    Parameters
    ----------
    costs : Costs
        Of the blocks.
    points : sequence of ContextPoint
        As `points_of` gives them.
    blocks : sequence of Interval
        The blocks.
    facts : dict
        What was scored, for `contexts.json`.
    trained_context : int, optional
        Marked in the plot.
    unit : str
        What one symbol is called.
    masked : bool
        Whether the bases are masked ones.
    """
    rows = [{name: None if value != value else value for name, value in point._asdict().items()} for point in points]
    for row in rows:
        row["bits_per_base"] = row.pop("bits")
    columns = ("context", "bits_per_base", "low", "high", "change", "change_low", "change_high")
    ordered = [{name: row[name] for name in columns} for row in rows]
    cost = f"bits per {'masked ' if masked else ''}{unit}"
    svg, png = draw_bits_by_context(points, trained_context=trained_context, cost=cost, unit=unit)
    contents = (
        _table(columns, [[_text(row[name]) for name in columns] for row in ordered]),
        _table(
            ("contig", "start", "end", "scored", *(f"bits_{context}" for context in costs.contexts)),
            [
                [block.contig, str(block.start), str(block.end), str(scored), *(f"{value:z.4f}" for value in bits)]
                for block, scored, bits in zip(blocks, costs.bases.tolist(), costs.bits.T.tolist(), strict=True)
            ],
        ),
        json.dumps(facts | {"contexts": ordered}, indent=2, allow_nan=False) + "\n",
        svg,
    )
    return dict(zip(FILES, (*(text.encode() for text in contents), png), strict=True))


def _interval(low: float, high: float, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return "-" if np.isnan(low) else f"{low:{sign}z.4f} to {high:{sign}z.4f}"


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:z.6f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in (columns, *rows))
