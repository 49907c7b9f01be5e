"""Run the console blocks of pages and hold what they print against what the pages say, or write it into them.

    python docs/console.py FOLDER docs/tutorials/first-model.md ...

runs the pages in FOLDER, one after the other, and replaces the outputs in them. In a block of the language `console`,
a line that begins with `$ ` is a command, and what follows is what it prints; `...` stands for any number of lines.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

Run = Callable[[str], str]


class Command(NamedTuple):
    """One command of a page, and the lines that it prints there."""

    text: str
    output: tuple[str, ...]


def blocks(page: str) -> Iterator[tuple[int, int, list[Command]]]:
    """Yield begin and end of the body of every console block of a page, and its commands."""
    for found in re.finditer(r"^```console\n(.*?)^```", page, re.M | re.S):
        yield *found.span(1), commands(found.group(1))


def commands(block: str) -> list[Command]:
    """Return the commands of a block. One that ends with a backslash, or inside quotation marks, goes on below."""
    made: list[Command] = []
    lines = iter(block.splitlines())
    for line in lines:
        if line.startswith("$ "):
            text = line[2:]
            while _goes_on(text):
                text = f"{text}\n{next(lines)}"
            made.append(Command(text, ()))
        else:
            assert made, f"a block begins with {line!r}, which is no command"
            made[-1] = Command(made[-1].text, (*made[-1].output, line))
    return made


def _goes_on(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return True
    return command.endswith("\\")


def alike(line: str) -> str:
    """Return a line without what differs from one model or machine to the next: numbers, times, drawn DNA, spaces."""
    line = re.sub(r"[ACGTNacgtn]{8,}", "DNA", line)
    line = " ".join(re.sub(r"[+-]?\d[\d,.]*(?:e[+-]?\d+)?", "#", line).split())
    return re.sub(r"# (?:h|min|s)\b(?: # (?:min|s)\b)*", "TIME", line)


def found_in(expected: tuple[str, ...], printed: list[str]) -> list[str] | None:
    """Return the expected lines as they were printed, numbers aside; None where they were not, in that order."""
    taken: list[str] = []
    at, loose = 0, False
    for line in expected:
        if line == "...":
            loose = True
            taken.append(line)
            continue
        ahead = range(at, len(printed)) if loose else range(at, min(at + 1, len(printed)))
        place = next((i for i in ahead if alike(printed[i]) == alike(line)), None)
        if place is None:
            return None
        taken.append(printed[place])
        at, loose = place + 1, False
    return taken if loose or at == len(printed) else None


def in_shell(folder: Path) -> Run:
    """Return what runs a command in a folder by bash, with the Python that runs this, and gives all that it prints."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"$ {command}\n{done.stdout}exit code {done.returncode}")
        return short(done.stdout, folder)

    return run


def short(printed: str, folder: Path) -> str:
    """Return what was printed with names of files as they are in the folder."""
    return printed.replace(f"{folder}/", "")


def printed_anew(page: str, run: Run) -> str:
    """Return a page with what its commands print now. Where that has other lines than the page, all are taken."""
    pieces, at = [], 0
    for begin, end, block in blocks(page):
        pieces.append(page[at:begin])
        for command in block:
            printed = run(command.text).splitlines()
            output = found_in(command.output, printed) or printed
            pieces.append("\n".join([f"$ {command.text}", *map(str.rstrip, output)]) + "\n")
        at = end
    return "".join([*pieces, page[at:]])


def main(arguments: list[str]) -> None:
    """Run pages in a folder and write them anew."""
    folder, *pages = map(Path, arguments)
    folder.mkdir(parents=True, exist_ok=True)
    for page in pages:
        page.write_text(printed_anew(page.read_text(), in_shell(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
