"""`genomamba finetune MODEL`: train a model, or a head over it, to tell labels from sequences."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.finetune_config import FinetuneConfig
from genomamba.cli.parsing import MODEL_HELP, Parser
from genomamba.cli.process import command_line, prepare_process
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

DATA: Final = settings_of(DataConfig)
PARTS: Final = settings_of(PartsConfig)
SETTINGS: Final = settings_of(FinetuneConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: DATA[name] for name in ("chrom_map", "cache_dir")} | {"threads": SETTINGS["threads"]}

_EPILOG = """\
MODEL may also be a preset (tiny, small, base, large, xl): a network that reads both directions, from random weights.
The run folder is a model with a head: genomamba predict and genomamba.SequenceClassifier.load read it, and other
commands the network under the head. A run that was stopped goes on, bit for bit, with --resume.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "finetune",
        "MODEL --data FILE --out RUN [options]",
        description="Train a model, or a head over it, on labelled sequences.",
        epilog=_EPILOG,
    )
    made.add_argument("model", metavar="MODEL", help=MODEL_HELP.removeprefix("a causal model: "))
    made.add_settings(DATA.values())
    made.add_settings(PARTS.values())
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Train, print the figures of what tests, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = FinetuneConfig(**made.given(SETTINGS, SHARED, namespace))
    data = DataConfig(**made.given(DATA, SHARED, namespace))
    parts = PartsConfig(**made.given(PARTS, SHARED, namespace))
    prepare_process()
    from genomamba.classify.finetuning import finetune

    show = functools.partial(print, flush=True)
    return finetune(namespace.model, config, data, parts, command=command_line("finetune", argv), emit=show)
