"""`genomamba pretrain`: train a model on a genome, and leave a run folder."""

from __future__ import annotations

import argparse
import functools
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from genomamba.cli.parsing import Parser
from genomamba.cli.process import prepare_process
from genomamba.config import PretrainConfig
from genomamba.errors import RunError
from genomamba.settings import settings_of, to_yaml

__all__ = ["parser", "run"]

_EPILOG = """\
Every option may also be given as GENOMAMBA_NAME in the environment, or in the YAML file of --config; flags
win over the file, and the file over the environment. RUN/config.yaml is such a file. Empty text unsets, as in
--preset "".
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "pretrain",
        "[--fasta GENOME ...] [--out RUN] [options]",
        description="Train a Mamba on a genome, and leave a run folder that a person can read.",
        epilog=_EPILOG,
    )
    made.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="YAML file of options")
    made.add_argument("--print-config", action="store_true", help="print all options as YAML and stop")
    made.add_settings(settings_of(PretrainConfig).values())
    return made


def run(argv: Sequence[str]) -> int:
    """Train, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    _go_on_with_saved_config(namespace)
    config = PretrainConfig(**made.values(settings_of(PretrainConfig), namespace))
    if namespace.print_config:
        sys.stdout.write(to_yaml(config))
        return 0
    # A cluster may ask for a checkpoint before there is anything to keep.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    prepare_process()
    from genomamba.train.loop import pretrain

    show = functools.partial(print, flush=True)
    return pretrain(config, command=shlex.join(["genomamba", "pretrain", *argv]), emit=show)


def _go_on_with_saved_config(namespace: argparse.Namespace) -> None:
    """Where `--resume --out RUN` names a run and no file is given, RUN/config.yaml stands below all other sources."""
    given = vars(namespace)
    if given.get("resume") != "true" or "config" in given:
        return
    saved = Path(given.get("out", "")) / "config.yaml"
    if "out" in given and saved.is_file():
        namespace.saved = str(saved)
    elif "fasta" not in given and "genomes" not in given:
        where = given.get("out", "--resume")
        raise RunError(
            f"{where}: no run here to go on with; name one by --out, or give --fasta or --genomes to start it"
        )
