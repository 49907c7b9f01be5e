"""`genomamba pipeline`: the Snakemake workflows that come along: list them, set one up in a folder, run it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from genomamba.cli.parsing import Parser
from genomamba.errors import ConfigError
from genomamba.settings import did_you_mean

__all__ = ["parser", "run"]

_ACTIONS: Final = ("list", "init", "run", "path", "schema")

_EPILOG = """\
  list                                  the workflows, a line each
  init NAME DIR                         configuration, sheet, profiles and example data, ready to run
  run NAME --config FILE [-- OPTION ..] run it in this folder; options of snakemake follow --
  path NAME                             its Snakefile: snakemake --snakefile "$(genomamba pipeline path NAME)" ...
  schema NAME                           JSON schema of its configuration
"""


class _Parser(Parser):
    """A parser that leaves what follows `--` as it is, in `options`."""

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Read the arguments up to `--`. Raises `ConfigError`."""
        words = list(argv)
        cut = words.index("--") if "--" in words else len(words)
        namespace = super().parse(words[:cut])
        namespace.options = words[cut + 1 :]
        return namespace


def parser() -> Parser:
    """Return the parser of this command."""
    made = _Parser(
        "pipeline",
        "{list,init,run,path,schema} [NAME] [DIR] [--config FILE] [-- SNAKEMAKE OPTION ...]",
        description="Snakemake workflows of the commands: list them, set one up in a folder, run it.",
        epilog=_EPILOG,
    )
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("action", metavar="ACTION", help=", ".join(_ACTIONS))
    made.add_argument("name", metavar="NAME", nargs="?", help="the workflow")
    made.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="init: a folder, new or empty")
    made.add_argument("--config", metavar="FILE", type=Path, help="run: YAML file of the configuration")
    return made


def run(argv: Sequence[str]) -> int:
    """Do what is asked, and return the exit code."""
    given = parser().parse(argv)
    actions: dict[str, Callable[[], int]] = {
        "list": _list,
        "init": lambda: _init(_name(given.name), given.folder),
        "run": lambda: _run(_name(given.name), given.config, given.options),
        "path": lambda: _path(_name(given.name)),
        "schema": lambda: _schema(_name(given.name)),
    }
    if given.action not in actions:
        hint = did_you_mean(given.action, _ACTIONS) or f"; it must be one of {', '.join(_ACTIONS)}"
        raise ConfigError(f"unrecognised action {given.action}{hint}")
    if given.options and given.action != "run":
        raise ConfigError("-- is for options of snakemake, which pipeline run takes")
    if given.folder is not None and given.action != "init":
        raise ConfigError(f"unexpected argument {str(given.folder)!r}; options of snakemake follow --")
    return actions[given.action]()


def _name(name: str | None) -> str:
    from genomamba.workflow.config import WORKFLOWS

    if name is None:
        raise ConfigError(f"no workflow; name one of {', '.join(WORKFLOWS)}")
    if name not in WORKFLOWS:
        hint = did_you_mean(name, WORKFLOWS) or f"; it must be one of {', '.join(WORKFLOWS)}"
        raise ConfigError(f"unrecognised workflow {name}{hint}")
    return name


def _list() -> int:
    from genomamba.workflow.config import WORKFLOWS

    width = max(map(len, WORKFLOWS))
    for name, workflow in WORKFLOWS.items():
        print(f"{name:<{width}}  {workflow.does}")
    return 0


def _init(name: str, folder: Path | None) -> int:
    from genomamba.workflow.folder import set_up

    if folder is None:
        raise ConfigError(f"no folder; name one, as in genomamba pipeline init {name} my_{name}")
    for file in set_up(name, folder):
        print(file)
    print(f"run it: cd {folder} && genomamba pipeline run {name} --config config/config.yaml", file=sys.stderr)
    return 0


def _run(name: str, config: Path | None, options: Sequence[str]) -> int:
    from genomamba.workflow.folder import run_workflow

    if config is None:
        raise ConfigError(f"no configuration; name it by --config, or make one: genomamba pipeline init {name} DIR")
    return run_workflow(name, config, options)


def _path(name: str) -> int:
    from genomamba.workflow.folder import snakefile_of

    print(snakefile_of(name))
    return 0


def _schema(name: str) -> int:
    from genomamba.workflow.schema import schema_text

    sys.stdout.write(schema_text(name))
    return 0
