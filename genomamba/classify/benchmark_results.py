"""What a benchmark found: a table, words and a page, with what others report beside ours or apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from genomamba.classify.benchmark_config import REPEATS, BenchmarkConfig
from genomamba.classify.figures import NAMES
from genomamba.classify.published import Published, reason_apart, task_rows
from genomamba.files import atomic_file
from genomamba.report.benchmark_page import BenchmarkPage
from genomamba.report.classifier_page import Cell, Section
from genomamba.report.words import duration, signed

__all__ = ["TaskResult", "results_in_words", "results_page", "write_results_table"]

_NONE: Final = "\u2013"
_DIGITS: Final = 4
_RUN: Final = ("command", "genomamba", "commit", "cpu", "threads")


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What a task gave, and what others report of it: beside ours, or apart with the reason."""

    task: str
    figures: dict[str, Any]
    beside: list[Published]
    apart: list[tuple[Published, str]]

    @classmethod
    def of(cls, task: str, figures: dict[str, Any], config: BenchmarkConfig) -> TaskResult:
        """Sort what others report."""
        first = figures["contenders"][0]["members"][0]
        sequences = first["train"] + first["valid"] + first["test"]
        beside, apart = [], []
        for row in task_rows(task):
            reason = reason_apart(row, protocol=config.protocol, sequences=sequences, tested=first["test"])
            if reason:
                apart.append((row, reason))
            else:
                beside.append(row)
        return cls(task, figures, beside, apart)

    @property
    def main(self) -> str:
        """The figure that is compared."""
        return str(self.figures["main"])

    def over(self, contender: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the figure of a contender with its interval, and its mean and deviation over seeds."""
        return contender["figures"][self.main], contender["over_members"].get(self.main) or {}


def write_results_table(path: Path, results: list[TaskResult], config: BenchmarkConfig) -> None:
    """Write a line for each task and contender, ours or published."""
    header = (
        "task", "model", "kind", "protocol", "figure", "value", "low", "high", "deviation", "tested", "parameters",
        "comparable", "source",
    )  # fmt: skip
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write("\t".join(header) + "\n")
        for result in results:
            for one in result.figures["contenders"]:
                found, over = result.over(one)
                kind = "baseline" if one["is_baseline"] else "ours"
                numbers = (found["value"], found["low"], found["high"], over.get("deviation"))
                cells = [
                    result.task, one["name"], kind, config.protocol, result.main, *map(_six, numbers),
                    str(result.figures["sequences"]), _whole(one["parameters"]), "yes", "",
                ]  # fmt: skip
                file.write("\t".join(cells) + "\n")
            for row, reason in [*((row, "") for row in result.beside), *result.apart]:
                cells = [
                    result.task, row.model, "published", row.protocol, row.figure, _six(row.value), "", "", "",
                    str(row.tested), _whole(row.parameters), f"no: {reason}" if reason else "yes", row.source,
                ]  # fmt: skip
                file.write("\t".join(cells) + "\n")


def results_in_words(results: list[TaskResult]) -> str:
    """Return a table of text: a line a task, a column a contender, and the best that is published where comparable."""
    names = _contenders(results)
    header = ["", "figure", *names, "best published"]
    rows = [header]
    for result in results:
        best = max(result.beside, key=lambda row: row.value, default=None)
        values = []
        for name in names:
            one = _contender(result, name)
            values.append(_NONE if one is None else signed(result.over(one)[0]["value"], _DIGITS))
        told = _NONE if best is None else f"{best.value:.4f} {best.model}"
        rows.append([result.task, NAMES[result.main], *values, told])
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    apart = sum(len(result.apart) for result in results)
    if apart:
        lines.append(f"{apart} published figures are of other sequences or protocols; they stand apart in the table")
    return "\n".join(lines)


def _contenders(results: list[TaskResult]) -> list[str]:
    names: dict[str, None] = {}
    for result in results:
        names |= dict.fromkeys(one["name"] for one in result.figures["contenders"])
    return list(names)


def _contender(result: TaskResult, name: str) -> dict[str, Any] | None:
    return next((one for one in result.figures["contenders"] if one["name"] == name), None)


def results_page(
    model: str,
    name: str,
    results: list[TaskResult],
    failed: dict[str, str],
    config: BenchmarkConfig,
    run: dict[str, Any],
) -> BenchmarkPage:
    sections = [_ours(results), *(_published(result) for result in results if result.beside)]
    if any(result.apart for result in results):
        sections.append(_apart(results))
    seeds = REPEATS[config.protocol] if config.protocol != "given-split" else len(results[0].figures["seeds"])
    protocol = {
        "given-split": f"given-split: the parts of each task as it has them, {seeds} seed{'s' if seeds > 1 else ''}",
        "caduceus-5fold": "caduceus-5fold: one test part; five seeds, each with another tenth of the training part to"
        " validate on; the mean over the five",
    }[config.protocol]
    facts = {"model": model, "done": results[0].figures["what"], "protocol": protocol, "suite": str(config.suite)}
    facts |= {
        label: str(run[label]) for label in ("command", "genomamba", "commit", "cpu", "threads") if run.get(label)
    }
    above = sum(_is_above(result) for result in results)
    judged = sum(result.figures["best_baseline"] is not None for result in results)
    verdict = f"{len(results)} task{'s' if len(results) != 1 else ''} by the protocol {config.protocol}."
    if judged:
        verdict += f" On {above} of {judged} the model is above the best baseline by more than chance."
    return BenchmarkPage(
        name=name, verdict=verdict, sections=sections, failed=failed, facts=facts,
        headline=[("tasks", str(len(results))), ("protocol", config.protocol), ("method", config.method)],
    )  # fmt: skip


def _is_above(result: TaskResult) -> bool:
    difference = result.figures["differences"].get(result.main)
    return bool(difference and difference["low"] is not None and difference["low"] > 0)


def _ours(results: list[TaskResult]) -> Section:
    names = _contenders(results)
    rows = []
    for result in results:
        cells: list[Cell] = [(NAMES[result.main], f"{result.figures['sequences']:,} test")]
        for name in names:
            one = _contender(result, name)
            cells.append((_NONE, "") if one is None else _interval(result, one))
        difference = result.figures["differences"].get(result.main)
        if difference is None or difference["value"] is None:
            cells.append((_NONE, ""))
        else:
            told = f"{signed(difference['low'], _DIGITS)} to {signed(difference['high'], _DIGITS)}"
            cells.append((signed(difference["value"], _DIGITS), f"{result.figures['best_baseline']}: {told}"))
        leaked = result.figures["leaked"]
        clean = result.figures["contenders"][0]["without_leaks"]
        cells.append(
            (f"{leaked:,}", "" if clean is None else f"without: {signed(clean[result.main]['value'], _DIGITS)}")
        )
        cells.append((duration(sum(one["seconds"] for one in result.figures["contenders"])), ""))
        rows.append((result.task, False, cells))
    return Section(
        id="ours",
        title="This model and its baselines",
        text="Below each figure its 95 % interval, and the deviation over seeds where there are several.",
        header=["task", "figure", *names, "above the best baseline", "leaks", "time"],
        rows=rows,
        notes=[
            "The best baseline is the one with the least error inside train and valid; the test part has no say in it.",
            "The page of each task lies in its folder below members.",
        ],
    )


def _interval(result: TaskResult, one: dict[str, Any]) -> Cell:
    found, over = result.over(one)
    small = "" if found["low"] is None else f"{found['low']:.3f} to {found['high']:.3f}"
    if over.get("deviation") is not None:
        small += f", \u00b1 {over['deviation']:.3f}"
    return signed(found["value"], _DIGITS), small.replace("-", "\u2212")


def _published(result: TaskResult) -> Section:
    """Return one task's table: ours and what others report by the same protocol of the same sequences."""
    first = result.figures["contenders"][0]
    found = [(first["name"], first["parameters"], result.over(first)[0]["value"], True)]
    found += [(row.model, row.parameters, row.value, False) for row in result.beside]
    found.sort(key=lambda row: -row[2])
    return Section(
        id=f"published-{result.task}",
        title=f"{result.task}: beside what others report",
        text="The same sequences, by the same protocol.",
        header=["", NAMES[result.main], "weights"],
        rows=[
            (name, is_ours, [(signed(value, _DIGITS), ""), (_NONE if count is None else f"{count:,}", "")])
            for name, count, value, is_ours in found
        ],
        notes=_sources(result.beside),
    )


def _apart(results: list[TaskResult]) -> Section:
    """Return what others report by other protocols, or of other sequences: a row for each task and protocol."""
    every = [row for result in results for row, _ in result.apart]
    models = list(dict.fromkeys(row.model for row in every))
    rows, notes = [], []
    for result in results:
        for protocol in dict.fromkeys(row.protocol for row, _ in result.apart):
            of = {row.model: row for row, _ in result.apart if row.protocol == protocol}
            reason = next(reason for row, reason in result.apart if row.protocol == protocol)
            cells: list[Cell] = [(signed(of[name].value, 3) if name in of else _NONE, "") for name in models]
            rows.append((result.task, False, [(protocol, ""), *cells]))
            notes.append(f"{result.task}, {protocol}: {reason}.")
    return Section(
        id="apart",
        title="Not to be compared: other protocols, other sequences",
        text="What others report of tasks of these names; below, in what they differ.",
        header=["task", "protocol", *models],
        rows=rows,
        notes=[*notes, *_sources(every)],
    )


def _sources(rows: list[Published]) -> list[str]:
    by_source: dict[str, list[str]] = {}
    for row in rows:
        if row.model not in by_source.setdefault(row.source, []):
            by_source[row.source].append(row.model)
    return [f"{', '.join(models)}: {source}." for source, models in by_source.items()]


def _six(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _whole(value: int | None) -> str:
    return "" if value is None else str(value)
