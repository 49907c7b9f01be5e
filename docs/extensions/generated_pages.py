"""Pages that are made from the code: a page for every command, and one for the configuration of every workflow.

They are written before the sources are read, into `reference/commands/` and `reference/configurations/`, which Git does
not keep.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import genomamba
from genomamba.cli.main import COMMANDS
from genomamba.workflow.config import WORKFLOWS
from genomamba.workflow.schema import schema_of

COMMANDS_FOLDER = "reference/commands"
CONFIGURATIONS_FOLDER = "reference/configurations"


def setup(app: Any) -> dict[str, Any]:
    """Write the pages before Sphinx looks for its sources, and see that every public name was documented."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir)))
    app.connect("env-check-consistency", lambda app, environment: warn_of_missing_names(environment))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(docs: Path) -> None:
    """Write all pages below `docs`. A page that would not change keeps its date, and one of no command goes."""
    pages = {f"{COMMANDS_FOLDER}/{name}.md": command_page(name) for name in COMMANDS}
    pages |= {f"{CONFIGURATIONS_FOLDER}/{name}.md": configuration_page(name) for name in WORKFLOWS}
    for folder in (docs / COMMANDS_FOLDER, docs / CONFIGURATIONS_FOLDER):
        folder.mkdir(exist_ok=True)
        for stray in folder.iterdir():
            if f"{folder.parent.name}/{folder.name}/{stray.name}" not in pages:
                shutil.rmtree(stray) if stray.is_dir() else stray.unlink()
    for name, text in pages.items():
        page = docs / name
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def warn_of_missing_names(environment: Any) -> None:
    """Warn of every name that `import genomamba` offers and the reference does not have, so that the build fails."""
    from sphinx.util.logging import getLogger

    documented = environment.get_domain("py").objects
    for name in genomamba.__all__:
        if name != "__version__" and f"genomamba.{name}" not in documented:
            getLogger(__name__).warning("genomamba.%s has no entry in the reference", name)


def command_page(name: str) -> str:
    """Return what `genomamba NAME --help` says, as a page with an anchor for every option."""
    parser = importlib.import_module(f"genomamba.cli.{name.replace('-', '_')}").parser()
    usage = _one_line(parser.format_usage().removeprefix("usage: "))
    parts = [f"# genomamba {name}", _paragraphs(parser.description), _fence("text", usage)]
    parts.append(f"```{{program}} genomamba {name}\n```")
    for group in parser._action_groups:
        shown = [one for one in group._group_actions if one.help != argparse.SUPPRESS and one.dest != "help"]
        if shown:
            parts.append(f"## {(group.title or '').capitalize()}")
            parts += [_option(parser, action) for action in shown]
    if parser.epilog:
        raw = parser.formatter_class is argparse.RawDescriptionHelpFormatter
        parts += ["## Notes", _fence("text", parser.epilog.rstrip()) if raw else _paragraphs(parser.epilog)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _option(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    shown = parser._get_formatter()._format_args(action, action.metavar or action.dest.upper())
    shown = shown.strip("[]") if action.nargs == "?" else shown
    heads = [f"{flag} {shown}".strip() for flag in action.option_strings] or [str(action.metavar or action.dest)]
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return f"````{{option}} {', '.join(heads)}\n{escape(_one_line(text))}\n````"


def configuration_page(name: str) -> str:
    """Return the schema of a workflow's configuration as tables, and as it stands."""
    schema = schema_of(name)
    own = {key: one for key, one in schema["properties"].items() if not _is_section(one)}
    sections = {key: one for key, one in schema["properties"].items() if _is_section(one)}
    parts = [f"# Configuration of {name}", f"{escape(WORKFLOWS[name].does)}. No key that is not named here is taken."]
    parts += ["## Settings of the workflow", *_properties(own, set(schema["required"]))]
    for key, section in sections.items():
        parts += [f"## {key}", escape(section["description"]), *_properties(section["properties"], set())]
    parts += ["## As JSON schema", f"`genomamba pipeline schema {name}` prints it, for editors that check."]
    return "\n\n".join(parts) + "\n"


def _is_section(one: Mapping[str, Any]) -> bool:
    return "properties" in one


def _properties(properties: Mapping[str, Mapping[str, Any]], required: set[str]) -> Iterator[str]:
    for key, one in properties.items():
        facts = ["needed"] if key in required else []
        facts.append(_kind(one))
        if "default" in one:
            facts.append(f"default {json.dumps(one['default'])}")
        yield f"`{key}` ({escape('; '.join(facts))})\n: {escape(_one_line(one['description']))}"


def _kind(one: Mapping[str, Any]) -> str:
    if "enum" in one:
        return "one of " + ", ".join("null" if choice is None else str(choice) for choice in one["enum"])
    kinds = one["type"] if isinstance(one["type"], list) else [one["type"]]
    return " or ".join("mapping" if kind == "object" else kind for kind in kinds)


def escape(text: str) -> str:
    """Return text in which Markdown has no meaning, but for code between backticks."""
    return "".join(
        piece if at % 2 else re.sub(r"([\\*_{}\[\]<>$|~#])", r"\\\1", piece)
        for at, piece in enumerate(re.split(r"(`[^`]+`)", text))
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(escape(_one_line(one)) for one in re.split(r"\n\s*\n", text or ""))


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
