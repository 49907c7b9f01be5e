"""`genomamba finetune` and `genomamba predict`: run folders, folds, sweeps, going on, and every kind of output."""

import itertools
import json
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import genomamba
from genomamba.cli.main import main
from genomamba.config import ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import save_model

ALONE = ("--baselines", "none", "--no-report")
QUICK = ("--epochs", "2", "--batch-size", "10", "--threads", "1", "--learning-rate", "1e-2", *ALONE)


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "trunk"
    folder.mkdir()
    torch.manual_seed(5)
    save_model(folder, LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4, direction="bidirectional")), {})
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """60 sequences of 20 bases, half of them rich in G."""
    generator = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "data.tsv"
    rows = ["name\tsequence\tlabel\tsplit"]
    for i in range(60):
        text = "".join(generator.choice(list("ACGT"), 20, p=[0.1, 0.1, 0.7, 0.1] if i % 2 else None))
        part = "train" if i < 36 else "valid" if i < 46 else "test"
        rows.append(f"s{i}\t{text}\t{'rich' if i % 2 else 'poor'}\t{part}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def run_folder(trunk, table, tmp_path_factory):
    """A model with a head."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ("--epochs", "8", "--batch-size", "10", "--threads", "1", "--learning-rate", "2e-2", *ALONE)
    assert main(["finetune", str(trunk), "--data", str(table), "--out", str(out), *options]) == 0
    return out


def weights(folder, file="model.safetensors"):
    return {name: tensor.tolist() for name, tensor in load_file(folder / file).items()}


def heads(folder):
    return weights(folder, "head.safetensors")


def test_a_run_leaves_a_model_its_figures_and_what_it_was_told(run_folder, table):
    assert {path.name for path in run_folder.iterdir()} == {
        "config.json", "config.yaml", "data.yaml", "figures.json", "figures.tsv", "head.safetensors", "members",
        "model.safetensors", "parts.yaml", "predictions.tsv", "run.json",
    }  # fmt: skip
    evaluation = json.loads((run_folder / "figures.json").read_text())
    (finetuned,) = evaluation["contenders"]
    figure = finetuned["figures"]["accuracy"]
    assert figure["rows"] == 14
    assert figure["low"] <= figure["value"] <= figure["high"]
    assert json.loads((run_folder / "run.json").read_text())["status"] == "finished"
    predictions = (run_folder / "predictions.tsv").read_text().splitlines()
    assert predictions[0].split("\t") == ["trial", "name", "label", "prediction", "p_poor", "p_rich"]
    right = [line.split("\t")[2] == line.split("\t")[3] for line in predictions[1:]]
    assert np.mean(right) == figure["value"]
    loaded = genomamba.SequenceClassifier.load(run_folder)
    assert loaded.classes_.tolist() == ["poor", "rich"]
    texts = [line.split("\t")[1] for line in table.read_text().splitlines()[47:]]
    assert loaded.predict(texts).tolist() == [line.split("\t")[3] for line in predictions[1:]]
    assert genomamba.from_pretrained(run_folder).config.d_model == 8


def test_a_killed_run_goes_on_to_the_same_bits(trunk, table, tmp_path, monkeypatch, capsys):
    given = ["finetune", str(trunk), "--data", str(table), *QUICK, "--learning-rate", "1e-2,1e-3", "--dropout", "0.3"]
    assert main([*given, "--out", str(tmp_path / "unbroken")]) == 0
    from genomamba.classify import fitting

    step, steps = fitting.Fit._step, []

    def killed(self):
        steps.append(1)
        if len(steps) == 14:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(fitting.Fit, "_step", killed)
    assert main([*given, "--out", str(tmp_path / "killed")]) == 130
    assert main([*given, "--out", str(tmp_path / "killed")]) == 1
    assert "--resume goes on with it" in capsys.readouterr().err
    assert main([*given, "--out", str(tmp_path / "killed"), "--resume", "--dropout", "0.2"]) == 1
    assert "the run was started with --dropout 0.3" in capsys.readouterr().err
    other = tmp_path / "other"
    shutil.copytree(trunk, other)
    assert main(["finetune", str(other), *given[2:], "--out", str(tmp_path / "killed"), "--resume"]) == 1
    assert f"the run was started with the model {trunk}, now it is {other}" in capsys.readouterr().err
    # The pages of classifiers are not those of pretraining.
    assert main(["report", str(tmp_path / "unbroken")]) == 1
    assert "holds a classifier, whose page was written with it" in capsys.readouterr().err
    assert main([*given, "--out", str(tmp_path / "killed"), "--resume"]) == 0
    assert re.search(r"killed.*: going on from step \d", capsys.readouterr().err)
    assert weights(tmp_path / "killed") == weights(tmp_path / "unbroken")
    assert heads(tmp_path / "killed") == heads(tmp_path / "unbroken")
    # The first learning rate was done and is not done again.
    assert len(steps) < 14 + 12


def test_a_sweep_is_decided_by_validation(trunk, table, tmp_path):
    out = tmp_path / "run"
    assert main(["finetune", str(trunk), "--data", str(table), "--out", str(out), *QUICK,
                 "--learning-rate", "1e-9,2e-2"]) == 0  # fmt: skip
    evaluation = json.loads((out / "figures.json").read_text())
    assert evaluation["kept"] == "seed-0/lr-0.02"
    losses = {one["learning_rate"]: one["valid_loss"] for one in evaluation["learning_rates"][0]}
    assert losses[2e-2] < losses[1e-9]
    assert weights(out) == weights(out / "members" / "seed-0" / "lr-0.02")


def test_every_sequence_is_tested_in_one_fold(trunk, table, tmp_path):
    out = tmp_path / "run"
    assert main(["finetune", str(trunk), "--data", str(table), "--out", str(out), *QUICK, "--folds", "3"]) == 0
    evaluation = json.loads((out / "figures.json").read_text())
    (finetuned,) = evaluation["contenders"]
    assert [row["test"] for row in finetuned["members"]] == [20, 20, 20]
    assert finetuned["over_members"]["accuracy"]["members"] == 3
    assert finetuned["figures"]["accuracy"]["rows"] == 60
    names = [line.split("\t")[1] for line in (out / "predictions.tsv").read_text().splitlines()[1:]]
    assert sorted(names) == sorted(f"s{i}" for i in range(60))


def test_only_the_head_is_trained_where_that_is_asked_for(trunk, table, tmp_path):
    out = tmp_path / "run"
    given = ["finetune", str(trunk), "--data", str(table), "--out", str(out), *QUICK]
    assert main([*given, "--freeze", "--repeats", "2"]) == 0
    assert weights(out) == weights(trunk)
    figures = json.loads((out / "figures.json").read_text())
    assert figures["contenders"][0]["over_members"]["accuracy"]["members"] == 2
    assert figures["contenders"][0]["trained"] == 18
    losses = {row["member"]: row["valid_loss"] for row in figures["trained"]}
    assert figures["kept"] == min(losses, key=losses.get)
    assert heads(out) == heads(out / "members" / figures["kept"])
    assert main([*given, "--force"]) == 0
    assert weights(out) != weights(trunk)
    assert sorted(path.name for path in (out / "members").iterdir()) == ["seed-0"]


def test_baselines_stand_beside(trunk, table, tmp_path, capsys):
    out = tmp_path / "run"
    given = ["finetune", str(trunk), "--data", str(table), "--out", str(out), *QUICK[:-3], "--repeats", "2"]
    assert main([*given, "--baselines", "majority,one-hot,random", "--learning-rate", "1e-9,2e-2", "--no-report"]) == 0
    evaluation = json.loads((out / "figures.json").read_text())
    names = [one["name"] for one in evaluation["contenders"]]
    assert names == ["finetuned", "majority", "one-hot", "random"]
    random = evaluation["contenders"][3]
    assert [one["chosen"]["learning_rate"] for one in random["members"]] == [2e-2, 2e-2]
    drawn = [weights(out / "members" / "random" / f"seed-{seed}" / "lr-1e-09") for seed in (0, 1)]
    assert drawn[0] != drawn[1]
    assert evaluation["best_baseline"] == min(evaluation["contenders"][1:], key=lambda one: one["cost"])["name"]
    assert "random" not in evaluation["kept"]
    shown = capsys.readouterr().out
    assert f"finetuned against {evaluation['best_baseline']}, the baseline with the least error" in shown
    header = (out / "predictions.tsv").read_text().splitlines()[0].split("\t")
    assert header[-3:] == ["majority", "one-hot", "random"]
    # Weights that are drawn anyway have no such baseline.
    assert main([*given, "--random-weights", "--baselines", "random", "--no-report", "--force"]) == 0
    evaluation = json.loads((out / "figures.json").read_text())
    assert evaluation["left_out"] == {"random": "the model itself has weights that were drawn"}


def test_numbers_and_bases(trunk, table, tmp_path):
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    numbers = tmp_path / "numbers.tsv"
    numbers.write_text("sequence\tlabel\n" + "".join(f"{row[1]}\t{row[1].count('G') / 8}\n" for row in rows))
    assert main(["finetune", str(trunk), "--data", str(numbers), "--out", str(tmp_path / "numbers"), *QUICK]) == 0
    evaluation = json.loads((tmp_path / "numbers" / "figures.json").read_text())
    assert set(evaluation["contenders"][0]["figures"]) == {"pearson", "spearman"}
    (tmp_path / "g.fa").write_text(">c\n" + "".join(row[1] for row in rows) + "\n")
    (tmp_path / "b.bed").write_text("".join(f"c\t{20 * i}\t{20 * i + 10}\thigh\n" for i in range(60)))
    given = ["--fasta", str(tmp_path / "g.fa"), "--base-labels", str(tmp_path / "b.bed"), "--window", "40"]
    assert main(["finetune", str(trunk), *given, "--out", str(tmp_path / "bases"), *QUICK]) == 0
    figures = json.loads((tmp_path / "bases" / "figures.json").read_text())
    accuracy = figures["contenders"][0]["figures"]["accuracy"]
    assert 0 <= accuracy["low"] < accuracy["value"] < accuracy["high"] <= 1
    track = tmp_path / "bases.bedgraph"
    given = ["--fasta", str(tmp_path / "g.fa"), "--window", "40", "--class-name", "high", "--threads", "1"]
    assert main(["predict", str(tmp_path / "bases"), *given, "--out", str(track)]) == 0
    lines = [line.split("\t") for line in track.read_text().splitlines()]
    assert [(int(one[1]), int(one[2])) for one in lines] == [(i, i + 1) for i in range(1200)]


@pytest.mark.parametrize("command", ["finetune", "probe"])
def test_a_page_is_written_where_leaks_are_dropped(trunk, table, tmp_path, command):
    header, *rows = (line.split("\t") for line in table.read_text().splitlines())
    # The last two rows, which test, are the first two, which train.
    rows = [*rows[:-2], *([last[0], first[1], *last[2:]] for first, last in zip(rows[:2], rows[-2:], strict=True))]
    (tmp_path / "d.tsv").write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
    given = [
        command,
        str(trunk),
        "--data",
        str(tmp_path / "d.tsv"),
        "--drop-leaks",
        "--baselines",
        "none",
        "--threads",
        "1",
    ]
    given += ["--epochs", "1"] if command == "finetune" else []
    assert main([*given, "--out", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "of 14 sequences of test, 2 are in train too" in page


def test_a_table_is_predicted(run_folder, table, tmp_path):
    out = tmp_path / "said.tsv"
    assert main(["predict", str(run_folder), "--data", str(table), "--threads", "1", "--out", str(out)]) == 0
    lines = [line.split("\t") for line in out.read_text().splitlines()]
    assert lines[0] == ["name", "label", "prediction", "p_poor", "p_rich"]
    texts = [line.split("\t")[1] for line in table.read_text().splitlines()[1:]]
    expected = genomamba.SequenceClassifier.load(run_folder).predict_proba(texts)
    assert np.array([line[3:] for line in lines[1:]], float) == pytest.approx(expected, abs=1e-6)
    parquet = pytest.importorskip("pyarrow.parquet")
    assert main(["predict", str(run_folder), "--data", str(table), "--out", str(tmp_path / "said.parquet")]) == 0
    assert np.array(parquet.read_table(tmp_path / "said.parquet")["p_rich"]) == pytest.approx(expected[:, 1], abs=1e-6)


def test_figures_of_rows_that_were_learnt_from_are_told_to_be_none_of_a_test(run_folder, table, tmp_path, capsys):
    other = tmp_path / "other.tsv"
    other.write_text("\n".join(table.read_text().splitlines()[:40]) + "\n")
    for data, is_told in ((table, True), (other, False)):
        capsys.readouterr()
        assert (
            main(["predict", str(run_folder), "--data", str(data), "--threads", "1", "--out", f"{data}.said.tsv"]) == 0
        )
        shown = capsys.readouterr().out
        assert "accuracy" in shown
        assert ("has learnt from some of these rows" in shown) == is_told


def test_labels_that_are_known_judge_what_is_said(run_folder, table, tmp_path, capsys):
    given = ["predict", str(run_folder), "--threads", "1", "--data"]
    rows = table.read_text().splitlines()
    # Those of the test part, and classes in another order: the figures are those of the run.
    chosen = sorted((row for row in rows if row.endswith("test")), key=lambda row: row.split("\t")[2], reverse=True)
    (tmp_path / "more.tsv").write_text("\n".join([rows[0], *chosen]) + "\n")
    out, metrics = str(tmp_path / "said.tsv"), tmp_path / "metrics.tsv"
    assert main([*given, str(tmp_path / "more.tsv"), "--out", out, "--metrics", str(metrics)]) == 0
    words = capsys.readouterr().out
    figures = json.loads((run_folder / "figures.json").read_text())["contenders"][0]["figures"]
    found = {tuple(line.split("\t")[:2]): line.split("\t")[2:] for line in metrics.read_text().splitlines()[1:]}
    for name, figure in figures.items():
        value, _, _, count = found["", name]
        assert float(value) == pytest.approx(figure["value"], abs=1e-5)
        assert count == "14"
        assert f"{figure['value']:.4f}" in words
    assert {name for name, _ in found} == {"", "poor", "rich"}
    # A class that the model does not tell: what is said is written, and there are no figures.
    (tmp_path / "odd.tsv").write_text("sequence\tlabel\nACGT\tpoor\nACGG\todd\n")
    assert main([*given, str(tmp_path / "odd.tsv"), "--out", out, "--force"]) == 0
    assert "odd.tsv:3: the label is 'odd', which is not learnt; there are poor, rich; so" in capsys.readouterr().out
    assert main([*given, str(tmp_path / "odd.tsv"), "--out", out, "--metrics", str(metrics), "--force"]) == 1
    assert "odd.tsv:3" in capsys.readouterr().err
    (tmp_path / "bare.tsv").write_text("sequence\nACGT\n")
    assert main([*given, str(tmp_path / "bare.tsv"), "--out", out, "--force"]) == 0
    assert capsys.readouterr().out == f"{out}: 1 rows\n"


def test_labels_are_judged_as_the_head_has_them(trunk, tmp_path, capsys):
    generator = np.random.default_rng(3)
    texts = ["".join(generator.choice(list("ACGT"), 12)) for _ in range(66)]
    # More whole numbers than are taken for classes by themselves.
    (tmp_path / "many.tsv").write_text("sequence\tlabel\n" + "".join(f"{t}\t{i % 22}\n" for i, t in enumerate(texts)))
    (tmp_path / "odd.tsv").write_text(
        "sequence\tlabel\n" + "".join(f"{t}\t{i / 8 if i else 'x'}\n" for i, t in enumerate(texts))
    )
    quick = ("--epochs", "1", "--batch-size", "33", "--threads", "1", *ALONE)
    data = ["--data", str(tmp_path / "many.tsv")]
    for kind in ("single", "regression"):
        out = str(tmp_path / kind)
        assert main(["finetune", str(trunk), *data, "--kind", kind, "--out", out, *quick]) == 0
        assert main(["predict", out, *data, "--threads", "1", "--out", f"{out}.tsv", "--metrics", f"{out}.m.tsv"]) == 0
        assert ": 66 labels; figures" in capsys.readouterr().out
        labels = [line.split("\t")[1] for line in (tmp_path / f"{kind}.tsv").read_text().splitlines()[1:]]
        assert labels == [str(i % 22) for i in range(66)]
    # A slip among numbers leaves no figures, and what is said is written.
    given = ["predict", str(tmp_path / "regression"), "--data", str(tmp_path / "odd.tsv"), "--threads", "1"]
    assert main([*given, "--out", str(tmp_path / "said.tsv")]) == 0
    assert "odd.tsv:2: the label is 'x', expected a number" in capsys.readouterr().out


def test_a_genome_is_predicted_window_by_window(run_folder, tmp_path, monkeypatch):
    text = "".join(np.random.default_rng(1).choice(list("ACGT"), 205))
    (tmp_path / "g.fa").write_text(f">one\n{text}\n>two\nACGTACG\n")
    monkeypatch.setattr("genomamba.classify.predict_session._PART_BASES", 64)
    given = ["predict", str(run_folder), "--fasta", str(tmp_path / "g.fa"), "--threads", "1"]
    assert main([*given, "--window", "20", "--stride", "10", "--out", str(tmp_path / "w.bedgraph")]) == 0
    lines = [line.split("\t") for line in (tmp_path / "w.bedgraph").read_text().splitlines()]
    borders = [(one[0], int(one[1]), int(one[2])) for one in lines]
    assert borders[:2] == [("one", 0, 15), ("one", 15, 25)]
    assert borders[-2:] == [("one", 195, 205), ("two", 0, 7)]
    assert all(end == start for (_, _, end), (_, start, _) in itertools.pairwise(borders[:-1]))
    loaded = genomamba.SequenceClassifier.load(run_folder)
    expected = loaded.predict_proba([text[:20], text[10:30], text[185:205], "ACGTACG"])[:, 1]
    assert [float(lines[i][3]) for i in (0, 1, -2, -1)] == pytest.approx(expected.tolist(), abs=1e-4)
    assert main([*given, "--window", "20", "--stride", "20", "--out", str(tmp_path / "w.tsv")]) == 0
    rows = [line.split("\t") for line in (tmp_path / "w.tsv").read_text().splitlines()]
    assert rows[0] == ["contig", "start", "end", "strand", "prediction", "p_poor", "p_rich"]
    assert [row[1] for row in rows[1:3]] == ["0", "20"]
    (tmp_path / "b.bed").write_text("one\t10\t30\tx\t0\t-\n")
    assert main([*given, "--bed", str(tmp_path / "b.bed"), "--out", str(tmp_path / "b.tsv")]) == 0
    other = text[10:30][::-1].translate(str.maketrans("ACGT", "TGCA"))
    row = (tmp_path / "b.tsv").read_text().splitlines()[1].split("\t")
    assert row[:4] == ["one", "10", "30", "-"]
    assert float(row[6]) == pytest.approx(loaded.predict_proba([other])[0, 1], abs=1e-5)
    assert main([*given, "--out", str(tmp_path / "all.tsv")]) == 0
    assert [line.split("\t")[0] for line in (tmp_path / "all.tsv").read_text().splitlines()] == ["name", "one", "two"]


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ((), 2, "no file to write"),
        (("--out", "x.tsv"), 2, "name sequences by --data, or by --fasta"),
        (("--bed", "x.bed", "--out", "x.tsv"), 2, "give it by --fasta"),
        (("--out", "x.csv", "--fasta", "g.fa"), 2, "its name must end with"),
        (("--out", "x.bedgraph", "--fasta", "g.fa"), 2, "a bedGraph is of windows"),
        (("--out", "x.tsv", "--fasta", "g.fa", "--window", "5", "--stride", "9"), 2, "--stride is 9; it must be 5"),
        (("--out", "x.bedgraph", "--fasta", "g.fa", "--window", "9", "--class-name", "odd"), 2, "tells poor, rich"),
        (("--out", "x.tsv", "--data", "no.tsv"), 1, "no.tsv: no such file"),
        (("--out", "no/x.tsv", "--fasta", "g.fa"), 1, "there is no folder no"),
    ],
    ids=str,
)
def test_bad_uses_of_predict_are_told(run_folder, tmp_path, monkeypatch, capsys, options, code, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.fa").write_text(">one\nACGTACGTACGT\n")
    assert main(["predict", str(run_folder), *options]) == code
    assert told in capsys.readouterr().err
    assert not list(tmp_path.glob("x.*"))


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ((), 2, "no run folder"),
        (("--out", "run", "--folds", "1"), 2, "--folds is 1"),
        (("--out", "run", "--epochs", "0"), 2, "--epochs is 0"),
        (("--out", "run", "--baselines", "cnn,knn"), 2, "--baselines names 'knn'; give none alone, or some of"),
        (("--out", "run", "--learning-rate", "1e-3,1e-2", "--valid-share", "0", "--split-by", "random"), 2,
         "nothing validates to choose by"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_uses_of_finetune_are_told(trunk, table, tmp_path, monkeypatch, capsys, options, code, told):
    monkeypatch.chdir(tmp_path)
    assert main(["finetune", str(trunk), "--data", str(table), *options]) == code
    assert told in capsys.readouterr().err


def test_a_model_without_a_head_predicts_nothing(trunk, table, tmp_path, capsys):
    assert main(["predict", str(trunk), "--data", str(table), "--out", str(tmp_path / "x.tsv")]) == 1
    assert "train one by genomamba finetune" in capsys.readouterr().err


def test_a_network_that_tells_classes_predicts_no_bases(run_folder, trunk, table, tmp_path, capsys):
    causal = tmp_path / "causal"
    causal.mkdir()
    save_model(causal, LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4)), {})
    given = ["finetune", str(causal), "--data", str(table), "--threads", "1", "--epochs", "1"]
    for name, options, code in (("all", (), 2), ("head", ("--freeze",), 0)):
        assert main([*given, "--out", str(tmp_path / name), *options]) == 0
        (tmp_path / "g.fa").write_text(">one\nACGTACGTACGT\n")
        out = tmp_path / f"{name}.tsv"
        assert main(["likelihood", str(tmp_path / name), "--fasta", str(tmp_path / "g.fa"), "--out", str(out)]) == code
        told = capsys.readouterr().err
        assert ("was trained to tell labels, and predicts no bases" in told) == (code == 2)
        (tmp_path / "v.vcf").write_text(
            "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\none\t5\t.\tA\tC\t.\t.\t.\n"
        )
        fasta = ("--fasta", str(tmp_path / "g.fa"))
        for command in (
            ("score", *fasta, "--vcf", str(tmp_path / "v.vcf"), "--out", str(tmp_path / f"{name}.vcf")),
            ("generate", "--length", "3"),
            ("evaluate", *fasta, "--contexts", "4", "--block-size", "2", "--blocks", "1"),
        ):
            assert main([command[0], str(tmp_path / name), *command[1:]]) == code, command
            assert ("trained to tell labels, and predicts no bases" in capsys.readouterr().err) == (code == 2)
