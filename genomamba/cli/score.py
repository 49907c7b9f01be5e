"""`genomamba score MODEL`: what a model says of the variants of a VCF, as an annotated VCF or a table."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from typing import Final

from genomamba.cli.parsing import MODEL_HELP, Parser
from genomamba.cli.process import command_line, prepare_process
from genomamba.score.variants.config import ScoreConfig
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

SETTINGS: Final = settings_of(ScoreConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: SETTINGS[name] for name in ("chrom_map", "cache_dir", "device", "threads")}

_EPILOG = """\
Scores are written into INFO, as GM_LLR and so on, with GM_STATUS for alleles that have none; every other byte of a
record stays as it is. No number depends on other variants, on --batch-size or on --shard.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "score",
        "MODEL --fasta REF.fa --vcf CALLS.vcf.gz --out SCORED.vcf.gz [options]",
        description="Score the variants of a VCF: log-likelihood ratio of each allele, or what a masked model says.",
        epilog=_EPILOG,
    )
    made.add_argument("model", metavar="MODEL", help=MODEL_HELP.removeprefix("a causal model: "))
    made.add_argument("-O", dest="output_type", metavar="{v,z,b}", default=argparse.SUPPRESS, help="as --output-type")
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Score, say what was written, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = ScoreConfig(**made.given(SETTINGS, SHARED, namespace))
    prepare_process()
    from genomamba.score.variants.session import score

    # Standard output may be taken by the records.
    score(
        namespace.model,
        config,
        command=command_line("score", argv),
        emit=functools.partial(print, file=sys.stderr, flush=True),
    )
    return 0
