"""The console blocks of the pages run, in the order of each page, and print what the pages say, numbers aside."""

import contextlib
import importlib.util
import io
import shlex
import shutil
from pathlib import Path

import pytest

from genomamba.cli.main import main
from genomamba.data.examples import example_paths

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# What makes a page quick; it runs as it stands in the slow suite.
SMALLER = {
    "--number 20": "--number 10",
    "--horizon 128": "--horizon 16",
    "--horizon 64": "--horizon 16",
    "chrI:71,746-71,845": "chrI:71,746-71,765",
    "--length 1000 -n 40": "--length 100 -n 2",
    "--strand both --out smikatae.bw": "--region NC_079256.1:1-3,000 --out smikatae.bw",
}
QUICK = ("how-to/errors", "tutorials/draw", "tutorials/region", "tutorials/score-variants", "tutorials/track")
WHOLE = ("tutorials/first-model", *QUICK, "tutorials/classifier")


def load_console():
    spec = importlib.util.spec_from_file_location("console", DOCS / "console.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


console = load_console()


def in_process(folder):
    """As `console.in_shell`, but a plain command of genomamba runs in this process, which has it loaded."""
    in_shell = console.in_shell(folder)

    def run(command):
        text, asks, _ = command.partition('; echo "exit code $?"')
        words = shlex.split(text.replace("\\\n", " "))
        if words[0] != "genomamba" or any(mark in text for mark in "|>$;*"):
            return in_shell(command)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(words[1:])
        assert asks or code == 0, said.getvalue()
        return console.short(said.getvalue(), folder) + (f"exit code {code}\n" if asks else "")

    return run


def check_page(name, run, smaller):
    page = (DOCS / f"{name}.md").read_text()
    for before, after in smaller.items():
        page = page.replace(before, after)
    listed = [command for _, _, block in console.blocks(page) for command in block]
    assert listed
    for command in listed:
        printed = run(command.text)
        assert console.found_in(command.output, printed.splitlines()) is not None, f"$ {command.text}\n{printed}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The example data and a model of two steps, as they lie there after the first tutorial."""
    monkeypatch.chdir(tmp_path)
    for files in example_paths().values():
        for file in files.values():
            shutil.copy(file, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", QUICK)
def test_page_prints_what_it_says(name, folder, tiny_run):
    shutil.copytree(tiny_run, folder / "runs/yeast")
    made = (ROOT / "pipelines/example/made.vcf").read_text().splitlines(keepends=True)
    (folder / "made.vcf").write_text("".join(made[:60]))
    check_page(name, in_process(folder), SMALLER)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    fasta = str(example_paths()["scerevisiae"]["fasta"])
    options = "--num-layers 1 --d-model 16 --d-state 4 --max-steps 2 --test-share 0 --context 1024 --threads 1"
    assert main(["pretrain", "--fasta", fasta, *options.split(), "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_tutorials_print_what_they_say(folder):
    for name in WHOLE:
        check_page(name, console.in_shell(folder), {})


@pytest.mark.slow
def test_workflows_print_what_they_say(tmp_path):
    check_page("tutorials/workflows", console.in_shell(tmp_path), {})


def test_every_page_with_commands_to_run_is_run():
    pages = [page for page in DOCS.rglob("*.md") if "```console" in page.read_text()]
    assert {str(page.relative_to(DOCS).with_suffix("")) for page in pages} == {*WHOLE, "tutorials/workflows"}


def test_blocks_are_read_and_held_against_what_is_printed(tmp_path):
    page = "```console\n$ echo 'a 1\n2'\na 7\n3\n$ seq 3; \\\n  echo x\n1\n...\nx\n```\n"
    ((_, _, (first, second)),) = console.blocks(page)
    assert first == console.Command("echo 'a 1\n2'", ("a 7", "3"))
    assert second.text == "seq 3; \\\n  echo x"
    run = console.in_shell(tmp_path)
    assert console.found_in(first.output, run(first.text).splitlines()) == ["a 1", "2"]
    assert console.printed_anew(page, run) == page.replace("a 7\n3", "a 1\n2")
    assert console.found_in(("a", "c"), ["a", "b", "c"]) is None
    assert console.found_in(("a", "..."), ["a", "b", "c"]) == ["a", "..."]
    assert console.found_in(("...", "c"), ["a", "b", "c", "d"]) is None
    assert console.found_in((), ["a"]) is None
    assert console.found_in(("all in 2 min 9 s",), ["all in  20 s"]) == ["all in  20 s"]
    assert console.found_in(("20 s",), ["20 sites"]) is None
