"""Bits per base of each class of bases, such as exon and intron, against context: as a table and as a file."""

from __future__ import annotations

from typing import Any, Final

from genomamba.score.context_curve import points_of
from genomamba.score.contexts import Costs

__all__ = ["CLASSES_FILE", "describe_classes", "files_of_classes"]

CLASSES_FILE: Final = "classes.tsv"
COLUMNS: Final = ("class", "context", "scored", "bits_per_base", "low", "high")


def describe_classes(costs: Costs) -> str:
    """Return the table that is printed: a class a line, a context a column."""
    width = max(11, *map(len, costs.by_class))
    lines = [f"{'class':>{width}}  {'scored':>11}" + "".join(f"  {context:>11,}" for context in costs.contexts)]
    for name, one in costs.by_class.items():
        bits = one.bits.sum(1) / one.bases.sum()
        lines.append(f"{name:>{width}}  {one.bases.sum():>11,}" + "".join(f"  {value:>11.4f}" for value in bits))
    return "\n".join(lines)


def files_of_classes(costs: Costs, facts: dict[str, Any], *, seed: int) -> dict[str, bytes]:
    """Return the table as a file, and put its rows into the facts of `contexts.json`; nothing where there is no class.

    Intervals are of 95 % and come from drawing anew the blocks that have a base of the class; with fewer than two there
    are none.
    """
    if not costs.by_class:
        return {}
    rows: list[dict[str, Any]] = []
    for name, one in costs.by_class.items():
        has_some = one.bases > 0
        known = Costs(one.contexts, one.bits[:, has_some], one.bases[has_some])
        for point in points_of(known, seed=seed):
            low, high = (None if bound != bound else bound for bound in (point.low, point.high))
            values = (name, point.context, int(one.bases.sum()), point.bits, low, high)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    facts["classes"] = rows
    lines = ["\t".join(COLUMNS), *("\t".join(map(_text, row.values())) for row in rows)]
    return {CLASSES_FILE: "".join(f"{line}\n" for line in lines).encode()}


def _text(value: str | int | float | None) -> str:
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)
