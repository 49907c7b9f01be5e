"""JSON schemas of the configurations of workflows, made from the dataclasses that the command line is made from."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

from genomamba.recipes import RecipeChoice
from genomamba.score.variants.config import ScoreConfig
from genomamba.settings import Setting, settings_of
from genomamba.workflow.config import GIVEN, STUDY, WORKFLOWS

__all__ = ["schema_of", "schema_text"]

NAME: Final = r"^[\w.-]+$"
"""What names a folder or a file of the results."""


def schema_of(name: str) -> dict[str, Any]:
    """Return the schema of the configuration of a workflow; nothing that it does not name may stand there."""
    workflow = WORKFLOWS[name]
    own = settings_of(workflow.settings)
    properties = {key: _property(setting) for key, setting in own.items()}
    # As lower-case words that also name a folder and rules; a sheet may also be given as it stands.
    properties["name"]["pattern"] = NAME
    if "cohorts" in properties:
        properties["cohorts"] = {
            "type": ["string", "object"],
            "additionalProperties": {"type": "string"},
            "description": properties["cohorts"]["description"],
        }
    for key, classes in workflow.named.items():
        properties[key] = _named(key, classes)
    for key, cls in workflow.sections.items():
        properties[key] = _section(key, cls, optional=key in workflow.optional)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"genomamba {name}",
        "description": f"Configuration of {name}: {workflow.does}. Made by `genomamba pipeline schema {name}`.",
        "type": "object",
        "properties": properties,
        "required": [one.name for one in dataclasses.fields(workflow.settings) if one.default is dataclasses.MISSING],
        "additionalProperties": False,
    }


def schema_text(name: str) -> str:
    """Return the schema of a workflow as the file that comes with it."""
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


_OF_NAMED: Final = {
    "tasks": "Labelled windows on features of `gff`, by name: settings of `genomamba make-task`, and its parts.",
    "data": "Labelled sequences of your own, by name: how they are read, and their parts.",
}


def _named(key: str, classes: tuple[type, ...]) -> dict[str, Any]:
    """Return the schema of things by name, each with the settings of these classes; what has no default is required."""
    settings = {name: setting for cls in classes for name, setting in settings_of(cls).items()}
    needed = {"tasks": "feature", "data": "data"}[key]
    kept = {name: setting for name, setting in settings.items() if name not in GIVEN or name == needed}
    properties = {name: _property(setting, default=False) for name, setting in kept.items()}
    properties[needed]["type"] = "string"
    one = {"type": "object", "properties": properties, "required": [needed], "additionalProperties": False}
    return {
        "type": ["object", "null"],
        "description": _OF_NAMED[key],
        "propertyNames": {"pattern": NAME},
        "additionalProperties": one,
    }


def _section(key: str, cls: type, *, optional: bool) -> dict[str, Any]:
    """Return the schema of the settings of a command, but for those that the workflow gives."""
    kept = {name: setting for name, setting in settings_of(cls).items() if name not in GIVEN or name == "alphabet"}
    if key == "pretrain":
        kept = {**settings_of(RecipeChoice), **kept}
    else:
        kept.pop("alphabet", None)
    studied = key == "merge"
    kept = {name: setting for name, setting in kept.items() if (name in STUDY) == studied}
    if cls is ScoreConfig:
        # Baselines of scores are fitted on the whole file, which no shard is.
        kept.pop("baselines", None)
    return {
        "type": ["object", "null"],
        "description": f"Settings of `genomamba {key}`." + (" null: it is not run." if optional else ""),
        "properties": {name: _property(setting, default=False) for name, setting in kept.items()},
        "additionalProperties": False,
    }


def _property(setting: Setting, *, default: bool = True) -> dict[str, Any]:
    """Return the schema of one setting. Defaults of commands stay theirs, and are told only."""
    # YAML has numbers where a name or a text of digits is meant.
    types = {int: ["integer"], float: ["number"], bool: ["boolean"], str: ["string", "number"]}[setting.kind]
    one: dict[str, Any] = {"type": types[0] if setting.choices else types[0] if len(types) == 1 else types}
    if setting.choices:
        one["enum"] = list(setting.choices)
    if setting.many:
        one = {"type": [*_listed(one["type"]), "array"], "items": {"type": one["type"]}}
    if setting.optional or (setting.many and setting.default == ()):
        one["type"] = [*_listed(one["type"]), "null"]
        if "enum" in one:
            one["enum"] = [*one["enum"], None]
    one["description"] = " ".join(setting.help.split())
    value = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    if value is None:
        return one
    if default:
        one["default"] = value
    elif value != []:
        one["description"] += f" Default: {str(value).lower() if isinstance(value, bool) else value}."
    return one


def _listed(kind: str | list[str]) -> list[str]:
    return [kind] if isinstance(kind, str) else kind
