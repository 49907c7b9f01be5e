"""`genomamba embed MODEL`: what a model makes of sequences, as numbers for each of them or for each base."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from genomamba.classify.config import DataConfig, EmbedConfig
from genomamba.cli.parsing import MODEL_HELP, Parser
from genomamba.cli.process import prepare_process
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

DATA: Final = settings_of(DataConfig)
SETTINGS: Final = settings_of(EmbedConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: DATA[name] for name in ("fasta", "chrom_map", "cache_dir")} | {
    name: SETTINGS[name] for name in ("device", "threads")
}

_EPILOG = """\
No number depends on the other sequences, on --chunk or on --shard, beyond rounding. A command that was interrupted goes
on when it is given again.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "embed",
        "MODEL (--data FILE | --fasta FILE [--bed FILE]) --out FILE [options]",
        description="Write the residual stream of a model over sequences, pooled over positions or base by base.",
        epilog=_EPILOG,
    )
    made.add_argument("model", metavar="MODEL", help=MODEL_HELP.removeprefix("a causal model: "))
    made.add_settings(DATA.values())
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Embed, print what was written, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = EmbedConfig(**made.given(SETTINGS, SHARED, namespace))
    data = DataConfig(**made.given(DATA, SHARED, namespace))
    prepare_process()
    from genomamba.classify.embedding_session import embed

    embed(namespace.model, config, data, emit=functools.partial(print, flush=True))
    return 0
