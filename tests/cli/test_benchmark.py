"""`genomamba benchmark`: a folder of tasks, the protocols, what others report, and going on task by task."""

import json

import numpy as np
import pytest
import torch

from genomamba.classify import published
from genomamba.cli.main import main
from genomamba.config import ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import save_model

PROBE = ("--method", "probe", "--threads", "1", "--baselines", "majority")
FINETUNE = ("--threads", "1", "--baselines", "none", "--epochs", "1", "--no-report")


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "trunk"
    folder.mkdir()
    torch.manual_seed(5)
    save_model(folder, LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4, direction="bidirectional")), {})
    return folder


@pytest.fixture
def suite(tmp_path):
    """A table and a folder of classes, 40 sequences each; half of them rich in G."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "suite"
    folder.mkdir()
    rows = ["sequence\tlabel\tsplit"]
    for i in range(40):
        text = "".join(generator.choice(list("ACGT"), 20, p=[0.1, 0.1, 0.7, 0.1] if i % 2 else None))
        part, label = "test" if i >= 28 else "train", "rich" if i % 2 else "poor"
        rows.append(f"{text}\t{label}\t{part}")
        place = folder / "folded" / part
        place.mkdir(parents=True, exist_ok=True)
        with (place / f"{label}.fa").open("a") as file:
            file.write(f">s{i}\n{text}\n")
    (folder / "toy.part.tsv").write_text("\n".join(rows) + "\n")
    (folder / "README.md").write_text("no task\n")
    return folder


@pytest.fixture
def run(trunk, suite, tmp_path):
    """Run the benchmark; return its run folder."""

    def run(*options, code=0):
        out = tmp_path / "out"
        assert main(["benchmark", str(trunk), "--suite", str(suite), "--out", str(out), *options]) == code
        return out

    return run


def table(out):
    lines = [line.split("\t") for line in (out / "benchmark.tsv").read_text().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def report(name, protocol, model, value, sequences=40, tested=12):
    return published.Published(
        task=name, protocol=protocol, sequences=sequences, tested=tested, model=model, parameters=7, figure="accuracy",
        value=value, source="A. Author 2025",
    )  # fmt: skip


def test_a_suite_is_run_beside_what_others_report(run, monkeypatch, capsys):
    known = (
        report("toy", "given-split", "Theirs", 0.93),
        report("toy", "given-split", "Larger", 0.99, tested=900, sequences=3_000),
        report("toy", "caduceus-5fold", "Other", 0.95),
    )
    monkeypatch.setattr(published, "published_rows", lambda: known)
    out = run(*PROBE)
    assert json.loads((out / "run.json").read_text())["status"] == "finished"
    rows = table(out)
    assert [(row["task"], row["model"], row["kind"]) for row in rows] == [
        ("folded", "probe", "ours"), ("folded", "majority", "baseline"),
        ("toy.part", "probe", "ours"), ("toy.part", "majority", "baseline"),
        ("toy.part", "Theirs", "published"), ("toy.part", "Larger", "published"), ("toy.part", "Other", "published"),
    ]  # fmt: skip
    assert [row["comparable"].partition(":")[0] for row in rows] == ["yes"] * 5 + ["no"] * 2
    figures = json.loads((out / "members" / "toy.part" / "figures.json").read_text())
    assert float(rows[2]["value"]) == pytest.approx(figures["contenders"][0]["figures"]["accuracy"]["value"], abs=1e-6)
    # The folder holds the same sequences as the table.
    assert rows[0]["value"] == rows[2]["value"]
    shown = capsys.readouterr().out
    assert "0.9300 Theirs" in shown
    assert "2 published figures are of other sequences or protocols" in shown
    page = (out / "report.html").read_text()
    beside, apart = page.index("toy.part: beside what others report"), page.index("Not to be compared")
    assert beside < page.index(">Theirs<") < apart < page.index(">Larger<")
    assert "other sequences: 900 of 3,000 test there, 12 of 40 here" in page
    assert (out / "members" / "folded" / "report.html").exists()


def test_five_seeds_with_other_parts_to_validate(run):
    out = run("--protocol", "caduceus-5fold", "--tasks", "toy*", *FINETUNE)
    (finetuned,) = json.loads((out / "members" / "toy.part" / "figures.json").read_text())["contenders"]
    assert [one["seed"] for one in finetuned["members"]] == [0, 1, 2, 3, 4]
    assert {(one["train"], one["valid"], one["test"]) for one in finetuned["members"]} == {(25, 3, 12)}
    assert {path.name for path in (out / "members").iterdir()} == {"toy.part"}
    assert not (out / "report.html").exists()


def test_what_is_done_is_not_done_again(run, suite, capsys, monkeypatch):
    (suite / "a_bad.tsv").write_text("sequence\tlabel\nACGT\tx\nACGG\ty\nAAAA\tx\n")
    out = run(*PROBE, "--no-report", code=1)
    told = "a_bad.tsv: no column says which part a sequence is in; name it by --split-column, or give --split-by random"
    assert f"a_bad, by --protocol given-split: {suite}/{told}" in capsys.readouterr().out
    assert json.loads((out / "run.json").read_text())["status"] == "failed"
    assert {row["task"] for row in table(out)} == {"folded", "toy.part"}
    before = (out / "members" / "folded" / "run.json").stat().st_mtime_ns
    run(*PROBE, "--no-report", code=1)
    assert "--resume goes on with it" in capsys.readouterr().err
    text = (suite / "toy.part.tsv").read_text()
    (suite / "a_bad.tsv").write_text(text)
    run(*PROBE, "--no-report", "--resume", code=1)
    assert "its content is not what" in capsys.readouterr().err
    (suite / "a_bad.tsv").write_text("sequence\tlabel\nACGT\tx\nACGG\ty\nAAAA\tx\n")
    run(*PROBE, "--no-report", "--resume", code=1)
    assert (out / "members" / "folded" / "run.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("method", [FINETUNE, PROBE], ids=["finetune", "probe"])
def test_a_task_without_a_test_part_is_refused_before_it_is_trained(run, suite, capsys, method):
    path = suite / "toy.part.tsv"
    path.write_text(path.read_text().replace("\ttest\n", "\tvalid\n"))
    out = run(*method, "--tasks", "toy.part", code=1)
    told = "nothing tests; name a test part in the split column, or give --split-by random with a --test-share"
    assert f"toy.part, by --protocol given-split: {path}: {told}" in capsys.readouterr().out
    assert not (out / "members" / "toy.part").exists()


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--tasks", "none_such"), 2, "--tasks: nothing is called 'none_such'"),
        (("--suite", "no_such"), 1, "no_such: no such folder"),
        (("--protocol", "caduceus-5fold", "--repeats", "3"), 2, "has 5 seeds; leave --repeats out"),
        (("--method", "probe", "--epochs", "3"), 2, "unrecognised option --epochs"),
        (("--method", "probing"), 2, "--method is 'probing'"),
        (("--folds", "3"), 2, "unrecognised option --folds"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_bad_uses_are_told(run, capsys, options, code, told):
    out = run(*options, code=code)
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_help_has_the_options_of_the_method(capsys):
    assert main(["benchmark", "-h"]) == 0
    assert "--learning-rate" in capsys.readouterr().out
    assert main(["benchmark", "--method", "probe", "-h"]) == 0
    shown = capsys.readouterr().out
    assert "--classifier" in shown
    assert "--learning-rate" not in shown
