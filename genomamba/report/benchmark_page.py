"""One self-contained HTML page for a benchmark: tasks, contenders, and what others report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genomamba.files import atomic_file
from genomamba.report.classifier_page import Section, templates

__all__ = ["BenchmarkPage", "write_benchmark_page"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkPage:
    """All that the page says.

    Attributes
    ----------
    name, verdict : str
        Its heading, and the sentence under it.
    headline : sequence of (label, value)
    sections : sequence of Section
        Tables, in order.
    failed : mapping of str to str
        Tasks that gave no result, and why.
    facts : mapping of str to str
        Protocol, suite, command, versions.
    """

    name: str
    verdict: str
    headline: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    failed: Mapping[str, str]
    facts: Mapping[str, str]


def write_benchmark_page(page: BenchmarkPage, path: Path) -> None:
    """Write the page. It needs no script, and loads nothing from outside.

    Raises
    ------
    RunError
        Where the file cannot be written.
    """
    text = templates().get_template("benchmark.html.jinja").render(page=page)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
