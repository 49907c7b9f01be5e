"""The page of a comparison: what its figures say in words and tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.classify.comparison import Compared, sentences
from genomamba.classify.figures import NAMES, classes_said
from genomamba.classify.trials import Trials
from genomamba.report.classifier_page import Cell, ClassifierPage, Section
from genomamba.report.words import duration, moment, signed

__all__ = ["page_of"]

Float64Array = npt.NDArray[np.float64]
_MINUS: Final = 4
_NONE: Final = "\u2013"
_MOST_CURVES: Final = 7
_MOST_CLASSES: Final = 60
_RUN: Final = {
    "command": "command", "genomamba": "genomamba", "commit": "commit", "python": "Python", "torch": "PyTorch",
    "platform": "platform", "cpu": "CPU", "threads": "threads",
}  # fmt: skip
_EXPLAINED: Final = {
    "majority": "majority says the most frequent class, with the shares of training for probabilities",
    "k-mer": "k-mer: linear model of how often each k-mer occurs, k and penalty chosen by folds of train and valid",
    "one-hot": "one-hot: linear model of which base stands where, its penalty chosen in the same way",
    "cnn": "cnn: a convolutional network of three layers, learnt from train and stopped by valid",
    "random": "random: the same network from weights drawn anew, treated as the model was",
}


def page_of(compared: Compared, trials: Trials, name: str, run: Mapping[str, Any]) -> ClassifierPage:
    """Return the page.

    Parameters
    ----------
    compared : Compared
        With `model` and `what` in its figures.
    trials : Trials
    name : str
        Of the run.
    run : mapping
        What run.json says of it.
    """
    figures = compared.figures
    first, main = figures["contenders"][0], figures["main"]
    drawn = [first["name"]]
    if figures["best_baseline"] is not None:
        drawn.append(figures["best_baseline"])
    kind = figures["kind"]
    several = len(compared.said[first["name"]]) > 1
    return ClassifierPage(
        name=name,
        verdict=_verdict(figures),
        headline=_headline(figures),
        warnings=_warnings(figures),
        figure=NAMES[main],
        intervals=list(_intervals(figures)),
        contenders=_contenders(figures),
        sections=[
            section
            for section in (
                *_others(figures), _clean(figures), _classes(figures), _trials(figures), _chosen(figures)
            )
            if section is not None
        ],
        classes=figures["classes"],
        confusion=_confusions(compared, drawn) if kind in ("single", "per-base") else {},
        curves=_curves(compared, [one["name"] for one in figures["contenders"]]),
        curves_of="each contender" if len(figures["classes"]) == 2 and kind != "multi" else f"each class of {drawn[0]}",
        reliability={} if kind == "regression" else {one: _reliability(compared, one) for one in drawn},
        probability="probability of " + _of_what(figures),
        numbers=(compared.labels.values, compared.said[drawn[0]][0]) if kind == "regression" else None,
        rows_drawn=_rows_drawn(figures, several),
        facts=_facts(figures, trials, run),
    )  # fmt: skip


def _verdict(figures: Mapping[str, Any]) -> str:
    first, main = figures["contenders"][0], figures["main"]
    found = first["figures"][main]
    unit = "bases" if figures["kind"] == "per-base" else "sequences"
    text = f"{_titled(first['name'])} has {_a(NAMES[main])} of {_plain(found)} on {figures['rows']:,} held-out {unit}."
    best = figures["best_baseline"]
    difference = figures["differences"].get(main, {"value": None})
    if best is None or difference["value"] is None:
        return text
    other = next(one for one in figures["contenders"] if one["name"] == best)["figures"][main]
    text += f" {_titled(best)}, the best of the baselines before the test, has {_number(other['value'])}: "
    size = f"{signed(abs(difference['value']), _MINUS)}"
    interval = f"{signed(difference['low'], _MINUS)} to {signed(difference['high'], _MINUS)}"
    if difference["low"] <= 0 <= difference["high"]:
        return text + f"the difference, {signed(difference['value'], _MINUS)} ({interval}), may be chance."
    which = "above it" if difference["value"] > 0 else "below it"
    return text + f"{_titled(first['name']).lower()} is {size} {which} ({interval})."


def _titled(name: str) -> str:
    return {
        "probe": "The probe", "finetuned": "The fine-tuned model", "random": "The same network from random weights",
        "majority": "The majority", "k-mer": "The k-mer model", "one-hot": "The one-hot model",
        "cnn": "The convolutional network",
    }.get(name, name)  # fmt: skip


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aAM' else 'a'} {name}"


def _headline(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    first = figures["contenders"][0]
    trials = f"{figures['folds']} folds" if figures["folds"] else f"{len(figures['seeds'])}"
    label = "cross-validation" if figures["folds"] else "seeds"
    numbers = [("tested", f"{figures['sequences']:,}")]
    if figures["classes"]:
        numbers.append(("classes", f"{len(figures['classes']):,}"))
    numbers += [(label, trials)]
    if first["parameters"] is not None:
        numbers.append(("weights", f"{first['parameters']:,}"))
    return [*numbers, ("time", duration(first["seconds"]))]


def _warnings(figures: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know first: what leaks, and how few rows there are."""
    found = [
        f"{line[0].upper()}{line[1:]}." for line in list(sentences(figures)) if line.startswith(("of ", "without"))
    ]
    if figures["best_baseline"] is None and not any(one["is_baseline"] for one in figures["contenders"]):
        found.append("No baseline stands beside these figures; without one they say little.")
    if figures["sequences"] < 200:
        found.append(
            f"{figures['sequences']:,} sequences are few: one more that is right is {1 / figures['sequences']:.4f}."
        )
    return found


def _intervals(figures: Mapping[str, Any]) -> Iterator[tuple[str, bool, float, float, float]]:
    for one in figures["contenders"]:
        found = one["figures"][figures["main"]]
        if found["value"] is not None and found["low"] is not None:
            yield one["name"], one["is_baseline"], found["value"], found["low"], found["high"]


def _contenders(figures: Mapping[str, Any]) -> Section:
    names = list(figures["contenders"][0]["figures"])
    names.sort(key=lambda name: name != figures["main"])
    rows = [
        (one["name"], not one["is_baseline"], [_cell(one["figures"][name]) for name in names])
        for one in figures["contenders"]
    ]
    shown = [one["name"] for one in figures["contenders"]]
    notes = [f"{text}." for name, text in _EXPLAINED.items() if name in shown]
    notes += [f"{name} is left out: {why}." for name, why in figures["left_out"].items()]
    if len(figures["classes"]) > 2 or figures["kind"] == "multi":
        notes.append("AUROC and AUPRC are means over the classes, each against the others.")
    means = " Each figure is the mean over seeds." if len(figures["seeds"]) > 1 else ""
    draws = "sequences, with all their bases," if figures["kind"] == "per-base" else "sequences"
    if figures["kind"] != "regression":
        notes.append("The calibration error of rows that are drawn again is higher, and so lies its interval.")
    return Section(
        id="contenders",
        title="Beside the baselines",
        text=f"In small letters 95 % intervals of the percentile bootstrap over {draws} of the test part: how far a"
        f" figure would move, had others been drawn. They say nothing of other data.{means}",
        header=["", *(NAMES[name] for name in names)],
        rows=rows,
        notes=notes,
    )  # fmt: skip


def _others(figures: Mapping[str, Any]) -> Iterator[Section]:
    """Give a table for each other data that tests."""
    for number, (name, found) in enumerate(figures["others"].items()):
        notes = [f"{line[0].upper()}{line[1:]}." for line in sentences(found)]
        text = f"{found['sequences']:,} sequences that test beside the test part. Nothing of them learnt or chose."
        yield dataclasses.replace(_contenders(found), id=f"other-{number}", title=name, text=text, notes=notes)


def _clean(figures: Mapping[str, Any]) -> Section | None:
    first = figures["contenders"][0]
    if first["without_leaks"] is None:
        return None
    names = list(first["without_leaks"])
    names.sort(key=lambda name: name != figures["main"])
    return Section(
        id="leaks",
        title="Without what leaks",
        text=f"The same figures without the {figures['leaked']:,} that are learnt from, too, or nearly.",
        header=["", *(NAMES[name] for name in names)],
        rows=[
            (one["name"], not one["is_baseline"], [_cell(one["without_leaks"][name]) for name in names])
            for one in figures["contenders"]
        ],
    )  # fmt: skip


def _classes(figures: Mapping[str, Any]) -> Section | None:
    first = figures["contenders"][0]
    if not first["by_class"]:
        return None
    shown = list(first["by_class"].items())[:_MOST_CLASSES]
    best = next((one for one in figures["contenders"] if one["name"] == figures["best_baseline"]), None)
    header = ["class", "rows", "AUROC", "AUPRC", "F1"]
    if best is not None:
        header.append(f"F1 of {best['name']}")
    rows = []
    for name, found in shown:
        cells: list[Cell] = [
            (f"{found['rows']['value']:,}", ""),
            *(_cell(found[one]) for one in ("auroc", "auprc", "f1")),
        ]
        if best is not None:
            cells.append(_cell(best["by_class"][name]["f1"]))
        rows.append((name, False, cells))
    more = len(first["by_class"]) - len(shown)
    return Section(
        id="classes", title="Class by class", text="Each class against all others.", header=header, rows=rows,
        notes=[f"{more:,} more are in figures.tsv."] if more else [],
    )  # fmt: skip


def _trials(figures: Mapping[str, Any]) -> Section | None:
    members = figures["contenders"][0]["members"]
    if len(members) < 2:
        return None
    main = figures["main"]
    names = [one["name"] for one in figures["contenders"]]
    rows = []
    for number, member in enumerate(members):
        parts = " / ".join(f"{member[part]:,}" for part in ("train", "valid", "test"))
        values: list[Cell] = [(_number(one["members"][number]["figures"][main]), "") for one in figures["contenders"]]
        rows.append((member["trial"], False, [(parts, ""), *values]))
    means: list[Cell] = [("", "")]
    for one in figures["contenders"]:
        over = one["over_members"].get(main)
        means.append((_NONE, "") if over is None else (_number(over["mean"]), f"\u00b1 {_number(over['deviation'])}"))
    rows.append(("mean", True, means))
    return Section(
        id="trials",
        title="Fold by fold" if figures["folds"] else "Seed by seed",
        text=f"{NAMES[main][0].upper()}{NAMES[main][1:]} of each, and below the mean the deviation.",
        header=["", "learn / validate / test", *names],
        rows=rows,
    )


def _chosen(figures: Mapping[str, Any]) -> Section:
    error = "mean square of what is amiss" if figures["kind"] == "regression" else "share that is wrong"
    rows = []
    for one in figures["contenders"]:
        chosen = [_in_one_line(member["chosen"]) for member in one["members"]]
        told = chosen[0] if len(set(chosen)) == 1 else f"{chosen[0]}, \u2026"
        cells: list[Cell] = [
            (_count(one["parameters"]), ""), (_count(one["trained"]), ""), (duration(one["seconds"]), ""),
            (_number(one["cost"]), one["judged_by"]), (told or _NONE, ""),
        ]  # fmt: skip
        rows.append((one["name"], not one["is_baseline"], cells))
    best = figures["best_baseline"]
    notes = [f"Error: {error}, found inside train and valid; the test part has no say in what is chosen."]
    if best is not None:
        notes.append(f"The baseline with the least of it, {best}, is what the result is held against.")
    return Section(
        id="chosen", title="What each learnt, and what it took", text="",
        header=["", "weights", "learnt here", "time", "error", "chosen"], rows=rows, notes=notes,
    )  # fmt: skip


def _in_one_line(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in chosen.items())


def _confusions(compared: Compared, names: list[str]) -> dict[str, npt.NDArray[np.int64]]:
    labels, count = compared.labels, len(compared.labels.classes)
    found = {}
    for name in names:
        said = classes_said(labels.kind, compared.said[name][0])
        cells = labels.values.astype(np.int64) * count + said
        found[name] = np.bincount(cells, minlength=count**2).reshape(count, count)
    return found


def _curves(compared: Compared, names: list[str]) -> dict[str, tuple[Float64Array, Float64Array]]:
    """Return a curve a contender for two classes, and a curve a class of the first contender for more."""
    labels = compared.labels
    if labels.kind == "regression":
        return {}
    if len(labels.classes) == 2 and labels.kind != "multi":
        truth = (labels.values == 1).astype(np.float64)
        return {name: (truth, compared.said[name][0][:, 1]) for name in names[:_MOST_CURVES]}
    said = compared.said[names[0]][0]
    is_of = labels.values if labels.kind == "multi" else np.eye(len(labels.classes))[labels.values]
    frequent = np.argsort(-is_of.sum(0), kind="stable")[:_MOST_CURVES]
    return {labels.classes[i]: (is_of[:, i].astype(np.float64), said[:, i]) for i in frequent.tolist()}


def _reliability(compared: Compared, name: str) -> tuple[Float64Array, Float64Array]:
    labels, said = compared.labels, compared.said[name][0]
    if labels.kind == "multi":
        return labels.values.astype(np.float64).ravel(), said.ravel()
    if len(labels.classes) == 2:
        return (labels.values == 1).astype(np.float64), said[:, 1]
    return (said.argmax(1) == labels.values).astype(np.float64), said.max(1)


def _of_what(figures: Mapping[str, Any]) -> str:
    if figures["kind"] == "multi":
        return "each label"
    return str(figures["classes"][1]) if len(figures["classes"]) == 2 else "the class that is said"


def _rows_drawn(figures: Mapping[str, Any], several: bool) -> str:
    if figures["folds"]:
        return "All sequences, each as the training that did not see it says."
    return f"The test part, as the training of seed {figures['seeds'][0]} says." if several else "The test part."


def _facts(figures: Mapping[str, Any], trials: Trials, run: Mapping[str, Any]) -> dict[str, str]:
    first = figures["contenders"][0]["members"][0]
    parts = ", ".join(
        f"{first[part]:,} {word}" for part, word in (("train", "learn"), ("valid", "validate"), ("test", "test"))
    )
    facts = {
        "model": figures["model"],
        "done": figures["what"],
        "protocol": figures["protocol"],
        "parts": parts + (" (first fold)" if figures["folds"] else ""),
        "seeds": ", ".join(map(str, figures["seeds"])),
        "data": trials.data.origin,
        "leaks": "; ".join(trials.leaks.counts_in_words()),
    }
    if run.get("inputs"):
        facts["checksum"] = f"sha256 {run['inputs'][0]['sha256']}"
    facts |= {label: str(run[name]) for name, label in _RUN.items() if run.get(name) is not None}
    if run.get("started"):
        facts["started"] = moment(run["started"])
    return facts


def _cell(figure: Mapping[str, Any]) -> Cell:
    if figure["value"] is None:
        return _NONE, ""
    small = "" if figure["low"] is None else f"{figure['low']:.3f} to {figure['high']:.3f}"
    return f"{figure['value']:.4f}", small.replace("-", "\u2212")


def _plain(figure: Mapping[str, Any]) -> str:
    interval = "" if figure["low"] is None else f" ({_number(figure['low'])} to {_number(figure['high'])})"
    return _number(figure["value"]) + interval


def _number(value: float | None) -> str:
    return signed(value, _MINUS)


def _count(value: int | None) -> str:
    return _NONE if value is None else f"{value:,}"
