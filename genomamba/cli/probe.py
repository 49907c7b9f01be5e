"""`genomamba probe MODEL`: how much of a question a model's embeddings answer, beside baselines."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.probe_config import ProbeConfig
from genomamba.cli.parsing import MODEL_HELP, Parser
from genomamba.cli.process import command_line, prepare_process
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

DATA: Final = settings_of(DataConfig)
PARTS: Final = settings_of(PartsConfig)
SETTINGS: Final = settings_of(ProbeConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: DATA[name] for name in ("chrom_map", "cache_dir")} | {
    name: SETTINGS[name] for name in ("device", "threads")
}

_EPILOG = """\
MODEL may also be a preset (tiny, small, base, large, xl): a network that reads both directions, from random weights.
The strength of the probe is chosen by cross-validation in train and valid; the test part is read once. A probe by
logistic or ridge regression is saved as a model with a head, which genomamba predict reads.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "probe",
        "MODEL --data FILE --out RUN [options]",
        description="Fit a classifier on the frozen embeddings of a model, and hold it against baselines.",
        epilog=_EPILOG,
    )
    made.add_argument("model", metavar="MODEL", help=MODEL_HELP.removeprefix("a causal model: "))
    made.add_settings(DATA.values())
    made.add_settings(PARTS.values())
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Probe, print the figures of what tests, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = ProbeConfig(**made.given(SETTINGS, SHARED, namespace))
    data = DataConfig(**made.given(DATA, SHARED, namespace))
    parts = PartsConfig(**made.given(PARTS, SHARED, namespace))
    prepare_process()
    from genomamba.classify.probing import probe

    show = functools.partial(print, flush=True)
    probe(namespace.model, config, data, parts, command=command_line("probe", argv), emit=show)
    return 0
