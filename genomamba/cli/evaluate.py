"""`genomamba evaluate MODEL`: bits per base of the same held-out bases, with more and more context."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from genomamba.cli.parsing import Parser
from genomamba.cli.process import prepare_process
from genomamba.score.config import EvaluateConfig
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

SETTINGS: Final = settings_of(EvaluateConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: SETTINGS[name] for name in ("fasta", "contigs", "chrom_map", "cache_dir", "device", "threads")}

_EPILOG = """\
The same blocks of bases are scored with every context, so that the differences between contexts are known far better
than the figures themselves. Intervals come from drawing the blocks anew. A command with --out that was interrupted goes
on when it is given again. docs/reference/evaluate.md says what a context is.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "evaluate",
        "MODEL [--fasta GENOME ...] [--region REGION | --bed BED] [--contexts 1024,8192,...] [--out FOLDER] [options]",
        description="Print what a held-out base costs, in bits, with more and more context: does long context help?",
        epilog=_EPILOG,
    )
    made.add_argument(
        "model", metavar="MODEL", help="run folder, checkpoint folder, or OWNER/NAME on the Hugging Face hub"
    )
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Score, print the table, write the files that are asked for, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = EvaluateConfig(**made.given(SETTINGS, SHARED, namespace))
    prepare_process()
    from genomamba.score.evaluation import evaluate

    evaluate(namespace.model, config, emit=functools.partial(print, flush=True))
    return 0
