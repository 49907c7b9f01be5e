"""`genomamba ism MODEL`: what a model says of every change of one base in a region, as a table and a picture."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Final

from genomamba.cli.parsing import MODEL_HELP, Parser
from genomamba.cli.process import prepare_process
from genomamba.score.variants.mutations_config import MutagenesisConfig
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

SETTINGS: Final = settings_of(MutagenesisConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: SETTINGS[name] for name in ("chrom_map", "cache_dir", "device", "threads")}

_EPILOG = """\
In-silico saturation mutagenesis. The numbers are those that genomamba score gives the same variants; the table has them
as VCF would, with the first changed base in the column site. Bases other than A, C, G and T have no rows.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "ism",
        "MODEL --fasta GENOME.fa --region chr1:1,001-1,200 [--gff GENES.gff3] --out ISM.tsv [options]",
        description="Score every substitution of a base and every deletion in a region, and draw them.",
        epilog=_EPILOG,
    )
    made.add_argument("model", metavar="MODEL", help=MODEL_HELP.removeprefix("a causal model: "))
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Score, say what was written, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = MutagenesisConfig(**made.given(SETTINGS, SHARED, namespace))
    prepare_process()
    from genomamba.score.variants.mutations_session import mutagenesis

    # Standard output may be taken by the table.
    mutagenesis(namespace.model, config, emit=functools.partial(print, file=sys.stderr, flush=True))
    return 0
