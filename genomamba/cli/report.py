"""`genomamba report RUN`: write the HTML report of a run folder, and print its path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genomamba.cli.parsing import Parser

__all__ = ["parser", "run"]


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser("report", "RUN", description="Write the HTML report of a run folder, and print its path.")
    made.add_argument("run", metavar="RUN", type=Path, help="run folder that pretrain left")
    return made


def run(argv: Sequence[str]) -> int:
    """Write the report, and return the exit code."""
    folder: Path = parser().parse(argv).run
    from genomamba.report.page import write_report

    print(write_report(folder))
    return 0
