"""Options from settings: refusals of one line, and the order defaults, environment, file, flags."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

from genomamba.config import PretrainConfig
from genomamba.errors import ConfigError
from genomamba.recipes import RecipeChoice
from genomamba.settings import PREFIX, Setting, did_you_mean, load_yaml, read_environment, settings_of

__all__ = ["MODEL_HELP", "Parser"]

MODEL_HELP: Final = "a causal model: run folder, checkpoint folder, or OWNER/NAME on the Hugging Face hub"

# Read by the tests and the benchmarks, so a user of both may have them set.
_OTHER_VARIABLES: Final = ("GENOMAMBA_DATA",)
_METAVARS: Final = {int: "N", float: "X"}


class Parser(argparse.ArgumentParser):
    """argparse that raises `ConfigError`, takes `--max_minutes` for `--max-minutes`, and no abbreviations.

    Parameters
    ----------
    command : str
        The subcommand, such as `pretrain`.
    arguments : str
        What the usage line shows after it.
    description, epilog : str
        Text above and below the options.
    """

    def __init__(self, command: str, arguments: str, *, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=f"genomamba {command}",
            usage=f"genomamba {command} {arguments}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
        )

    def add_settings(self, settings: Iterable[Setting]) -> None:
        """Give every setting its flag, under the heading of its section."""
        groups: dict[str, argparse._ArgumentGroup] = {}
        for setting in settings:
            if setting.section not in groups:
                groups[setting.section] = self.add_argument_group(setting.section)
            _add_flag(groups[setting.section], setting)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Read the arguments; what is not given is absent from the result.

        Raises
        ------
        ConfigError
            For an option, an argument or a `GENOMAMBA_*` variable that does not exist; it names the nearest.
        """
        namespace, strays = self.parse_known_args([_dashed(argument) for argument in argv])
        if strays:
            self._refuse(strays)
        _check_environment(os.environ)
        return namespace

    def values(self, settings: Mapping[str, Setting], namespace: argparse.Namespace) -> dict[str, Any]:
        """Merge what the environment, the file of `--config` and the flags give; the last of them wins."""
        saved = getattr(namespace, "saved", None)
        values = load_yaml(PretrainConfig, saved) if saved else {}
        values |= read_environment(settings.values(), os.environ)
        if path := getattr(namespace, "config", None):
            values |= load_yaml(PretrainConfig, path)
        return values | self.flags(settings, namespace)

    def flags(self, settings: Mapping[str, Setting], namespace: argparse.Namespace) -> dict[str, Any]:
        """Return what the flags alone give, for settings that other commands give another meaning."""
        given = {name: text for name, text in vars(namespace).items() if name in settings}
        return {name: settings[name].read(text, settings[name].flag) for name, text in given.items()}

    def given(
        self, settings: Mapping[str, Setting], shared: Mapping[str, Setting], namespace: argparse.Namespace
    ) -> dict[str, Any]:
        """Return what flags give, and of those settings that mean the same to every command, the environment too."""
        own = {name: setting for name, setting in shared.items() if name in settings}
        return self.values(own, namespace) | self.flags(settings, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise `ConfigError` in place of printing the usage and leaving."""
        raise ConfigError(f"{message.removeprefix('argument ')}; see {self.prog} -h")

    def _refuse(self, strays: Sequence[str]) -> NoReturn:
        option = next((stray.partition("=")[0] for stray in strays if stray.startswith("-")), None)
        if option is None:
            takes_fasta = "--fasta" in self._option_string_actions
            advice = f"did you mean --fasta {strays[0]}?" if takes_fasta else f"see {self.prog} -h"
            raise ConfigError(f"unexpected argument {strays[0]!r}; {advice}")
        hint = did_you_mean(option, self._option_string_actions) or f"; see {self.prog} -h"
        if option == "--fasta" and any(action.dest == "fasta" for action in self._get_positional_actions()):
            hint = f"; the files come by themselves: {self.prog} FASTA ..."
        raise ConfigError(f"unrecognised option {option}{hint}")


def _add_flag(group: argparse._ArgumentGroup, setting: Setting) -> None:
    text = setting.help.replace("%", "%%")
    common: dict[str, Any] = {"dest": setting.name, "default": argparse.SUPPRESS}
    if setting.kind is bool:
        group.add_argument(setting.flag, action="store_const", const="true", help=text, **common)
        negative = f"--no-{setting.flag.removeprefix('--')}"
        group.add_argument(negative, action="store_const", const="false", help=argparse.SUPPRESS, **common)
        return
    if setting.default not in (None, ()):
        default = ",".join(map(str, setting.default)) if setting.many else setting.default
        text += f" (default: {default})"
    metavar = f"{{{','.join(setting.choices)}}}" if setting.choices else _METAVARS.get(setting.kind)
    many: dict[str, Any] = {"nargs": "+", "action": "extend"} if setting.many else {}
    group.add_argument(setting.flag, metavar=metavar, help=text, **common, **many)


def _dashed(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


def _check_environment(environment: Mapping[str, str]) -> None:
    settings = [*settings_of(PretrainConfig).values(), *settings_of(RecipeChoice).values()]
    known = {setting.variable for setting in settings} | set(_OTHER_VARIABLES)
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known:
            hint = did_you_mean(variable, sorted(known)) or "; unset it"
            raise ConfigError(f"unrecognised environment variable {variable}{hint}")
