"""Settings dataclasses as options: what each field is called and takes, and how its text is read.

A value reaches a setting as text, from a flag, an environment variable or a YAML file, and `Setting.read`
reads all three alike. YAML scalars are taken as they stand in the file: a contig `010` or `NO` keeps its
name, and `4e-3` is a number, where YAML's own rules have it otherwise.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import itertools
import math
import textwrap
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from genomamba.errors import ConfigError

__all__ = ["Setting", "did_you_mean", "from_yaml", "load_yaml", "read_environment", "settings_of", "to_yaml"]

T = TypeVar("T")

PREFIX: Final = "GENOMAMBA_"
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One field of a settings dataclass, as people meet it.

    Attributes
    ----------
    name, section, help : str
        The field, the heading it stands under, and its docstring.
    kind : type
        str, int, float or bool; of each item where `many`.
    choices : tuple of str
        The only texts allowed; empty for any.
    optional, many, splits : bool
        Whether None is allowed; whether it is a tuple; whether commas part the items of that tuple.
    default : Any
        Value where nothing is given.
    """

    name: str
    section: str
    help: str
    kind: type
    choices: tuple[str, ...]
    optional: bool
    many: bool
    splits: bool
    default: Any

    @property
    def flag(self) -> str:
        """The option on the command line, such as `--max-minutes`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable, such as `GENOMAMBA_MAX_MINUTES`."""
        return PREFIX + self.name.upper()

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[self.kind]

    def read(self, given: str | Sequence[str] | None, where: str) -> Any:
        """Turn text, or texts, into a value of this setting.

        Parameters
        ----------
        given : str, sequence of str, or None
            What was typed. None, and empty text, unset an optional setting.
        where : str
            The place it was typed at, for messages: `--context`, `run.yaml:3: context`.

        Raises
        ------
        ConfigError
            Where the text does not fit; the message gives the place, the text and what fits.
        """
        if self.many:
            texts = [given] if isinstance(given, str) else given or ()
            items = [item.strip() for text in texts for item in (text.split(",") if self.splits else [text])]
            return tuple(self._read_one(item, where) for item in items if item)
        if given is None or isinstance(given, str):
            return None if self.optional and not given else self._read_one(given or "", where)
        raise ConfigError(f"{where} is a list; it must be {self.expected}")

    def _read_one(self, text: str, where: str) -> Any:
        readers: dict[type, Callable[[str], Any]] = {int: _whole, float: _finite, bool: _boolean, str: _text}
        value = readers[self.kind](text)
        if value is None or (self.choices and value not in self.choices):
            nearest = did_you_mean(text, self.choices)
            raise ConfigError(f"{where} is {text!r}; it must be {self.expected}{nearest}")
        return value


@cache
def settings_of(cls: type) -> Mapping[str, Setting]:
    """Describe every field of a dataclass, in order, by name.

    A field's help is the docstring under it. `cls.SECTIONS`, where there is one, maps the first field of each
    section to its heading. Metadata `splits=False` keeps the commas in the items of a tuple.
    """
    hints, helps = get_type_hints(cls), _docstrings(cls)
    sections: Mapping[str, str] = getattr(cls, "SECTIONS", {})
    section, settings = "Options", {}
    for field in dataclasses.fields(cls):
        section = sections.get(field.name, section)
        settings[field.name] = Setting(
            name=field.name,
            section=section,
            help=helps[field.name],
            default=None if field.default is dataclasses.MISSING else field.default,
            splits=field.metadata.get("splits", True),
            **_shape(hints[field.name]),
        )
    return types.MappingProxyType(settings)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean NEAREST?`, or nothing where no known name is near."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def read_environment(settings: Iterable[Setting], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that `GENOMAMBA_*` variables give, by setting. Raises `ConfigError`."""
    given = [setting for setting in settings if setting.variable in environment]
    return {setting.name: setting.read(environment[setting.variable], setting.variable) for setting in given}


def to_yaml(config: Any) -> str:
    """Write a settings dataclass as YAML, one heading a section; `from_yaml` gives it back."""
    cls: type = type(config)
    blocks = []
    for section, settings in itertools.groupby(settings_of(cls).values(), key=lambda setting: setting.section):
        values = {s.name: getattr(config, s.name) for s in settings}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        blocks.append(f"# {section}\n" + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    return "\n".join(blocks)


def from_yaml(cls: type[T], text: str, source: str = "YAML") -> T:
    """Read what `to_yaml` wrote; fields that are left out keep their defaults. Raises `ConfigError`."""
    return cls(**_read_yaml(cls, text, source))


def load_yaml(cls: type, path: str | Path) -> dict[str, Any]:
    """Return the fields of a dataclass that a YAML file gives.

    Raises
    ------
    ConfigError
        Where the file cannot be read, is no YAML mapping, names a setting twice or one that does not exist,
        or holds a value that does not fit; the message starts with `file:line:`.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; --config needs a YAML file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not text; --config needs a YAML file") from None
    return _read_yaml(cls, text, str(path))


def _read_yaml(cls: type, text: str, source: str) -> dict[str, Any]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{source}:{line}: is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: is not YAML: {str(error).splitlines()[0]}") from None
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{source}:1: is not a list of settings; write one a line, as in context: 1024")
    settings, values = settings_of(cls), dict[str, Any]()
    for key, value in root.value:
        place = f"{source}:{key.start_mark.line + 1}:"
        if (name := str(key.value).replace("-", "_")) not in settings:
            raise ConfigError(f"{place} unrecognised setting {key.value}{did_you_mean(name, settings)}")
        if name in values:
            raise ConfigError(f"{place} {name} is set twice; keep one of the two")
        values[name] = settings[name].read(_texts(value, f"{place} {name}"), f"{place} {name}")
    return values


def _texts(node: yaml.Node, where: str) -> str | list[str] | None:
    if isinstance(node, yaml.ScalarNode):
        return None if node.style is None and node.value in _NULLS else str(node.value)
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return [str(item.value) for item in node.value]
    raise ConfigError(f"{where} holds a mapping or a list of lists; it must be one value or one list")


def _docstrings(cls: type) -> dict[str, str]:
    """Return the docstrings under the fields of a class; they win over those of its bases."""
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if dataclasses.is_dataclass(one):
            found |= _own_docstrings(one)
    return found


def _own_docstrings(cls: type) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }


def _shape(hint: Any) -> dict[str, Any]:
    inner = [item for item in get_args(hint) if item is not types.NoneType]
    optional, many = type(None) in get_args(hint), get_origin(hint) is tuple
    kind = inner[0] if optional or many else hint
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return {"optional": optional, "many": many, "choices": choices, "kind": str if choices else kind}


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        number = _finite(text)
        return int(number) if number is not None and number.is_integer() else None


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.lower())


def _text(text: str) -> str | None:
    return text or None
