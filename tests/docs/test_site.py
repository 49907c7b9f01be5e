"""Every page can be reached from the index, every link leads somewhere, and the reference leaves nothing out."""

import argparse
import importlib
import re
import sys
from pathlib import Path

import pytest

from genomamba.cli.main import COMMANDS
from genomamba.workflow.config import WORKFLOWS
from genomamba.workflow.schema import schema_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generated_pages():
    sys.path.insert(0, str(DOCS / "extensions"))
    yield importlib.import_module("generated_pages")
    sys.path.remove(str(DOCS / "extensions"))


def reached(page, found=None):
    """Return all pages that the tables of contents lead to, from one of them on."""
    found = {page} if found is None else found
    for block in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), re.M | re.S):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                for next_page in sorted(page.parent.glob(f"{line}.md")):
                    if next_page.resolve() not in found:
                        found.add(next_page.resolve())
                        reached(next_page.resolve(), found)
    return found


def test_every_page_is_reached_from_the_index():
    assert reached(DOCS / "index.md") == set(DOCS.rglob("*.md"))


def test_every_entry_of_a_table_of_contents_is_a_page(tmp_path, generated_pages):
    (tmp_path / "reference").mkdir()
    generated_pages.write_pages(tmp_path)
    for page in DOCS.rglob("*.md"):
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in [line for line in block.splitlines() if line and not line.startswith(":")]:
                here = [*page.parent.glob(f"{line}.md")]
                assert here or [*(tmp_path / page.parent.relative_to(DOCS)).glob(f"{line}.md")], f"{page}: {line}"


def test_every_link_leads_to_a_file():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "pipelines/README.md", *DOCS.rglob("*.md")]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page}: {link}"


@pytest.mark.parametrize("command", COMMANDS)
def test_page_of_a_command_has_every_option(command, generated_pages):
    page = generated_pages.command_page(command)
    parser = importlib.import_module(f"genomamba.cli.{command.replace('-', '_')}").parser()
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"]
    assert shown
    for action in shown:
        name = re.escape((action.option_strings or [action.metavar])[0])
        assert re.search(rf"^````{{option}} .*{name}\b", page, re.M)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_page_of_a_configuration_has_every_setting(name, generated_pages):
    page = generated_pages.configuration_page(name)
    for key, one in schema_of(name)["properties"].items():
        assert f"## {key}\n" in page if "properties" in one else f"`{key}` (" in page
        for inner in one.get("properties", ()):
            assert f"\n`{inner}` (" in page


def test_pages_of_what_is_gone_are_removed(tmp_path, generated_pages):
    stray = tmp_path / "reference/commands/gone.md"
    stray.parent.mkdir(parents=True)
    stray.write_text("# genomamba gone\n")
    generated_pages.write_pages(tmp_path)
    assert not stray.exists()
    assert {page.stem for page in stray.parent.iterdir()} == set(COMMANDS)


def test_help_is_taken_for_text(generated_pages):
    assert generated_pages.escape("'chr*' of `a*b` <x>") == r"'chr\*' of `a*b` \<x\>"
