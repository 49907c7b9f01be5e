"""`genomamba pretrain`: train a model on a genome, and leave a run folder."""

from __future__ import annotations

import argparse
import functools
import os
import shlex
import signal
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from genomamba.cli.parsing import Parser
from genomamba.cli.process import prepare_process
from genomamba.config import PretrainConfig
from genomamba.errors import RunError
from genomamba.recipes import RECIPES, RecipeChoice, RecipeName, defaults_of
from genomamba.settings import read_environment, settings_of, to_yaml

__all__ = ["parser", "run"]

_EPILOG = """\
Every option may also be given as GENOMAMBA_NAME in the environment, or, --recipe aside, in the YAML file of
--config; flags win over the file, the file over the environment, and that over the recipe. RUN/config.yaml is
such a file. Empty text unsets, as in --preset "".
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
    (recipe,) = settings_of(RecipeChoice).values()
    named = f"{{{','.join(recipe.choices)}}}"
    made.add_argument("--recipe", metavar=named, default=argparse.SUPPRESS, help=recipe.help)
    made.add_argument("--print-config", action="store_true", help="print all options as YAML and stop")
    made.add_settings(settings_of(PretrainConfig).values())
    return made


def run(argv: Sequence[str]) -> int:
    """Train, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    _go_on_with_saved_config(namespace)
    values, recipe = made.values(settings_of(PretrainConfig), namespace), _recipe(made, namespace)
    config = PretrainConfig(**defaults_of(recipe, values) | values)
    if namespace.print_config:
        sys.stdout.write(_source(recipe) + to_yaml(config))
        return 0
    # A cluster may ask for a checkpoint before there is anything to keep.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    prepare_process()
    from genomamba.train.loop import pretrain

    show = functools.partial(print, flush=True)
    return pretrain(config, command=shlex.join(["genomamba", "pretrain", *argv]), emit=show)


def _recipe(made: Parser, namespace: argparse.Namespace) -> RecipeName | None:
    """Return the recipe that the flag names, or else the environment."""
    choice = settings_of(RecipeChoice)
    return RecipeChoice(**read_environment(choice.values(), os.environ) | made.flags(choice, namespace)).recipe


def _source(recipe: RecipeName | None) -> str:
    """Return where the settings of a recipe come from, as comments above YAML."""
    paragraphs = [] if recipe is None else [f"{recipe}. {RECIPES[recipe].source[0]}", *RECIPES[recipe].source[1:]]
    return "".join(f"# {line}\n" for text in paragraphs for line in textwrap.wrap(text, 110)) + ("\n" if recipe else "")


def _go_on_with_saved_config(namespace: argparse.Namespace) -> None:
    """Where `--resume --out RUN` names a run and no file is given, RUN/config.yaml stands below all other sources."""
    given = vars(namespace)
    if given.get("resume") != "true" or "config" in given:
        return
    saved = Path(given.get("out", "")) / "config.yaml"
    if "out" in given and saved.with_name("data.yaml").is_file():
        raise RunError(f"{saved.parent}: holds a classifier, which goes on by the command that began it")
    if "out" in given and saved.is_file():
        namespace.saved = str(saved)
    elif "fasta" not in given and "genomes" not in given:
        where = given.get("out", "--resume")
        raise RunError(
            f"{where}: no run here to go on with; name one by --out, or give --fasta or --genomes to start it"
        )
