"""What a head says, as tables: a row a sequence, a row a window, or a row a base."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from genomamba.classify.heads import HeadConfig
from genomamba.classify.labels import JOINT, Kind, Labels
from genomamba.classify.losses import said_of
from genomamba.score.tracks import open_parquet, open_text

__all__ = ["TABLES", "Predicted", "write_predictions"]

TABLES: Final = (".tsv", ".tsv.gz", ".parquet")


@dataclass(frozen=True, slots=True)
class Predicted:
    """Columns of a table, by name: `name` or `contig`, `start`, `end` first, then `label` where there is one,
    `prediction`, and a probability for each class as `p_CLASS`.
    """

    columns: dict[str, Sequence[Any]]

    @classmethod
    def of(
        cls,
        config: HeadConfig,
        names: Sequence[str],
        lengths: npt.NDArray[np.int64],
        logits: Tensor,
        labels: Labels | None = None,
        places: dict[str, Sequence[Any]] | None = None,
    ) -> Predicted:
        """Make the columns.

        Parameters
        ----------
        config : HeadConfig
        names : (sequences,)
        lengths : (sequences,), int64
            Bases of each; used where each base has its own row.
        logits : (sequences, outputs) or (bases, outputs)
        labels : Labels, optional
            What is true.
        places : dict, optional
            Columns that stand in the place of `name`: those of a stretch of a genome.
        """
        columns = _columns_before(config.kind, names, lengths, labels, places)
        return cls(columns | _columns_said(config.kind, config.classes, said_of(config, logits)))

    @classmethod
    def of_said(
        cls, labels: Labels, names: Sequence[str], lengths: npt.NDArray[np.int64], said: npt.NDArray[np.float64]
    ) -> Predicted:
        """Make the columns of what is true and of probabilities, (rows, classes), or numbers, (rows,)."""
        before = _columns_before(labels.kind, names, lengths, labels, None)
        return cls(before | _columns_said(labels.kind, labels.classes, said))


def _columns_before(
    kind: Kind,
    names: Sequence[str],
    lengths: npt.NDArray[np.int64],
    labels: Labels | None,
    places: dict[str, Sequence[Any]] | None,
) -> dict[str, Sequence[Any]]:
    """Return what stands before that which is said: which row it is, and what is true."""
    columns: dict[str, Sequence[Any]] = {"name": names} if places is None else dict(places)
    if kind == "per-base":
        columns = {"name": np.repeat(np.array(names, object), lengths).tolist()}
        columns["position"] = np.concatenate([np.arange(length) for length in lengths]).tolist()
    if labels is not None and kind != "per-base":
        columns["label"] = [labels.text(row) for row in range(len(names))]
    elif labels is not None:
        columns["label"] = [labels.classes[value] for value in labels.values]
    return columns


def _columns_said(kind: Kind, classes: Sequence[str], said: npt.NDArray[np.float64]) -> dict[str, Sequence[Any]]:
    if kind == "regression":
        return {"prediction": said.tolist()}
    if kind == "multi":
        rows = [[classes[column] for column in np.flatnonzero(row > 0.5).tolist()] for row in said]
        predicted = [JOINT.join(row) for row in rows]
    else:
        predicted = [classes[column] for column in said.argmax(1).tolist()]
    return {"prediction": predicted} | {f"p_{name}": said[:, i].tolist() for i, name in enumerate(classes)}


def write_predictions(path: Path, suffix: str, parts: Iterable[Predicted]) -> int:
    """Write a table of parts that have the same columns, and return the number of rows.

    Parameters
    ----------
    path : Path
        File to write.
    suffix : str
        One of `TABLES`; texts have six decimals.
    parts : iterable of Predicted
    """
    rows = 0
    if suffix == ".parquet":
        iterator = iter(parts)
        first = next(iterator)
        kinds = {name: _kind(values) for name, values in first.columns.items()}
        with open_parquet(path, kinds) as write:
            for part in itertools.chain([first], iterator):
                write(part.columns)
                rows += len(part.columns["prediction"])
        return rows
    with open_text(path, suffix) as put:
        for number, part in enumerate(parts):
            if not number:
                put("\t".join(part.columns) + "\n")
            put("".join("\t".join(map(_text, row)) + "\n" for row in zip(*part.columns.values(), strict=True)))
            rows += len(part.columns["prediction"])
    return rows


def _kind(values: Sequence[Any]) -> str:
    kinds = {int: "int64", float: "float64"}
    return kinds.get(type(values[0]), "string")


def _text(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)
