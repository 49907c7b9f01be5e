"""`genomamba likelihood MODEL`: log-likelihood of every base of a genome or a region, or of every sequence, in bits."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from genomamba.cli.parsing import MODEL_HELP, Parser
from genomamba.cli.process import prepare_process
from genomamba.score.config import LikelihoodConfig
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

SETTINGS: Final = settings_of(LikelihoodConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: SETTINGS[name] for name in ("fasta", "contigs", "chrom_map", "cache_dir", "device", "threads")}

_EPILOG = """\
The log-likelihood of a base is log2 of the probability that the model gives it after all bases before it: -2 is a guess
among four. Bases N are not scored. A command that was interrupted goes on, contig by contig, when it is given again.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "likelihood",
        "MODEL [--fasta GENOME ...] [--region chr1:1,001-2,000] [--per-record] --out FILE [options]",
        description="Write the log-likelihood of every base, or of every sequence, by a causal model, in bits.",
        epilog=_EPILOG,
    )
    made.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Score, print what was written, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = LikelihoodConfig(**made.given(SETTINGS, SHARED, namespace))
    prepare_process()
    from genomamba.score.session import likelihood

    likelihood(namespace.model, config, emit=functools.partial(print, flush=True))
    return 0
