"""What is compared: every contender's figures over the test part, and the first against the best of the baselines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.classify.contenders import Answer
from genomamba.classify.figures import NAMES, class_figures_of, differences_of, figures_of, main_figure
from genomamba.classify.labels import Labels
from genomamba.classify.trials import Trial, Trials
from genomamba.files import atomic_file
from genomamba.report.words import duration

__all__ = ["Compared", "Contender", "compare_contenders", "in_words", "sentences", "write_figures_table"]

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

_NONE: Final = "-"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One of those that are compared.

    Attributes
    ----------
    name : str
    is_baseline : bool
    answers : sequence of Answer
        One a trial.
    """

    name: str
    is_baseline: bool
    answers: Sequence[Answer]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What was found.

    Attributes
    ----------
    figures : dict
        All of it, as plain values.
    labels : Labels
        Of the rows that were tested, each once.
    said : dict
        What each contender said of them, by its name: an array a seed, or one over all folds.
    """

    figures: dict[str, Any]
    labels: Labels
    said: dict[str, list[Float64Array]]


def compare_contenders(
    trials: Trials, contenders: Sequence[Contender], left_out: Mapping[str, str] | None = None
) -> Compared:
    """Find the figures of contenders over what tests.

    Parameters
    ----------
    trials : Trials
        With a test part.
    contenders : sequence of Contender
        The first is held against the best of those that are baselines: the one whose error inside train and valid is
        least, so that nothing is chosen by the test part.
    left_out : mapping, optional
        Baselines that were not for the data, and why.
    """
    rows = trials.tested
    part = trials.data.select(rows)
    labels, units = part.labels, None
    assert labels is not None
    leaked = trials.leaked[rows]
    if labels.kind == "per-base":
        units = np.arange(len(rows)).repeat(part.sequences.lengths)
        leaked = leaked[units]
    said = {one.name: _together(trials, one.answers) for one in contenders}
    clean = _Rows(labels, units, None if not leaked.any() or leaked.all() else ~leaked)
    whole = _Rows(labels, units, None)
    found = [_of_contender(one, said[one.name], trials, whole, clean) for one in contenders]
    best = best_baseline(found)
    first = contenders[0].name
    figures = {
        "kind": labels.kind,
        "classes": list(labels.classes),
        "main": main_figure(labels.kind),
        "protocol": trials.protocol,
        "folds": trials.folds,
        "seeds": sorted({trial.seed for trial in trials.each}),
        "sequences": len(rows),
        "rows": len(labels.values),
        "leaked": int(leaked.sum()),
        "contenders": found,
        "left_out": dict(left_out or {}),
        "best_baseline": best,
        "differences": {} if best is None else whole.differences(said[first], said[best]),
        "differences_without_leaks": {} if best is None or clean.kept is None else clean.differences(
            said[first], said[best]
        ),
    }  # fmt: skip
    return Compared(figures=figures, labels=labels, said=said)


@dataclass(frozen=True)
class _Rows:
    """Some of the rows that were tested, or all."""

    labels: Labels
    units: Int64Array | None
    kept: npt.NDArray[np.bool_] | None

    def figures(self, said: Sequence[Float64Array]) -> dict[str, Any]:
        return figures_of(*self._some(said))

    def by_class(self, said: Sequence[Float64Array]) -> dict[str, Any]:
        return class_figures_of(*self._some(said))

    def differences(self, first: Sequence[Float64Array], second: Sequence[Float64Array]) -> dict[str, Any]:
        labels, one, units = self._some(first)
        return differences_of(labels, one, self._some(second)[1], units)

    def _some(self, said: Sequence[Float64Array]) -> tuple[Labels, list[Float64Array], Int64Array | None]:
        if self.kept is None:
            return self.labels, list(said), self.units
        labels = dataclasses.replace(self.labels, values=self.labels.values[self.kept])
        return labels, [one[self.kept] for one in said], None if self.units is None else self.units[self.kept]


def best_baseline(contenders: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the name of the baseline whose error inside train and valid is least; None where none has any."""
    known = [one for one in contenders if one["is_baseline"] and one["cost"] is not None]
    return min(known, key=lambda one: float(one["cost"]))["name"] if known else None


def in_words(figures: Mapping[str, Any], part: str = "test") -> str:
    """Return what was found over a part as a table of text, and the sentence that matters."""
    names = list(figures["contenders"][0]["figures"])
    main = figures["main"]
    names.remove(main)
    header = ["", NAMES[main], "95 %", *(NAMES[name] for name in names), "error inside", "weights", "time"]
    rows = [header]
    for one in figures["contenders"]:
        shown = [_number(one["figures"][name]["value"]) for name in names]
        main_of = one["figures"][main]
        rows.append([
            one["name"], _number(main_of["value"]), _interval(main_of), *shown, _number(one["cost"]),
            _NONE if one["parameters"] is None else f"{one['parameters']:,}", duration(one["seconds"]),
        ])  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = [f"{part}: {figures['protocol']}"]
    for name, *cells in rows:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *padded]))
    return "\n".join(lines + list(sentences(figures)))


def sentences(figures: Mapping[str, Any]) -> Iterator[str]:
    """Give what has to be said of the figures: the difference from the best baseline, and what leaks."""
    main, best = figures["main"], figures["best_baseline"]
    name = NAMES[main]
    first = figures["contenders"][0]
    if best is not None and figures["differences"][main]["value"] is not None:
        difference = figures["differences"][main]
        said = _difference_in_words(difference)
        yield (
            f"{first['name']} against {best}, the baseline with the least error inside train and valid: {name} {said}"
        )
    if not figures["leaked"]:
        return
    clean = first["without_leaks"]
    what = "bases" if figures["kind"] == "per-base" else "sequences"
    yield f"of {figures['rows']:,} {what} that test, {figures['leaked']:,} are learnt from, too, or nearly"
    if clean and figures["kind"] == "single" and clean["auroc"]["value"] is None:
        yield "without them one class alone is left, of which there is no figure"
    elif clean:
        line = f"without them {name} is {_number(clean[main]['value'])} ({_interval(clean[main])})"
        other = figures["differences_without_leaks"].get(main)
        if best is not None and other is not None and other["value"] is not None:
            line += f", {_difference_in_words(other)} against {best}"
        yield line


def write_figures_table(path: Path, figures: Mapping[str, Any]) -> None:
    """Write a line a figure, TSV: of whom, of which class, over which rows, and its interval."""
    parts = {"all": figures, **figures.get("others", {})}
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write("contender\tbaseline\tclass\tover\tfigure\tvalue\tlow\thigh\trows\n")
        for part, of_part in parts.items():
            for one in of_part["contenders"]:
                for line in _lines_of(one, part):
                    file.write("\t".join(line) + "\n")


def _lines_of(one: Mapping[str, Any], part: str) -> Iterator[list[str]]:
    """Give the lines of one contender over a part."""
    clean = "without leaks" if part == "all" else f"{part}, without leaks"
    groups = [("", part, one["figures"]), ("", clean, one["without_leaks"] or {})]
    groups += [(name, part, found) for name, found in one["by_class"].items()]
    for label, over, found in groups:
        for name, figure in found.items():
            if "low" in figure:
                cells = [_cell(figure[key]) for key in ("value", "low", "high", "rows")]
                yield [one["name"], str(one["is_baseline"]).lower(), label, over, name, *cells]


def _cell(value: float | int | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6f}"


def _difference_in_words(found: Mapping[str, Any]) -> str:
    low, high = found["low"], found["high"]
    return f"{found['value']:+.4f} ({low:+.4f} to {high:+.4f}, p {found['p']:.3f})"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"


def _interval(figure: Mapping[str, Any]) -> str:
    return _NONE if figure["low"] is None else f"{figure['low']:.4f} to {figure['high']:.4f}"


def _together(trials: Trials, answers: Sequence[Answer]) -> list[Float64Array]:
    """Return an array over all rows that are tested for each seed; of folds, one."""
    if trials.folds:
        return [np.concatenate([answer.said for answer in answers])]
    return [answer.said for answer in answers]


def _of_contender(
    one: Contender, said: list[Float64Array], trials: Trials, whole: _Rows, clean: _Rows
) -> dict[str, Any]:
    members = [_member(trial, answer) for trial, answer in zip(trials.each, one.answers, strict=True)]
    costs = [member["cost"] for member in members]
    counts = [member["parameters"] for member in members]
    figures = whole.figures(said)
    return {
        "name": one.name,
        "is_baseline": one.is_baseline,
        "figures": figures,
        "by_class": whole.by_class(said),
        "without_leaks": None if clean.kept is None else clean.figures(said),
        "over_members": _over_members(members),
        "cost": None if None in costs else float(np.mean(costs)),
        "judged_by": one.answers[0].judged_by,
        "parameters": None if None in counts else max(counts),
        "trained": members[0]["trained"],
        "seconds": float(np.sum([member["seconds"] for member in members])),
        "members": members,
    }


def _member(trial: Trial, answer: Answer) -> dict[str, Any]:
    """Return the figures of one trial, without intervals, and what it took."""
    rows = trial.test
    part = trial.data.select(rows)
    assert part.labels is not None
    found = figures_of(part.labels, [answer.said], draws=1)
    return {
        "trial": trial.name, "seed": trial.seed, "train": len(trial.train), "valid": len(trial.valid),
        "test": len(rows), "figures": {name: figure["value"] for name, figure in found.items()},
        "cost": answer.cost, "parameters": answer.parameters, "trained": answer.trained,
        "seconds": round(answer.seconds, 2), "chosen": answer.chosen,
    }  # fmt: skip


def _over_members(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return mean and deviation of each figure over folds, or seeds."""
    found = {}
    for name in members[0]["figures"]:
        values = [one["figures"][name] for one in members if one["figures"][name] is not None]
        if values:
            deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
            mean = float(np.mean(values))
            assert math.isfinite(mean)
            found[name] = {
                "mean": mean, "deviation": deviation, "low": min(values), "high": max(values), "members": len(values),
            }  # fmt: skip
    return found
