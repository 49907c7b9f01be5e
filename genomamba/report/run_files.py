"""Read what a run folder holds. A file that is not there yet is missing, not an error; a damaged one is an error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import yaml

from genomamba.errors import RunError
from genomamba.files import read_json

__all__ = ["Curve", "RunFiles", "read_pretraining", "read_rows", "read_run"]

Curve = dict[str, npt.NDArray[np.float64]]
"""Columns of the rows of one kind; NaN where a row has no value."""

COLUMNS: Final = ("step", "bases", "time_s", "bits_per_base", "learning_rate", "bases_per_s", "peak_share")
# What a page cannot do without, of each file that is there.
REQUIRED: Final = {"dataset.json": ("splits", "contigs", "excluded"), "evaluation.json": ("objective", "splits")}
MISSING: Final = {
    "run.json": "versions, command, device and status are not known",
    "config.yaml": "the settings are not known",
    "dataset.json": "what was trained on is not known",
    "metrics.jsonl": "there are no training curves",
    "evaluation.json": "there are no held-out figures; they are made when a run ends",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFiles:
    """The files of a run folder, as plain values; None where one is missing.

    Attributes
    ----------
    folder : Path
        The run folder.
    facts, config, card, evaluation : dict or None
        run.json, config.yaml, dataset.json, evaluation.json.
    train, valid : Curve
        Rows of metrics.jsonl, in file order; arrays of length 0 where there are none.
    parts : dict
        Rows of validation by genome and class, of which the first or the second is empty where it is all of them.
    missing : dict
        Name of each file that is not there, and what is lost by it.
    """

    folder: Path
    facts: dict[str, Any] | None
    config: dict[str, Any] | None
    card: dict[str, Any] | None
    evaluation: dict[str, Any] | None
    train: Curve
    valid: Curve
    parts: dict[tuple[str, str], Curve]
    missing: dict[str, str]


def read_pretraining(folder: Path) -> RunFiles:
    """Read a run folder of a pretraining, to report on it.

    Raises
    ------
    RunError
        As `read_run` does, and where the folder holds a classifier.
    """
    if (folder / "data.yaml").is_file():
        raise RunError(f"{folder}: holds a classifier, whose page was written with it; give run folders of pretrain")
    return read_run(folder)


def read_run(folder: Path) -> RunFiles:
    """Read a run folder.

    Raises
    ------
    RunError
        Where the folder is absent, or holds no file of a pretraining, or where one of them is damaged.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; give the run folder that pretrain wrote")
    missing = {name: loss for name, loss in MISSING.items() if not (folder / name).is_file()}
    if len(missing) == len(MISSING):
        raise RunError(
            f"{folder}: is no run folder, it holds none of {', '.join(MISSING)}; give one that pretrain wrote"
        )
    facts, config, card, evaluation = (
        None if name in missing else _mapping(folder / name)
        for name in ("run.json", "config.yaml", "dataset.json", "evaluation.json")
    )
    rows = [] if "metrics.jsonl" in missing else read_rows(folder / "metrics.jsonl")
    return RunFiles(
        folder=folder,
        facts=facts,
        config=config,
        card=card,
        evaluation=evaluation,
        train=_curve(rows, "train"),
        valid=_curve(rows, "valid"),
        parts=_parts(rows),
        missing=missing,
    )


def _mapping(path: Path) -> dict[str, Any]:
    values = _read_yaml(path) if path.suffix == ".yaml" else read_json(path)
    if not isinstance(values, dict):
        raise RunError(f"{path}: holds a {type(values).__name__}, expected names with values; restore or remove it")
    if absent := [name for name in REQUIRED.get(path.name, ()) if name not in values]:
        raise RunError(f"{path}: has no {', '.join(absent)}; restore the file, or remove it to report the rest")
    return values


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines; the last one may be cut short, by a run that goes on or was killed."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error})") from error
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise RunError(f"{path}:{number}: is no JSON ({error.msg}); remove the line to report the rest") from error
        if not isinstance(row, dict):
            raise RunError(f"{path}:{number}: holds a {type(row).__name__}, expected names with values")
        rows.append(row)
    return rows


def _curve(rows: list[dict[str, Any]], kind: str) -> Curve:
    of_kind = [row for row in rows if row.get("kind") == kind]
    return {name: np.array([_number(row.get(name)) for row in of_kind], np.float64) for name in COLUMNS}


def _parts(rows: list[dict[str, Any]]) -> dict[tuple[str, str], Curve]:
    by_part: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row.get("kind") == "valid_part":
            by_part.setdefault((row.get("genome") or "", row.get("class") or ""), []).append(row)
    return {part: _curve(those, "valid_part") for part, those in by_part.items()}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else np.nan
