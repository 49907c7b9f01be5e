"""One self-contained HTML page that holds runs against one another: curves, figures, and the settings that differ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from genomamba.errors import RunError
from genomamba.files import atomic_file
from genomamba.report import words
from genomamba.report.classifier_page import Section, templates
from genomamba.report.part_plots import draw_curves
from genomamba.report.run_files import Curve, RunFiles, read_pretraining

__all__ = ["write_comparison"]

SPLITS: Final = {"valid": "validation", "test": "test"}
PARTS: Final = {"by_genome": "genome", "by_class": "region class"}
# Where a run is and how it was started says nothing of what came of it.
LEFT_OUT: Final = frozenset({"out", "resume", "force", "dry_run", "cache_dir", "tensorboard"})
FACTS: Final = (
    "genomamba", "commit", "torch", "cpu", "gpu", "cuda", "device", "precision", "threads", "processes", "parallel",
)  # fmt: skip
NONE: Final = "\u2013"

Named = Mapping[str, RunFiles]


def write_comparison(folders: Sequence[Path], path: Path) -> Path:
    """Write a page that compares runs, and return its path. It needs no script and loads nothing from outside.

    Parameters
    ----------
    folders : sequence of Path
        Two run folders of `genomamba pretrain` or more, of runs that have ended or go on.
    path : Path
        The page.

    Raises
    ------
    RunError
        Where a folder is given twice or is no run folder, a file in it is damaged, or the page cannot be written.
    """
    real = [folder.resolve() for folder in folders]
    if twice := [folder for folder in folders if real.count(folder.resolve()) > 1]:
        raise RunError(f"{twice[0]}: is given twice; name each run once")
    runs = dict(zip(_names(real), map(read_pretraining, folders), strict=True))
    page = templates().get_template("comparison.html.jinja").render(
        names=list(runs),
        verdict=_verdict(runs),
        warnings=_warnings(runs),
        curves=_curves(runs),
        sections=[section for section in (_figures(runs), *_by_parts(runs), _settings(runs)) if section],
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _names(folders: Sequence[Path]) -> list[str]:
    """Return what tells the folders apart: their names, or as much of their paths as differs."""
    names = [folder.name for folder in folders]
    if len(set(names)) == len(names):
        return names
    common = Path(os.path.commonpath(folders))
    return [str(folder.relative_to(common)) for folder in folders]


def _verdict(runs: Named) -> str:
    """Say which run needs the fewest bits, where their figures can be held against one another."""
    if len({words.cost(run) for run in runs.values()}) > 1 or _differ(runs):
        return "Their held-out figures are of different kinds or of different bases, so that none is the best of them."
    for split in ("test", "valid"):
        bits = {name: found["bits_per_base"] for name, run in runs.items() if (found := _split(run, split))}
        if len(bits) == len(runs):
            best = min(bits, key=lambda name: bits[name])
            others = ", ".join(f"{name} {value:.4f}" for name, value in bits.items() if name != best)
            cost = words.cost(runs[best])
            return f"On the {SPLITS[split]}, {best} needs the fewest {cost}: {bits[best]:.4f}, against {others}."
    return "Not all of them have been scored on what they hold out."


def _split(run: RunFiles, split: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (run.evaluation or {}).get("splits", {}).get(split)
    return found


def _differ(runs: Named) -> bool:
    """Whether runs were held to different bases, as far as is known: other files, or parts of another size."""
    facts = [_held_out(run) for run in runs.values() if run.evaluation is not None]
    return any(one != facts[0] for one in facts)


def _held_out(run: RunFiles) -> list[Any]:
    config = run.config or {}
    # What is not named is drawn by the seed.
    is_named = all(config.get(split) or config.get(f"{split}_bed") for split in SPLITS)
    return [
        sorted(one["sha256"] for one in (run.facts or {}).get("inputs", [])),
        [(_split(run, split) or {}).get("bases") for split in SPLITS],
        [config.get(name) for name in ("valid", "test", "valid_bed", "test_bed")],
        None if is_named else config.get("seed"),
    ]


def _warnings(runs: Named) -> list[str]:
    told = [
        f"{name}: the run is {state}. {words.STATUS.get(state, '')}"
        for name, run in runs.items()
        if (state := words.state(run)) != "finished"
    ]
    told += [f"{name}: {file} is not there, {loss}" for name, run in runs.items() for file, loss in run.missing.items()]
    if len({words.cost(run) for run in runs.values()}) > 1:
        told.append("Models that predict the next base and models that fill in masked ones have figures of two kinds.")
    elif _differ(runs):
        told.append("Not all runs hold out the same bases: what their figures differ by may be due to those.")
    return told


def _curves(runs: Named) -> list[tuple[str, Markup]]:
    """Return the validation of all runs of a kind in one figure, against bases, and against time."""
    figures = []
    kinds = dict.fromkeys(words.cost(run) for run in runs.values())
    for cost in kinds:
        own = {name: run for name, run in runs.items() if words.cost(run) == cost}
        unit = words.unit(next(iter(own.values())))
        longest = max((_last(run.valid, "time_s") or 0.0 for run in own.values()), default=0.0)
        hours, minutes = ("hours of training", 1 / 3_600), ("minutes of training", 1 / 60)
        axes = (("bases", f"training {unit}s", 1.0), ("time_s", *(hours if longest > 7_200 else minutes)))
        for column, along, scale in axes:
            curves = {
                name: (run.valid[column] * scale, run.valid["bits_per_base"])
                for name, run in own.items()
                if np.isfinite(run.valid["bits_per_base"]).any()
            }
            if curves:
                title = f"Validation, {cost}, against {along}"
                figures.append((title, draw_curves(curves, cost=cost, along=along, inches=(6.8, 3.2))))
    return figures


def _figures(runs: Named) -> Section:
    rows = []
    for name, run in runs.items():
        facts = run.facts or {}
        cells = [
            *(_bits(run, split) for split in SPLITS),
            (_count(facts.get("parameters")), ""),
            (_count(facts.get("bases", _last(run.train, "bases"))), ""),
            (NONE if (seconds := _last(run.train, "time_s")) is None else words.duration(seconds), ""),
            (_count(_median(run.train, "bases_per_s")), ""),
            (words.share(_median(run.train, "peak_share")), ""),
            (words.state(run), ""),
        ]
        rows.append((name, False, cells))
    return Section(
        id="figures",
        title="What came of them",
        text="Speed and share of the device's peak are medians over the rows of training; the share is of what a "
        "matrix product reaches there. Fewer bits are better.",
        header=("run", *SPLITS.values(), "parameters", "training bases", "time", "bases/s", "of peak", "status"),
        rows=rows,
        notes=("Under a figure: its 95 % interval, and the figure of the best Markov model on the same bases.",
               "Runs scored on the same bases share much of what makes these wide: they are no test of a difference."),
    )  # fmt: skip


def _bits(run: RunFiles, split: str) -> tuple[str, str]:
    if (found := _split(run, split)) is None:
        return NONE, ""
    markov = words.markov_bits(run, split)
    beside = [words.interval(found), f"Markov {markov[words.best_order(run, split)]:.4f}" if markov else ""]
    return f"{found['bits_per_base']:.4f}", "; ".join(filter(None, beside))


def _by_parts(runs: Named) -> list[Section]:
    sections = []
    for key, what in PARTS.items():
        rows = [
            (f"{part}, {title}", False, [_part(run, split, key, part) for run in runs.values()])
            for split, title in SPLITS.items()
            for part in dict.fromkeys(
                part for run in runs.values() for part in (_split(run, split) or {}).get(key, {})
            )
        ]  # fmt: skip
        if rows:
            sections.append(
                Section(
                    id=key, title=f"By {what}", text="Bits, and the bases that they are over.", header=(what, *runs),
                    rows=rows,
                )
            )  # fmt: skip
    return sections


def _part(run: RunFiles, split: str, key: str, part: str) -> tuple[str, str]:
    found = (_split(run, split) or {}).get(key, {}).get(part)
    return (NONE, "") if found is None else (f"{found['bits_per_base']:.4f}", f"{found['bases']:,}")


def _settings(runs: Named) -> Section | None:
    """Return the settings, and the facts of machine and software, that are not the same in all runs."""
    rows = []
    configs, facts = [run.config or {} for run in runs.values()], [run.facts or {} for run in runs.values()]
    # Of what is in both, such as the device, the facts have what was asked for as it came out.
    asked = [name for values in configs for name in values if name not in (*LEFT_OUT, *FACTS)]
    for source, names in ((configs, asked), (facts, FACTS)):
        for name in dict.fromkeys(names):
            values = [None if one.get(name) == [] else one.get(name) for one in source]
            if any(value != values[0] for value in values):
                told = [_plain(value) for value in values]
                same = " (in another folder)" if len(set(told)) == 1 else ""
                rows.append((name, False, [(f"{text}{same if place else ''}", "") for place, text in enumerate(told)]))
    if not rows:
        return None
    return Section(
        id="settings",
        title="What differs",
        text="Settings, versions and machines that are not the same in all runs.",
        header=("setting", *runs),
        rows=rows,
    )


def _plain(value: Any) -> str:
    if value is None or value == []:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    # Pages are published: of files their names are told, as in the model card.
    return Path(value).name if isinstance(value, str) and os.path.isabs(value) else str(value)


def _count(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"


def _last(curve: Curve, name: str) -> float | None:
    known = curve[name][np.isfinite(curve[name])]
    return float(known[-1]) if known.size else None


def _median(curve: Curve, name: str) -> float | None:
    known = curve[name][np.isfinite(curve[name])]
    return float(np.median(known)) if known.size else None
