"""`genomamba calibrate MODEL`: what scores variants of each mutational class have, kept beside the model."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from genomamba.cli.parsing import MODEL_HELP, Parser
from genomamba.cli.process import prepare_process
from genomamba.score.variants.config import CalibrateConfig
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

SETTINGS: Final = settings_of(CalibrateConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: SETTINGS[name] for name in ("chrom_map", "cache_dir", "device", "threads")}

_EPILOG = """\
genomamba score then writes GM_PCT and GM_Z: where a score stands among those of the variants of its class, which are
its three bases, ALT and soft-mask, or its kind, length and soft-mask. docs/reference/variants.md has the rest.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "calibrate",
        "MODEL --fasta REF.fa [--vcf COMMON.vcf.gz | --number N] [--out FILE] [options]",
        description="Fit the background of scores by mutational class, to random or to given variants.",
        epilog=_EPILOG,
    )
    made.add_argument("model", metavar="MODEL", help=MODEL_HELP.removeprefix("a causal model: "))
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Score the background, write the file, print a table of kinds, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = CalibrateConfig(**made.given(SETTINGS, SHARED, namespace))
    prepare_process()
    from genomamba.score.variants.calibrate import calibrate

    calibrate(namespace.model, config, emit=functools.partial(print, flush=True))
    return 0
