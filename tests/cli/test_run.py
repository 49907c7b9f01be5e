"""Whole commands, as a person types them: a run, its settings taken back, its report, and what is refused."""

import subprocess
import sys

import pytest
import yaml

from genomamba.cli.main import main
from genomamba.config import PretrainConfig
from genomamba.settings import from_yaml

TINY = [
    "--num-layers",
    "1",
    "--d-model",
    "8",
    "--context",
    "64",
    "--batch-size",
    "2",
    "--max-steps",
    "2",
    "--threads",
    "1",
]


def genomamba(*arguments, cwd):
    command = [sys.executable, "-m", "genomamba", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def names_in(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small genome and a run on it."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "made.fa").write_text(">1\n" + "ACGTTGCA" * 500 + "\n>2\n" + "GGATC" * 200 + "\n")
    done = genomamba("pretrain", "--fasta", "made.fa", "--test", "2", *TINY, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stdout)
    return folder


def test_a_run_says_its_plan_its_figures_and_where_the_report_is(folder):
    said = (folder / "said.txt").read_text()
    assert "bits per base" in said
    assert said.splitlines()[-1] == "report: run/report.html"
    assert (folder / "run/report.html").stat().st_size


def test_config_of_the_run_is_taken_back(folder):
    written = (folder / "run/config.yaml").read_text()
    done = genomamba("pretrain", "--config", "run/config.yaml", "--print-config", cwd=folder)
    assert done.returncode == 0, done.stderr
    config = from_yaml(PretrainConfig, done.stdout)
    assert config == from_yaml(PretrainConfig, written)
    assert (config.test, config.d_model, config.max_steps) == (("2",), 8, 2)
    assert (config.force, config.resume, config.dry_run) == (False, False, False)
    assert yaml.safe_load(written).keys() == yaml.safe_load(done.stdout).keys()


def test_report_prints_its_path(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / "run/report.html").unlink()
    assert main(["report", "run"]) == 0
    assert capsys.readouterr().out == "run/report.html\n"
    assert (folder / "run/report.html").stat().st_size


REFUSED = {
    "run in the way": ["pretrain", "--fasta", "made.fa", *TINY, "--out", "run"],
    "no such genome": ["pretrain", "--fasta", "no.fa", *TINY, "--out", "other"],
    "no such contig": ["pretrain", "--fasta", "made.fa", "--test", "chr9", *TINY, "--out", "other"],
    "no such run": ["report", "no-run"],
}


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_one_line_and_exit_1(folder, arguments, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = names_in(folder)
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert ": " in line
    assert names_in(folder) == before


def test_dry_run_writes_nothing(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = names_in(folder)
    assert main(["pretrain", "--fasta", "made.fa", *TINY, "--out", "other", "--dry-run"]) == 0
    assert "parameters" in capsys.readouterr().out
    assert names_in(folder) == before
