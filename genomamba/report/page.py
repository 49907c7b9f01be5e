"""One self-contained HTML page for a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
from markupsafe import Markup

from genomamba.files import atomic_file
from genomamba.report import plots, words
from genomamba.report.part_plots import PartCost, draw_curves, draw_parts
from genomamba.report.run_files import RunFiles, read_pretraining

__all__ = ["write_report"]

FILE_NAME: Final = "report.html"
MAX_ROWS: Final = 400
FOLDED_ABOVE: Final = 12
SPLITS: Final = {"train": "training", "valid": "validation", "test": "test"}
FACTS: Final = {
    "command": "command",
    "genomamba": "genomamba",
    "commit": "commit",
    "python": "Python",
    "torch": "PyTorch",
    "numba": "numba",
    "platform": "platform",
    "cpu": "CPU",
    "gpu": "GPU",
    "cuda": "CUDA or ROCm",
    "device": "device",
    "precision": "precision",
    "threads": "threads",
    "processes": "processes",
    "parallel": "parted as",
}
TIMES: Final = {"started": "started", "finished": "ended"}


def write_report(run: Path, path: Path | None = None) -> Path:
    """Write the report of a run folder, from the files that are there.

    The page says what is missing. It needs no script and loads nothing from outside.

    Parameters
    ----------
    run : Path
        Run folder of `genomamba pretrain`, of a run that has ended or goes on.
    path : Path, optional
        The page. Default: `report.html` in the folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    RunError
        Where the folder is no run folder, a file in it is damaged, or the page cannot be written.
    """
    page = render(read_pretraining(run))
    path = path or run / FILE_NAME
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def render(run: RunFiles) -> str:
    """Return the page as text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("genomamba.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": words.duration,
        "size": words.size,
        "share": words.share,
        "interval": words.interval,
    }
    status = words.state(run)
    return environment.get_template("page.html.jinja").render(
        name=run.folder.resolve().name,
        verdict=words.verdict(run),
        status=status,
        status_sentence=words.STATUS.get(status),
        missing=run.missing,
        unit=words.unit(run),
        cost=words.cost(run),
        headline=_headline(run),
        learning=_learning(run),
        parts=_parts(run),
        quantities=_quantities(run),
        heldout=_heldout(run),
        card=_card(run),
        config={} if run.config is None else {name: _plain(value) for name, value in run.config.items()},
        facts=_facts(run),
        inputs=words.files(run.facts or run.card or {}),
    )


def _headline(run: RunFiles) -> list[tuple[str, str]]:
    """Return the few numbers that stand at the top: what it is, and its value."""
    facts = run.facts or {}
    last = {name: values[-1] for name, values in run.train.items() if values.size}
    # While a run goes on, the totals in run.json are absent, or those of an earlier stop.
    totals = {} if words.state(run) == "running" else facts
    steps = totals.get("steps", last.get("step"))
    bases = totals.get("bases", last.get("bases"))
    seconds = totals.get("elapsed_s", last.get("time_s"))
    numbers = [
        ("parameters", None if facts.get("parameters") is None else f"{facts['parameters']:,}"),
        (f"training {words.unit(run)}s", None if bases is None else f"{bases:,.0f}"),
        ("steps", None if steps is None else f"{steps:,.0f}"),
        ("time", None if seconds is None else words.duration(seconds)),
    ]
    return [(label, value) for label, value in numbers if value is not None]


def _learning(run: RunFiles) -> Markup | None:
    train, valid = ((curve["bases"], curve["bits_per_base"]) for curve in (run.train, run.valid))
    if not (np.isfinite(train[1]).any() or np.isfinite(valid[1]).any()):
        return None
    markov = words.markov_bits(run, "valid")
    if not markov:
        return plots.draw_learning(train, valid, None, words.cost(run), words.unit(run))
    order = words.best_order(run, "valid")
    level = (f"Markov, order {order}, on validation", markov[order])
    return plots.draw_learning(train, valid, level, words.cost(run), words.unit(run))


def _quantities(run: RunFiles) -> list[Markup]:
    titles = {"learning_rate": "learning rate", "bases_per_s": f"{words.unit(run)}s per second",
              "peak_share": "share of the device's peak"}  # fmt: skip
    return [
        plots.draw_quantity(run.train["bases"], run.train[name], title, words.unit(run))
        for name, title in titles.items()
        if np.isfinite(run.train[name]).any()
    ]


def _parts(run: RunFiles) -> list[tuple[str, Markup]]:
    """Return the curves of validation by genome and by class: what they are, and the figure."""
    kinds = {
        "genome": {genome: curve for (genome, name), curve in run.parts.items() if not name},
        "region class": {name: curve for (genome, name), curve in run.parts.items() if not genome},
    }
    return [
        (
            kind,
            draw_curves(
                {name: (curve["bases"], curve["bits_per_base"]) for name, curve in curves.items()},
                cost=words.cost(run), along=f"training {words.unit(run)}s", inches=(6.8, 3.0),
            ),
        )
        for kind, curves in kinds.items()
        if curves
    ]  # fmt: skip


def _classes(run: RunFiles, splits: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the figures by region class, beside those of the Markov model, as rows and as a figure."""
    assert run.evaluation is not None
    markov = (run.evaluation.get("markov") or {}).get("by_class", {})
    rows = [
        {"split": name, "name": one, "markov": markov.get(name, {}).get(one), **figures}
        for name, split in splits.items()
        for one, figures in split.get("by_class", {}).items()
    ]
    if not rows:
        return None
    panels: dict[str, list[PartCost]] = {}
    for row in rows:
        panels.setdefault(SPLITS[row["split"]], []).append(PartCost(row["name"], row["bits_per_base"], row["markov"]))
    figure = draw_parts(panels, words.cost(run), "region class")
    return {"rows": [row | {"split": SPLITS[row["split"]]} for row in rows], "figure": figure, "markov": bool(markov)}


def _heldout(run: RunFiles) -> dict[str, Any] | None:
    """Return the held-out figures: splits, Markov rows, their figure, and contigs."""
    if run.evaluation is None:
        return None
    splits = {name: run.evaluation["splits"][name] for name in SPLITS if run.evaluation["splits"].get(name)}
    markov = {name: words.markov_bits(run, name) for name in splits}
    compared = {name: bits for name, bits in markov.items() if bits}
    contigs, genomes = (
        [
            {"split": SPLITS[name], "name": one, **figures}
            for name, split in splits.items()
            for one, figures in split.get(kind, {}).items()
        ]
        for kind in ("by_contig", "by_genome")
    )
    return {
        "evaluation": run.evaluation,
        "titles": {name: SPLITS[name] for name in splits},
        "splits": splits,
        "markov": compared,
        "orders": sorted({order for bits in compared.values() for order in bits}),
        "best": {name: words.best_order(run, name) for name in compared},
        "figure": _comparison(run, splits, compared),
        "genomes": genomes,
        "classes": _classes(run, splits),
        "contigs": _shorten(contigs, "bases"),
    }


def _comparison(run: RunFiles, splits: dict[str, dict[str, Any]], markov: dict[str, dict[int, float]]) -> Markup | None:
    panels = {
        f"{SPLITS[name]}: {splits[name]['bases']:,} {words.unit(run)}s": (splits[name]["bits_per_base"], bits)
        for name, bits in markov.items()
    }
    return plots.draw_bits_by_order(panels, words.unit(run)) if panels else None


def _facts(run: RunFiles) -> dict[str, str]:
    facts = run.facts or {}
    shown = {label: _plain(facts[name]) for name, label in FACTS.items() if name in facts}
    times = {label: words.moment(facts[name]) for name, label in TIMES.items() if name in facts}
    return shown | times


def _card(run: RunFiles) -> dict[str, Any] | None:
    if run.card is None:
        return None
    return {
        "splits": {SPLITS[name]: run.card["splits"][name] for name in SPLITS if name in run.card["splits"]},
        "classes": [
            {"name": name} | {SPLITS[part]: counts.get(name) for part, counts in classes.items()}
            for classes in [run.card.get("classes", {})]
            for name in dict.fromkeys(name for counts in classes.values() for name in counts)
        ],
        "genomes": [
            {"name": genome["name"], "drawn": genome["share"], "split": SPLITS[name], **genome["splits"][name]}
            for genome in run.card.get("genomes", [])
            for name in SPLITS
            if genome["splits"][name]["bases"]
        ],
        "contigs": _shorten(run.card["contigs"], "length"),
        "excluded": _shorten(run.card["excluded"], "length"),
    }


def _shorten(rows: Sequence[dict[str, Any]], by: str) -> dict[str, Any]:
    """Keep a list readable: all rows, or the largest of very many; folded where it is long."""
    shown = list(rows) if len(rows) <= MAX_ROWS else sorted(rows, key=lambda row: -row[by])[:MAX_ROWS]
    return {"rows": shown, "total": len(rows), "is_folded": len(rows) > FOLDED_ABOVE}


def _plain(value: Any) -> str:
    if value is None or value == []:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
