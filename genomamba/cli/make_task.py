"""`genomamba make-task`: labelled sequences from the annotation of a genome."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from genomamba.classify.config import TaskConfig
from genomamba.cli.parsing import Parser
from genomamba.cli.process import prepare_process
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

SETTINGS: Final = settings_of(TaskConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: SETTINGS[name] for name in ("fasta", "contigs", "chrom_map", "cache_dir")}

_EPILOG = """\
Background has the letters of the site at the same place (GT of a donor, ATG of a start codon), or lies outside of genes
(CDS), or anywhere else; no window of it overlaps one on the feature.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "make-task",
        "--fasta GENOME --gff GENES --feature splice_donor --out task.tsv [options]",
        description="Write windows on a feature of an annotation, and as many that are like them but for it.",
        epilog=_EPILOG,
    )
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Make the table, print what was found, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = TaskConfig(**made.given(SETTINGS, SHARED, namespace))
    prepare_process()
    from genomamba.classify.task import make_task

    make_task(config, emit=functools.partial(print, flush=True))
    return 0
