"""`genomamba report RUN [RUN ...]`: write the HTML report of a run folder, or a page that compares runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from genomamba.cli.parsing import Parser
from genomamba.errors import RunError

__all__ = ["parser", "run"]

COMPARISON: Final = Path("comparison.html")


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "report",
        "RUN [RUN ...] [--out FILE] [--force]",
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
    made.add_argument(
        "--force", action="store_true", help="replace --out; without --out RUN/report.html is replaced in any case"
    )
    return made


def run(argv: Sequence[str]) -> int:
    """Write the page, and return the exit code. Raises `RunError` where the page would replace another file."""
    given = parser().parse(argv)
    several = len(given.runs) > 1
    out: Path | None = getattr(given, "out", COMPARISON if several else None)
    if out is not None and out.exists() and not given.force:
        raise RunError(f"{out}: exists; give --force to replace it, or another --out")
    if several:
        from genomamba.report.comparison_page import write_comparison

        assert out is not None
        print(write_comparison(given.runs, out))
    else:
        from genomamba.report.page import write_report

        print(write_report(given.runs[0], out))
    return 0
