"""The background of scores by mutational class: how it is fitted, kept in a file, and looked up.

A class with fewer than `FEWEST` scores has no table of its own: its variants are compared with the next wider class
that has one.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.errors import RunError
from genomamba.files import atomic_file, read_json
from genomamba.score.variants.classes import ALL, Chain

__all__ = ["CALIBRATION", "FEWEST", "Calibration", "Table", "fit_classes", "write_calibration"]

Float32Array = npt.NDArray[np.float32]

CALIBRATION: Final = "calibration.json"
"""Name of the file beside a model's weights."""
FORMAT, FORMAT_VERSION = "genomamba-calibration", 1
FEWEST: Final = 50
"""Scores that a class must have for a table of its own."""

_TAILS: Final = (0.0, 0.01, 0.025, 0.05, 0.1)
_LEVELS: Final = np.array([*_TAILS, *np.linspace(0.25, 99.75, 399), *(100 - one for one in reversed(_TAILS))])
"""Percents at which values are kept, where there are more values than these."""
# The standard deviation of a normal distribution whose median absolute deviation is 1.
_NORMAL: Final = 1.4826


@dataclass(frozen=True, slots=True)
class Table:
    """Scores of one class: their centre and width, and of some values how many lie below.

    Attributes
    ----------
    median, mad : float
        Of the scores: their median, and the median of their absolute differences from it.
    values : list of float
        Scores that occur, ascending, each once; float32, so that a score equals itself.
    percents : list of float
        Of each value how many of all scores are lower, and half of those that equal it, in percent.
    """

    median: float
    mad: float
    values: list[float]
    percents: list[float]

    def percentile(self, score: float) -> float:
        """Return the percent of scores that are lower, and half of those that are equal; between values, linearly."""
        at = bisect_left(self.values, score)
        if at == len(self.values):
            return 100.0
        if self.values[at] == score:
            return self.percents[at]
        if at == 0:
            return 0.0
        low, high = self.values[at - 1], self.values[at]
        below, above = self.percents[at - 1], self.percents[at]
        return below + (above - below) * (score - low) / (high - low)

    def z(self, score: float) -> float:
        """Return how many robust standard deviations a score lies above the median; NaN where all are the same."""
        return (score - self.median) / (_NORMAL * self.mad) if self.mad else math.nan


def fit_classes(scores: Mapping[Chain, Float32Array], columns: tuple[str, ...]) -> dict[str, Any]:
    """Describe the scores of every class as the file has them.

    Parameters
    ----------
    scores : mapping of Chain to (variants, columns) float32
        Scores by the chain of the narrowest class, NaN where there is none.
    columns : tuple of str
        Names of the scores.

    Returns
    -------
    dict
        For each class, the narrowest first: its parent, how many variants it has, and for each column what `Table` has,
        or what class is used in its place (None where there is none).
    """
    members: dict[str, list[Float32Array]] = {}
    parents: dict[str, str | None] = {}
    for chain in sorted(scores):
        for name, parent in zip(chain, (*chain[1:], None), strict=True):
            members.setdefault(name, []).append(scores[chain])
            parents[name] = parent
    pooled = {name: np.concatenate(parts) for name, parts in members.items()}
    finite = {name: [column[np.isfinite(column)] for column in rows.T] for name, rows in pooled.items()}
    found: dict[str, Any] = {}
    for name in sorted(members, key=lambda name: (_depth(name, parents), name), reverse=True):
        found[name] = {"parent": parents[name], "count": len(pooled[name]), "scores": {}}
        for i, column in enumerate(columns):
            values = finite[name][i]
            if values.size >= FEWEST:
                found[name]["scores"][column] = _described(values)
                continue
            wider = parents[name]
            while wider is not None and finite[wider][i].size < FEWEST:
                wider = parents[wider]
            found[name]["scores"][column] = {"count": int(values.size), "uses": wider}
    return found


def write_calibration(path: Path, provenance: Mapping[str, Any], classes: Mapping[str, Any]) -> None:
    """Write a calibration, whole or not at all, a class a line. Raises `RunError` where it cannot be written."""
    header = {"format": FORMAT, "format_version": FORMAT_VERSION, **provenance, "fewest": FEWEST}
    lines = [f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False)},\n" for key, value in header.items()]
    rows = ",\n".join(f"    {json.dumps(name)}: {json.dumps(one, allow_nan=False)}" for name, one in classes.items())
    with atomic_file(path) as temporary:
        temporary.write_text("{\n" + "".join(lines) + '  "classes": {\n' + rows + "\n  }\n}\n")


class Calibration:
    """A background that was fitted.

    Attributes
    ----------
    path : Path
        The file.
    digest : str
        Of its bytes, 12 hexadecimal digits.
    variants : int
        How many it was fitted to.
    folded : bool
        How its classes are named, as `Classes` has it.

    Raises
    ------
    RunError
        Where the file is absent, damaged, or of a later format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        read = read_json(path)
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        if not isinstance(read, dict) or read.get("format") != FORMAT:
            raise RunError(f"{path}: is no calibration; genomamba calibrate makes one")
        if read.get("format_version") != FORMAT_VERSION:
            raise RunError(
                f"{path}: has format version {read.get('format_version')!r}, and {FORMAT_VERSION} is read;"
                " make it anew by genomamba calibrate"
            )
        try:
            self._model, self._settings = str(read["model"]), dict(read["settings"])
            self.folded = bool(read["folded"])
            self.variants = int(read["variants"])
            self._tables = {
                (name, column): _table(stored)
                for name, one in read["classes"].items()
                for column, stored in one["scores"].items()
                if "uses" not in stored
            }
            if not self._settings["scores"] or (ALL, self._settings["scores"][0]) not in self._tables:
                raise ValueError(f"the class {ALL!r} is missing")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path}: damaged ({error!r}); make it anew by genomamba calibrate") from error

    def misfit(self, model: str, settings: Mapping[str, Any], column: str) -> str | None:
        """Tell why scores are not of the kind that was fitted; None where they are.

        Parameters
        ----------
        model : str
            Fingerprint of the weights.
        settings : mapping
            What scores depend on, as `Scorer.settings` has it.
        column : str
            The score.
        """
        if model != self._model:
            return f"is of a model with other weights ({self._model[:12]}, and this one has {model[:12]})"
        if column not in self._settings["scores"]:
            return f"has no {column}, only {', '.join(self._settings['scores'])}"
        for key in sorted((settings.keys() | self._settings.keys()) - {"scores"}):
            if (was := self._settings.get(key)) != (now := settings.get(key)):
                return f"has {key} {was}, and this command {now}"
        return None if (ALL, column) in self._tables else f"has too few variants with a {column}"

    def table(self, chain: Chain, column: str) -> Table:
        """Return the table of the narrowest class of a chain that has one."""
        return next(self._tables[name, column] for name in chain if (name, column) in self._tables)


def _described(values: Float32Array) -> dict[str, Any]:
    exact = values.astype(np.float64)
    distinct, counts = np.unique(values, return_counts=True)
    percents = 100 * (counts.cumsum() - counts / 2) / values.size
    if distinct.size > _LEVELS.size:
        # Beside a value that many share, percents leap: its neighbours are kept, too.
        shared = np.flatnonzero(counts > values.size / len(_LEVELS))
        places = np.concatenate([np.searchsorted(percents, _LEVELS), shared - 1, shared, shared + 1])
        kept = np.unique(places.clip(0, distinct.size - 1))
        distinct, percents = distinct[kept], percents[kept]
    median = float(np.median(exact))
    return {
        "count": int(values.size),
        "mean": _short(exact.mean()),
        "sd": _short(exact.std(ddof=1)),
        "median": _short(median),
        "mad": _short(np.median(np.abs(exact - median))),
        # The shortest text that reads as the same float32.
        "values": [float(str(value)) for value in distinct],
        "percents": [round(float(one), 6) for one in percents],
    }


def _table(stored: Mapping[str, Any]) -> Table:
    values = np.array(stored["values"], np.float32).astype(np.float64)
    percents = np.array(stored["percents"], np.float64)
    if not values.size or values.shape != percents.shape or not (np.diff(values) > 0).all():
        raise ValueError("values and percents do not ascend together")
    return Table(float(stored["median"]), float(stored["mad"]), values.tolist(), percents.tolist())


def _depth(name: str, parents: Mapping[str, str | None]) -> int:
    parent = parents[name]
    return 0 if parent is None else 1 + _depth(parent, parents)


def _short(value: float) -> float:
    return float(f"{value:.9g}")
