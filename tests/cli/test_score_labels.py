"""`genomamba score --labels --report` and the same of `genomamba merge`, on models that were trained."""

import csv
import json
import re

import numpy as np
import pytest
import sklearn.metrics

from genomamba.alphabet import get_alphabet
from genomamba.cli.main import main
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.score.variants import steps
from genomamba.score.variants.baselines import MarkovScorer

OPTIONS = ("--context", "64", "--horizon", "16")
HEADER = """\
##fileformat=VCFv4.2
##INFO=<ID=FC,Number=1,Type=String,Description="Class">
##INFO=<ID=FS,Number=1,Type=Float,Description="Score">
##INFO=<ID=CADD,Number=A,Type=Float,Description="Another score">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""


@pytest.fixture
def labelled(masked_on, tmp_path):
    """A VCF of single bases with classes, numbers and another score, some of them missing."""
    text = "".join((masked_on / "made.fa").read_text().split(">one\n")[1].split(">")[0].split()).upper()
    generator = np.random.default_rng(1)
    lines = []
    for i, pos in enumerate(sorted(generator.choice(np.arange(200, 2_800), 300, replace=False).tolist())):
        ref = text[pos - 1]
        alts = generator.permutation([base for base in "ACGT" if base != ref])[: 1 + (i % 10 == 0)]
        cadd = ",".join(f"{value:.3f}" for value in generator.normal(0, 1, len(alts)))
        info = [f"FS={generator.normal():.3f}", f"CADD={cadd}"]
        if i % 7:
            info.append(f"FC={generator.choice(['LOF', 'INT', 'FUNC'])}")
        alt = ",".join(alts) if i != 5 else "<DEL>"
        lines.append(f"one\t{pos}\trs{i}\t{ref}\t{alt}\t.\tPASS\t{';'.join(info)}\n")
    (tmp_path / "calls.vcf").write_text(HEADER + "".join(lines))
    return tmp_path / "calls.vcf"


@pytest.fixture
def score(labelled, masked_on, monkeypatch, capsys):
    """Score the labelled file; return what was said."""
    monkeypatch.chdir(masked_on)

    def run(*options, out="scored.vcf", model="run", code=0):
        given = ["score", model, "--fasta", "made.fa", "--vcf", str(labelled), "--threads", "1", *OPTIONS[:2]]
        given += OPTIONS[2:] if model == "run" else ()
        assert main([*given, "--out", str(labelled.with_name(out)), *map(str, options)]) == code
        return capsys.readouterr().err

    return run


def alleles_of(path):
    """Alleles of a scored file: variant, label, number, other score, and what we wrote."""
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        row = line.split("\t")
        info = dict(field.partition("=")[::2] for field in row[7].split(";"))
        for i, alt in enumerate(row[4].split(",")):
            llr = info["GM_LLR"].split(",")[i]
            yield (
                Variant(row[0], int(row[1]) - 1, row[3], alt),
                info.get("FC"),
                float(info["FS"]),
                float(info["CADD"].split(",")[i]),
                float(llr) if llr != "." else float("nan"),
            )


def rows_of(path):
    return {row["score"]: row for row in csv.DictReader(path.open(), delimiter="\t")}


def test_classes_get_what_scikit_learn_gets_from_the_file(score, labelled, masked_on):
    metrics = labelled.with_name("m.tsv")
    page = labelled.with_name("scored.html")
    asked = ("--labels", "FC", "--positive", "LOF", "--compare", "CADD")
    shown = score(*asked, "--metrics", metrics, "--report", page)
    rows = rows_of(metrics)
    assert list(rows) == ["-llr", "Markov, order 8", "random weights", "CADD"]
    scored = labelled.with_name("scored.vcf")
    known = [one for one in alleles_of(scored) if one[1] and not np.isnan(one[4])]
    truth = [one[1] == "LOF" for one in known]
    assert rows["-llr"]["alleles"] == str(len(known))
    assert rows["-llr"]["positives"] == str(sum(truth))
    genome = Genome.open([masked_on / "made.fa"], get_alphabet("dna"), contigs=("*",), progress=False)
    markov = MarkovScorer(genome, 8).scores([("one", one[0]) for one in known])
    # The file has six digits of a score, which may make ties.
    for name, values in (("-llr", [-one[4] for one in known]), ("Markov, order 8", -markov)):
        assert float(rows[name]["auroc"]) == pytest.approx(sklearn.metrics.roc_auc_score(truth, values), abs=1e-3)
        assert float(rows[name]["auprc"]) == pytest.approx(
            sklearn.metrics.average_precision_score(truth, values), abs=2e-3
        )
    with_del = [one for one in alleles_of(scored) if one[1]]
    assert rows["CADD"]["alleles"] == str(len(with_del))
    assert float(rows["CADD"]["auroc"]) == pytest.approx(
        sklearn.metrics.roc_auc_score([one[1] == "LOF" for one in with_del], [one[3] for one in with_del]), abs=1e-6
    )
    best = max(list(rows)[1:], key=lambda name: float(rows[name]["auroc"]))
    assert rows["-llr"]["best_other"] == best
    assert rows[best]["best_other"] == "NA"
    assert float(rows["-llr"]["difference_low"]) <= float(rows["-llr"]["difference"])
    # What is printed says what was compared with what.
    assert re.search(r"calls\.vcf: \d+ of 330 alleles have FC: .*; positive: LOF", shown)
    assert "FC: LOF against the rest" in shown
    assert "the sites scored here among them" in shown
    assert "Higher stands for less likely: -llr is llr with its sign turned" in shown
    assert re.search(r"^-llr +\d+  0\.\d{3} \[0\.\d+, 0\.\d+\].*[+-]0\.\d+ \[.*\], p ", shown, re.M)
    assert f"AUROC less that of {best} [95 %]" in shown
    # The page says the same.
    text = page.read_text()
    for said in ("<h1>calls.vcf</h1>", "<th>\u2212llr</th>", "<th>random weights</th>", "SYMBOLIC", "one:"):
        assert said in text, said
    assert f">{float(rows['CADD']['auroc']):.3f} [" in text
    assert f"AUROC of \u2212llr less that of {best}: " in text
    assert text.count("<tr><td>one:") == 200


def test_numbers_get_correlations_and_json(score, labelled):
    metrics = labelled.with_name("m.json")
    score("--labels", "FS", "--compare", "CADD", "--metrics", metrics, "--baselines", "markov", "--markov-order", "2")
    found = json.loads(metrics.read_text())
    rows = {row["score"]: row for row in found["scores"]}
    assert list(rows) == ["-llr", "Markov, order 2", "CADD"]
    known = [one for one in alleles_of(labelled.with_name("scored.vcf")) if not np.isnan(one[4])]
    ranks = [np.argsort(np.argsort([one[i] for one in known])) for i in (2, 3)]
    expected = np.corrcoef([-one[4] for one in known], [one[2] for one in known])[0, 1]
    assert rows["-llr"]["pearson"] == pytest.approx(expected, abs=1e-4)
    assert rows["CADD"]["spearman"] == pytest.approx(np.corrcoef(ranks)[0, 1], abs=0.05)
    assert found["draws"] == 1_000
    assert "positives" not in rows["-llr"]


def test_a_masked_model_and_its_distances_keep_their_directions(score, labelled):
    metrics = labelled.with_name("m.tsv")
    options = ("--labels", "FC", "--positive", "LOF", "--metrics", metrics, "--baselines", "none")
    score("--scores", "wt_marginal,divergence", *options, model="masked")
    assert list(rows_of(metrics)) == ["-wt_marginal", "js_divergence", "influence"]


def test_an_interrupted_command_goes_on_with_the_untrained_network_too(score, labelled, monkeypatch):
    monkeypatch.setattr(steps, "PART", 64)
    options = ("--labels", "FC", "--positive", "LOF", "--metrics")
    score(*options, labelled.with_name("unbroken.tsv"))
    finish, done = steps.Partial.finish, []

    def stopped(self, part, sums):
        finish(self, part, sums)
        done.append(self.folder.name)
        if done.count("random") == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(steps.Partial, "finish", stopped)
    out = labelled.with_name("stopped.vcf")
    score(*options, labelled.with_name("m.tsv"), out=out.name, code=130)
    assert not out.exists()
    done.clear()
    monkeypatch.setattr(steps.Partial, "finish", finish)
    made = []
    monkeypatch.setattr(steps.Partial, "write", lambda self, *a, do=steps.Partial.write: (made.append(1), do(self, *a)))
    score(*options, labelled.with_name("m.tsv"), "--resume", out=out.name)
    assert labelled.with_name("m.tsv").read_bytes() == labelled.with_name("unbroken.tsv").read_bytes()
    # Of the five parts of labelled records, two were there.
    assert len(made) == 3
    assert not out.with_name("stopped.vcf.partial").exists()


def test_a_file_that_was_scored_is_studied_by_merge(score, labelled, tmp_path, capsys):
    asked = ("--labels", "FC", "--positive", "LOF", "--compare", "CADD")
    score(*asked, "--baselines", "markov", "--metrics", tmp_path / "m.tsv")
    for i in (1, 2):
        score("--shard", f"{i}/2", out=f"part{i}.vcf")
    parts = [str(tmp_path / f"part{i}.vcf") for i in (1, 2)]
    files = ("--metrics", str(tmp_path / "again.tsv"), "--report", str(tmp_path / "again.html"))
    assert main(["merge", *parts, "--out", str(tmp_path / "all.vcf"), *asked, *files, "--fasta", "made.fa"]) == 0
    before, after = rows_of(tmp_path / "m.tsv"), rows_of(tmp_path / "again.tsv")
    assert list(before) == list(after)
    for name, row in before.items():
        assert float(after[name]["auroc"]) == pytest.approx(float(row["auroc"]), abs=1e-3)
        assert after[name]["alleles"] == row["alleles"]
    page = (tmp_path / "again.html").read_text()
    assert "transversion" in page
    assert "genomamba merge " in page
    # Without a genome there is no Markov model; without --out nothing is copied.
    capsys.readouterr()
    assert main(["merge", str(tmp_path / "all.vcf"), *asked, "--report", str(tmp_path / "third.html")]) == 0
    assert re.search(r"^-llr +\d+ ", capsys.readouterr().err, re.M)
    assert "transition, CpG" not in (tmp_path / "third.html").read_text()
    assert sorted(path.name for path in tmp_path.glob("*.vcf")) == [
        "all.vcf", "calls.vcf", "part1.vcf", "part2.vcf", "scored.vcf",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--labels", "FC"), "FC is a class: "),
        (("--labels", "FC", "--shard", "1/2"), "--labels takes all records; score the shards, and give --labels to"),
        (("--positive", "LOF"), "--positive is about labels; name their field by --labels"),
        (("--metrics", "m.tsv"), "--metrics is about labels; name their field by --labels"),
        (("--labels", "FC", "--baselines", "none,markov"), "--baselines is none,markov; none stands alone"),
        (("--labels", "FC", "--baselines", "cnn"), "--baselines is 'cnn'; it must be one of markov, random, none"),
        (("--labels", "FS", "--compare", "CAD"), "--compare is CAD, which no record that is taken has; did you mean"),
        (("--labels", "FS", "--markov-order", "99"), "--markov-order is 99; it must lie between 0 and 12"),
        (
            ("--labels", "FS", "--metrics", "a.b", "--report", "a.b"),
            "--report is a.b, and so is --metrics; give another name",
        ),
        (("--report", "nowhere/a.html"), "there is no folder nowhere"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_one_line_before_anything_is_scored(score, labelled, options, message):
    out = labelled.with_name("scored.vcf")
    is_usage = not message.startswith(("FC is", "--compare is CAD", "there is"))
    shown = score(*options, code=2 if is_usage else 1)
    *before, last = shown.splitlines()
    assert message in last
    # What the file holds may have been said.
    assert all("alleles" in line or line.startswith("run: llr") for line in before)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        (("--labels", "DP"), "its header declares no scores of genomamba", 1),
        (("--metrics", "m.tsv"), "--metrics is about a study of the scores; ask for one by --labels or --report", 2),
        ((), "no file to write; name one by --out", 2),
        (("--report", "calls.vcf", "--force"), "--report is calls.vcf, one of the shards; give another name", 2),
        (("--out", "x.tsv", "--report", "r.html"), "labels and reports are made of a VCF or BCF", 2),
    ],
    ids=str,
)
def test_merge_refuses_what_it_cannot_study(labelled, tmp_path, monkeypatch, capsys, options, message, code):
    monkeypatch.chdir(tmp_path)
    labelled.write_text(labelled.read_text().replace("FS=", "DP="))
    given = ["--out", "merged.vcf"] if options and options[0] == "--metrics" else []
    assert main(["merge", labelled.name, *given, *options]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "merged.vcf").exists()


def test_a_dry_run_tells_the_labels(score, labelled):
    shown = score("--labels", "FC", "--positive", "LOF", "--dry-run")
    assert "alleles have FC" in shown
    assert sorted(path.name for path in labelled.parent.iterdir()) == ["calls.vcf"]
