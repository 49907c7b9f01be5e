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
from genomamba.classify.labels import JOINT, Labels
from genomamba.classify.losses import probabilities_of, values_of
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
        columns: dict[str, Sequence[Any]] = {"name": names} if places is None else dict(places)
        if config.kind == "per-base":
            columns = {"name": np.repeat(np.array(names, object), lengths).tolist()}
            columns["position"] = np.concatenate([np.arange(length) for length in lengths]).tolist()
        if labels is not None and config.kind != "per-base":
            columns["label"] = [labels.text(row) for row in range(len(names))]
        elif labels is not None:
            columns["label"] = [labels.classes[value] for value in labels.values]
        if config.kind == "regression":
            return cls(columns | {"prediction": values_of(config, logits).tolist()})
        probabilities = probabilities_of(config, logits)
        if config.kind == "multi":
            rows = [[config.classes[column] for column in np.flatnonzero(row > 0.5)] for row in probabilities]
            columns["prediction"] = [JOINT.join(row) for row in rows]
        else:
            columns["prediction"] = [config.classes[column] for column in probabilities.argmax(1)]
        return cls(columns | {f"p_{name}": probabilities[:, i].tolist() for i, name in enumerate(config.classes)})


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
