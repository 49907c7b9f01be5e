"""`genomamba report RUN [RUN ...]`: write the HTML report of a run folder, or a page that compares runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from genomamba.cli.parsing import Parser

__all__ = ["parser", "run"]

COMPARISON: Final = Path("comparison.html")


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "report",
        "RUN [RUN ...] [--out FILE]",
        description="Write the HTML report of a run folder, or one page that compares several, and print its path.",
    )
    made.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="run folder that pretrain left")
    made.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=argparse.SUPPRESS,
        help="page to write. Default: RUN/report.html of one run, comparison.html of several",
    )
    return made


def run(argv: Sequence[str]) -> int:
    """Write the page, and return the exit code."""
    given = parser().parse(argv)
    out: Path | None = getattr(given, "out", None)
    if len(given.runs) > 1:
        from genomamba.report.comparison_page import write_comparison

        print(write_comparison(given.runs, out or COMPARISON))
    else:
        from genomamba.report.page import write_report

        print(write_report(given.runs[0], out))
    return 0
