"""How far a model with a head is right about data that has labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genomamba.classify.figures import NAMES
from genomamba.classify.heads import HeadConfig
from genomamba.classify.labelled import Labelled
from genomamba.classify.labels import Labels, read_labels
from genomamba.classify.others import with_classes_of
from genomamba.errors import DataError
from genomamba.files import atomic_file

__all__ = ["figures_in_words", "judged_labels", "write_metrics"]


def judged_labels(data: Labelled, head: HeadConfig) -> Labels:
    """Return the labels of data as what a head tells.

    Raises
    ------
    DataError
        Where there are none, or with its line, one that is no class of the head, or no number.
    """
    if data.labels is None:
        raise DataError(f"{data.origin}: no labels to judge by")
    if head.kind == "per-base":
        raise DataError(f"{data.origin}: the model tells a label of each base, and these are of sequences")
    texts = [data.labels.text(row) for row in range(len(data))]
    labels = read_labels(texts, head.kind, data.where)
    return with_classes_of(dataclasses.replace(data, labels=labels), Labels(head.kind, head.classes, labels.values))


def figures_in_words(origin: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return figures, as of `figures_of`, with their intervals as a table of text."""
    rows = next(iter(found.values()))["rows"]
    lines = [f"{origin}: {rows:,} labels; figures with 95 % intervals"]
    width = max(len(NAMES[name]) for name in found)
    for name, figure in found.items():
        value = "-" if figure["value"] is None else f"{figure['value']:.4f}"
        interval = "" if figure["low"] is None else f"  {figure['low']:.4f} to {figure['high']:.4f}"
        lines.append(f"  {NAMES[name]:<{width}}  {value:>7}{interval}")
    return "\n".join(lines)


def write_metrics(
    path: Path, found: Mapping[str, Mapping[str, Any]], by_class: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> None:
    """Write a line a figure, TSV: of all classes, then of each."""
    parts = {"": found, **by_class}
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write("class\tfigure\tvalue\tlow\thigh\trows\n")
        for name, figures in parts.items():
            file.writelines(_lines(name, figures))


def _lines(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    for figure, numbers in found.items():
        if "low" in numbers:
            cells = ("" if numbers[key] is None else f"{numbers[key]:.6f}" for key in ("value", "low", "high"))
            yield "\t".join((name, figure, *cells, str(numbers["rows"]))) + "\n"
