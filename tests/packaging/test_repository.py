"""No file names a place that only its author has, and the commands in the documentation can be typed."""

import importlib
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from genomamba.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PARSERS = {name: importlib.import_module(f"genomamba.cli.{name.replace('-', '_')}").parser for name in COMMANDS}
# Absolute paths of somebody's own machine, and files of editors and systems.
PRIVATE = re.compile(r"(?<![\w.~$}/-])/(?:home|Users|root|work|opt|mnt|scratch)/[\w.]")


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def documents():
    made = {ROOT / "docs/reference/commands", ROOT / "docs/reference/configurations"}
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.parent not in made]
    return sorted([*ROOT.glob("*.md"), *pages, ROOT / "pipelines/README.md"])


def commands(text):
    """Lines that start with `genomamba` in fenced blocks, continued lines joined; not those that are shown to fail."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S):
        for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
            if (found := re.match(r"(?:\$ )?genomamba (.*)", line)) and not line.endswith('echo "exit code $?"'):
                yield found.group(1)


def test_no_file_names_a_private_path():
    assert PRIVATE.search("see /" + "home/me") is not None
    found = []
    for file in tracked_files():
        text = file.read_bytes().decode("utf-8", errors="ignore") if file.suffix != ".gz" else ""
        found += [f"{file.relative_to(ROOT)}: {match.group()}" for match in PRIVATE.finditer(text)]
    assert found == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_documentation_have_only_options_that_exist(document):
    for line in commands(document.read_text()):
        name, *arguments = shlex.split(line, comments=True)
        if name.startswith("-"):
            assert name in ("-h", "--help", "--version")
            continue
        PARSERS[name]().parse([word for word in arguments if word not in ("-h", "--help", "...")])


def test_commands_are_found_in_documents():
    text = "```sh\n$ genomamba pretrain \\\n  --seed 1  # first\nother\n```\ngenomamba report no\n"
    assert list(commands(text)) == ["pretrain --seed 1  # first"]
