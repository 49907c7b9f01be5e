"""What others report of tasks: read from a table in the package, and held against what was run here."""

from __future__ import annotations

import csv
import importlib.resources
from dataclasses import dataclass
from functools import cache

__all__ = ["Published", "published_rows", "reason_apart", "task_rows"]

_FILE = "published.tsv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One figure of a model on a task.

    Attributes
    ----------
    task, protocol : str
        As the suite and `genomamba benchmark --protocol` call them; other protocols are named in words.
    sequences, tested : int
        Of the task in all, and of its test part.
    model : str
    parameters : int or None
    figure : str
    value : float
    source : str
    """

    task: str
    protocol: str
    sequences: int
    tested: int
    model: str
    parameters: int | None
    figure: str
    value: float
    source: str


@cache
def published_rows() -> tuple[Published, ...]:
    """Return all that is known."""
    text = importlib.resources.files("genomamba.classify").joinpath(_FILE).read_text(encoding="utf-8")
    return tuple(
        Published(
            task=row["task"], protocol=row["protocol"], sequences=int(row["sequences"]), tested=int(row["tested"]),
            model=row["model"], parameters=int(row["parameters"]) if row["parameters"] else None, figure=row["figure"],
            value=float(row["value"]), source=row["source"],
        )
        for row in csv.DictReader(text.splitlines(), delimiter="\t")
    )  # fmt: skip


def task_rows(task: str) -> list[Published]:
    """Return what others report of a task; its name may go on behind theirs, as that of a subset does."""
    return [row for row in published_rows() if task.lower().startswith(row.task)]


def reason_apart(row: Published, *, protocol: str, sequences: int, tested: int) -> str:
    """Say why a published figure cannot stand beside one of ours; empty where it can."""
    reasons = []
    if row.protocol != protocol:
        reasons.append(f"protocol: {row.protocol}")
    if (row.sequences, row.tested) != (sequences, tested):
        reasons.append(
            f"other sequences: {row.tested:,} of {row.sequences:,} test there, {tested:,} of {sequences:,} here"
        )
    return "; ".join(reasons)
