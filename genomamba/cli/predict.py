"""`genomamba predict MODEL`: what a model with a head says of sequences, or of a genome window by window."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from genomamba.classify.finetune_config import PredictConfig
from genomamba.cli.parsing import Parser
from genomamba.cli.process import prepare_process
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

SETTINGS: Final = settings_of(PredictConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: SETTINGS[name] for name in ("chrom_map", "cache_dir", "device", "threads")}

_EPILOG = """\
Positions are 0-based. A row has the likeliest class and the probability of each as p_CLASS; of numbers, the number. No
number depends on the other sequences.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "predict",
        "MODEL (--data FILE | --fasta FILE [--bed FILE | --window N]) --out FILE [options]",
        description="Write what a model with a head says of sequences, of stretches, or of windows of a genome.",
        epilog=_EPILOG,
    )
    help_text = "a run folder of genomamba finetune, another folder with a head, or OWNER/NAME on the Hugging Face hub"
    made.add_argument("model", metavar="MODEL", help=help_text)
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Predict, print what was written, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = PredictConfig(**made.given(SETTINGS, SHARED, namespace))
    prepare_process()
    from genomamba.classify.predict_session import predict

    predict(namespace.model, config, emit=functools.partial(print, flush=True))
    return 0
