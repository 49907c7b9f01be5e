"""What was held out, told by genome and by class of base: sums, rows, figures and words."""

import csv
import hashlib
import json
import math

import numpy as np
import pytest

from genomamba.report import words
from genomamba.train.evaluate import Scored
from genomamba.train.final import describe_evaluation
from genomamba.train.parts import figures_of, parts_in_words, parts_of


def scored(nats, bases, **by_class):
    return Scored(nats, bases, {name: Scored(*sums) for name, sums in by_class.items()})


MIXED = {
    "x/1": scored(10.0, 8, exon=(4.0, 2), other=(6.0, 6)),
    "x/2": scored(1.0, 2, exon=(0.0, 0), other=(1.0, 2)),
    # The classes of this genome's bases are not known.
    "y/1": scored(3.0, 5),
}


def test_a_mixture_is_parted_by_genome_class_and_both():
    found = {(genome, name): (one.nats, one.bases) for genome, name, one in parts_of(MIXED, is_mixture=True)}
    assert found == {
        ("", "exon"): (4.0, 2), ("", "other"): (7.0, 8),
        ("x", ""): (11.0, 10), ("x", "exon"): (4.0, 2), ("x", "other"): (7.0, 8),
        ("y", ""): (3.0, 5),
    }  # fmt: skip
    assert list(parts_of({"1": Scored(1.0, 2)}, is_mixture=False)) == []


def test_in_words():
    assert parts_in_words(MIXED, is_mixture=True) == " (x 1.5870, y 0.8656; exon 2.8854, other 1.2624)"
    assert parts_in_words({"1": Scored(1.0, 2)}, is_mixture=False) == ""


def test_figures_of_a_mixture():
    figures = figures_of(MIXED, is_mixture=True)
    assert figures["bases"] == 15
    assert {name: one["bases"] for name, one in figures["by_class"].items()} == {"exon": 2, "other": 8}
    assert {name: one["bases"] for name, one in figures["by_genome"]["x"]["by_class"].items()} == {
        "exon": 2,
        "other": 8,
    }
    assert "by_class" not in figures["by_genome"]["y"]
    assert list(figures["by_contig"]) == ["x/1", "x/2", "y/1"]


@pytest.fixture(scope="module")
def classes_bed(tmp_path_factory):
    path = tmp_path_factory.mktemp("classes") / "classes.bed"
    path.write_text("one\t0\t5000\texon\ntwo\t100\t2100\texon\ntwo\t3000\t3500\trepeat\nthree\t0\t10\texon\n")
    return path


@pytest.mark.parametrize("objective", ["next_token", "masked"])
def test_a_run_tells_classes_at_every_validation_and_at_the_end(objective, classes_bed, make_config, tmp_path):
    from genomamba.train.loop import pretrain

    shown = []
    config = make_config(classes=str(classes_bed), objective=objective, tensorboard=True)
    assert pretrain(config, command="genomamba pretrain", emit=shown.append) == 0
    run = tmp_path / "run"
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    whole = {row["step"]: row for row in rows if row["kind"] == "valid"}
    for step, row in whole.items():
        parts = [one for one in rows if one["kind"] == "valid_part" and one["step"] == step]
        assert {one["class"] for one in parts} <= {"exon", "repeat", "other"}
        summed = sum(one["loss"] * one["scored"] for one in parts) / sum(one["scored"] for one in parts)
        assert summed == pytest.approx(row["loss"])
    with (run / "metrics.csv").open() as file:
        assert [row["class"] for row in csv.DictReader(file)] == [row["class"] or "" for row in rows]
    test = json.loads((run / "evaluation.json").read_text())["splits"]["test"]
    bases = {name: one["bases"] for name, one in test["by_class"].items()}
    assert sum(bases.values()) == test["bases"]
    if objective == "next_token":
        # All of contig two is the test.
        assert bases == {"exon": 2_000, "repeat": 500, "other": 3_500}
    weighted = sum(one["bits_per_base"] * one["bases"] for one in test["by_class"].values()) / test["bases"]
    assert weighted == pytest.approx(test["bits_per_base"])
    facts, content = json.loads((run / "run.json").read_text()), classes_bed.read_bytes()
    of_file = {"path": str(classes_bed), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert facts["class_files"] == [of_file]
    assert [one["path"] for one in words.files(facts)] == [facts["inputs"][0]["path"], str(classes_bed)]
    card = json.loads((run / "dataset.json").read_text())
    assert card["classes"]["test"] == {"exon": 2_000, "repeat": 500, "other": 3_500}
    assert any("repeat" in text for text in shown)
    evaluation = json.loads((run / "evaluation.json").read_text())
    if objective == "next_token":
        markov = evaluation["markov"]
        best = next(row for row in markov["orders"] if row["order"] == markov["best_order"])
        told = markov["by_class"]["test"]
        assert sum(told[name] * bases[name] for name in bases) / test["bases"] == pytest.approx(best["test"])


def test_a_mixture_tells_classes_of_the_genomes_that_have_them(classes_bed, made_fasta, make_config, tmp_path):
    from genomamba.train.loop import pretrain

    sheet = tmp_path / "sheet.tsv"
    sheet.write_text(
        f"name\tfasta\ttest\tclasses\na\t{made_fasta}\ttwo\t{classes_bed}\nb\t{made_fasta}\ttwo\t.\n"
    )  # fmt: skip
    config = make_config(fasta=(), test=(), genomes=str(sheet), max_steps=4, valid_every=2)
    assert pretrain(config, command="genomamba pretrain", emit=print) == 0
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    test = evaluation["splits"]["test"]
    known = {"exon": 2_000, "repeat": 500, "other": 3_500}
    assert test["bases"] == 12_000
    assert {name: one["bases"] for name, one in test["by_class"].items()} == known
    assert {name: one["bases"] for name, one in test["by_genome"]["a"]["by_class"].items()} == known
    assert "by_class" not in test["by_genome"]["b"]
    assert set(evaluation["markov"]["by_class"]["test"]) == set(known)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    parts = {(row["genome"], row["class"]) for row in rows if row["kind"] == "valid_part"}
    assert {("a", None), ("b", None), ("a", "exon"), (None, "exon")} <= parts
    assert ("b", "exon") not in parts
    assert "By region class" in (tmp_path / "run" / "report.html").read_text()


def evaluation(by_class):
    """Figures of a causal run, as evaluation.json has them."""
    whole = {"bases": 12_345, "bits_per_base": 1.9, "low": 1.85, "high": 1.95, "perplexity": 3.7321}
    orders = [{"order": 0, "test": 1.98}, {"order": 3, "test": 1.92}]
    markov = {"best_order": 3, "orders": orders, "by_class": {"test": dict.fromkeys(by_class, 1.8765)}}
    parts = {"by_class": dict.fromkeys(by_class, whole | {"low": None, "high": None})}
    return {"alphabet": "dna", "objective": "next_token", "markov": markov, "splits": {"test": whole | parts}}


def test_every_figure_of_the_table_stands_under_its_heading():
    header, whole, part = describe_evaluation(evaluation(["exon"])).splitlines()
    ends = {heading: header.index(heading) + len(heading) for heading in
            ("bases", "genomamba", "95 % interval", "Markov order 3", "order 0", "perplexity")}  # fmt: skip
    told = {"bases": "12,345", "genomamba": "1.9000", "perplexity": "3.7321"}
    for heading, value in (told | {"95 % interval": "1.8500 to 1.9500", "order 0": "1.9800"}).items():
        assert whole[: ends[heading]].endswith(value)
    for heading, value in (told | {"Markov order 3": "1.8765", "order 0": " "}).items():
        assert part[: ends[heading]].endswith(value)
    assert part[ends["perplexity"] :] == "  exon"


def test_an_interval_is_told_of_blocks_that_differ_and_not_of_few():
    generator = np.random.default_rng(0)
    bits = generator.normal(1.9, 0.1, 50)
    blocks = {number: (100 * math.log(2) * one, 100) for number, one in enumerate(bits.tolist())}
    found = figures_of({"1": Scored(sum(x for x, _ in blocks.values()), 5_000, {}, blocks)}, is_mixture=False)
    # Of a mean of 50 numbers: 1.96 standard errors to either side.
    half = 1.96 * bits.std() / math.sqrt(50)
    assert found["bits_per_base"] - found["low"] == pytest.approx(half, rel=0.1)
    assert found["high"] - found["bits_per_base"] == pytest.approx(half, rel=0.1)
    backwards = dict(reversed(blocks.items()))
    assert (
        figures_of({"1": Scored(sum(x for x, _ in blocks.values()), 5_000, {}, backwards)}, is_mixture=False) == found
    )
    few = figures_of({"1": Scored(9.0, 9, {}, dict.fromkeys(range(9), (1.0, 1)))}, is_mixture=False)
    assert (few["low"], few["high"]) == (None, None)
