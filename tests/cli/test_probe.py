"""`genomamba probe`: run folders, heads that say what the probe said, folds, labels of bases, and going on."""

import json
import shutil

import numpy as np
import pytest
import torch

from genomamba.cli.main import main
from genomamba.config import ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import save_model

ALONE = ("--threads", "1", "--baselines", "none", "--no-report")


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "trunk"
    folder.mkdir()
    torch.manual_seed(5)
    save_model(folder, LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4, direction="bidirectional")), {})
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """80 sequences of 19 to 21 bases, half of them rich in G."""
    generator = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "data.tsv"
    rows = ["name\tsequence\tlabel\tsplit"]
    for i in range(80):
        text = "".join(generator.choice(list("ACGT"), 19 + i % 3, p=[0.1, 0.1, 0.7, 0.1] if i % 2 else None))
        part = "train" if i < 50 else "valid" if i < 56 else "test"
        rows.append(f"s{i}\t{text}\t{'rich' if i % 2 else 'poor'}\t{part}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def run(trunk, table, tmp_path):
    """Probe; return the run folder."""

    def run(*options, out="run", data=True, code=0, model=None):
        given = ["probe", str(model or trunk), "--out", str(tmp_path / out), *map(str, options)]
        given += ["--data", str(table)] if data else []
        assert main(given) == code
        return tmp_path / out

    return run


def read(folder):
    return json.loads((folder / "figures.json").read_text())


def lines(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    "options",
    [(), ("--pool", "sum"), ("--pool", "middle", "--strand", "mean"), ("--pool", "max", "--classifier", "ridge")],
    ids=["logistic", "sum", "middle-mean", "max-ridge"],
)
def test_the_head_says_what_the_probe_said(run, table, tmp_path, options):
    out = run(*ALONE, *options)
    assert json.loads((out / "run.json").read_text())["status"] == "finished"
    assert not list((out / "members").iterdir())
    told = lines(out / "predictions.tsv")
    assert told[0] == ["trial", "name", "label", "prediction", "p_poor", "p_rich"]
    assert len(told) == 25
    assert main(["predict", str(out), "--data", str(table), "--threads", "1", "--out", str(tmp_path / "p.tsv")]) == 0
    predicted = {line[0]: line[2:] for line in lines(tmp_path / "p.tsv")[1:]}
    for _, name, _, prediction, *probabilities in told[1:]:
        assert prediction == predicted[name][0]
        assert np.array(predicted[name][1:], float) == pytest.approx(np.array(probabilities, float), abs=2e-5)
    right = np.mean([line[2] == line[3] for line in told[1:]])
    (probe,) = read(out)["contenders"]
    assert probe["figures"]["accuracy"]["value"] == right >= 0.75
    assert probe["members"][0]["chosen"]["strength"] > 0


def test_baselines_and_folds(run, capsys):
    out = run("--threads", "1", "--folds", "3", "--baselines", "majority,random")
    found = read(out)
    page = (out / "report.html").read_text()
    assert "3-fold cross-validation: each sequence is tested once" in page
    assert f"The probe has an accuracy of {found['contenders'][0]['figures']['accuracy']['value']:.4f}" in page
    assert all(f"<th>fold-{number}</th>" in page for number in range(3))
    assert [one["name"] for one in found["contenders"]] == ["probe", "majority", "random"]
    assert (found["rows"], found["folds"], found["best_baseline"]) == (80, 3, "random")
    assert [one["trial"] for one in found["contenders"][0]["members"]] == ["fold-0", "fold-1", "fold-2"]
    told = lines(out / "predictions.tsv")
    assert sorted(line[1] for line in told[1:]) == sorted(f"s{i}" for i in range(80))
    assert told[0][-2:] == ["majority", "random"]
    shown = capsys.readouterr().out
    assert "probe against random, the baseline with the least error inside train and valid: accuracy" in shown
    assert "the probe is not saved: each fold has its own" in shown
    assert not (out / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--classifier", "svm"), "svm is no head of weights"),
        (("--layers", "0", "-1"), "a head reads the last layer alone"),
        (("--strand", "both"), "a head does not read strand both"),
    ],
    ids=["svm", "layers", "strand"],
)
def test_a_probe_that_is_no_head_is_not_saved(run, capsys, options, told):
    out = run(*ALONE, *options)
    assert f"the probe is not saved: {told}" in capsys.readouterr().out
    assert (out / "figures.json").exists()
    assert not (out / "head.safetensors").exists()


def test_numbers_and_bases(run, trunk, table, tmp_path):
    rows = lines(table)[1:]
    numbers = tmp_path / "numbers.tsv"
    numbers.write_text("sequence\tlabel\n" + "".join(f"{row[1]}\t{row[1].count('G') / 8}\n" for row in rows))
    out = run(*ALONE, "--data", numbers, data=False)
    (probe,) = read(out)["contenders"]
    assert probe["figures"]["pearson"]["value"] > 0.8
    assert main(["predict", str(out), "--data", str(numbers), "--out", str(tmp_path / "n.tsv"), "--threads", "1"]) == 0
    predicted = {line[0]: line[2] for line in lines(tmp_path / "n.tsv")[1:]}
    for line in lines(out / "predictions.tsv")[1:]:
        assert float(predicted[line[1]]) == pytest.approx(float(line[3]), abs=1e-4)
    texts = [row[1][:18] for row in rows]
    (tmp_path / "g.fa").write_text(">c\n" + "".join(texts) + "\n")
    (tmp_path / "b.bed").write_text("".join(f"c\t{18 * i}\t{18 * i + 18}\thigh\n" for i in range(1, 80, 2)))
    given = ("--fasta", tmp_path / "g.fa", "--base-labels", tmp_path / "b.bed", "--window", "36", "--threads", "1")
    out = run(*given, "--baselines", "majority,cnn", "--no-report", out="bases", data=False)
    found = read(out)
    assert found["left_out"] == {"cnn": "it tells labels of whole sequences"}
    assert found["rows"] == 36 * found["sequences"]
    probe, majority = (one["figures"]["auroc"] for one in found["contenders"])
    assert probe["value"] > 0.7
    assert majority["value"] == 0.5
    assert probe["low"] < probe["value"] < probe["high"]


def test_a_stopped_run_goes_on(run, monkeypatch, capsys):
    from genomamba.classify import embedding_session

    monkeypatch.setattr(embedding_session, "_PART_BASES", 400)
    finish, calls = embedding_session.Partial.finish, []

    def stop_at_the_second(self, part, sums):
        finish(self, part, sums)
        calls.append(part)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(embedding_session.Partial, "finish", stop_at_the_second)
    out = run(*ALONE, code=130)
    assert json.loads((out / "run.json").read_text())["status"] == "stopped"
    run(*ALONE, code=1)
    assert "--resume goes on with it" in capsys.readouterr().err
    run(*ALONE, "--resume")
    assert calls == list(range(len(calls)))
    whole = run(*ALONE, out="whole")
    assert (out / "predictions.tsv").read_text() == (whole / "predictions.tsv").read_text()


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--pool", "none"), 2, "--pool is none, and each sequence has a label; give mean, sum, max, last or middle"),
        (("--layers", "7"), 2, "--layers are 7"),
        (("--folds", "500"), 2, "--folds is 500; it must lie between 2 and 100"),
        (("--baselines", "none,cnn"), 2, "--baselines names 'none'; give none alone"),
        (("--split-by", "random", "--test-share", "0"), 2, "nothing tests"),
    ],
    ids=["pool", "layers", "folds", "baselines", "no-test"],
)
def test_bad_uses_are_told(run, capsys, options, code, told):
    out = run(*ALONE[:2], "--no-report", *options, code=code)
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_other_data_tests_beside_the_test_part(run, table, tmp_path):
    rows = table.read_text().splitlines()
    (tmp_path / "again.tsv").write_text("\n".join([rows[0], *(row for row in rows if row.endswith("test"))]) + "\n")
    # One of them is learnt from, classes come in another order, and there is neither name nor split.
    known = rows[2].split("\t")
    few = ["label\tsequence", "rich\tGGGCGGTGGG", f"{known[2]}\t{known[1]}", "poor\tATATCATATA"]
    (tmp_path / "few.tsv").write_text("\n".join(few) + "\n")
    options = ("--threads", 1, "--baselines", "random", "--no-report")
    alone = run(*options, out="alone")
    beside = run(*options, "--test-data", tmp_path / "again.tsv", tmp_path / "few.tsv", out="beside")
    plain, found = read(alone), read(beside)
    assert plain["contenders"][0]["members"][0]["valid"] == found["contenders"][0]["members"][0]["valid"]
    for one, other, again in zip(
        plain["contenders"], found["contenders"], found["others"]["again"]["contenders"], strict=True
    ):
        assert one["figures"] == other["figures"]
        assert other["figures"] == again["figures"]
        assert one["name"] == again["name"]
    assert found["others"]["again"]["differences"] == found["differences"]
    assert found["leaked"] == 0
    assert found["others"]["few"]["leaked"] == 1
    said = [row[1:4] for row in lines(beside / "predictions.few.tsv")[1:]]
    assert [(name, label) for name, label, _ in said] == [
        ("line_2", "rich"),
        ("line_3", "rich"),
        ("line_4", "poor"),
    ]
    assert said[0][2] == "rich"
    over = {row[3] for row in lines(beside / "figures.tsv")[1:]}
    assert over == {"all", "again", "few", "few, without leaks"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sequence\tlabel\nACGTACGT\tpoor\nACGTACGG\tmiddling\n", "more.tsv:3: the label is 'middling', which is not"),
        ("sequence\nACGTACGT\n", "more.tsv: no column 'label'; it has 'sequence'"),
        ("sequence\tlabel\nACGTACXT\tpoor\n", "more.tsv:2: "),
    ],
    ids=["class", "none", "letter"],
)
def test_other_data_that_cannot_test_is_refused(run, tmp_path, capsys, text, said):
    (tmp_path / "more.tsv").write_text(text)
    run(*ALONE, "--test-data", tmp_path / "more.tsv", code=1)
    assert said in capsys.readouterr().err


def test_other_data_is_of_one_model(run, table, tmp_path, capsys):
    run(*ALONE, "--test-data", table, "--folds", 2, code=2)
    assert "--test-data is of one model" in capsys.readouterr().err
    run(*ALONE, "--test-data", table, table, code=2)
    assert "'data' is a part already" in capsys.readouterr().err
    # Its figures would stand in the place of those of the test part.
    shutil.copy(table, tmp_path / "all.tsv")
    run(*ALONE, "--test-data", tmp_path / "all.tsv", code=2)
    assert "'all' is a part already" in capsys.readouterr().err
