"""Labelled data as settings name it, from any source to its parts."""

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.reading import load_data, read_data
from genomamba.errors import ConfigError, DataError

DNA = get_alphabet("dna")


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("ACGT"), 60)) for _ in range(100)]
    lines = [f"{text}\t{'ab'[number % 2]}\t{'chr' + str(number % 5)}\n" for number, text in enumerate(texts)]
    # The last one is the first one again.
    lines.append(f"{texts[0]}\ta\tchr9\n")
    (tmp_path / "data.tsv").write_text("sequence\tlabel\tcontig\n" + "".join(lines))
    (tmp_path / "g.fa").write_text(f">one\n{''.join(texts)}\n")
    (tmp_path / "x.bed").write_text("one\t0\t40\tp\t0\t-\none\t100\t140\tq\t0\t+\n")
    (tmp_path / "classes.bed").write_text("one\t10\t20\texon\n")
    told = []

    def run(data, **parts):
        return load_data(DataConfig(**data), PartsConfig(**parts), DNA, emit=told.append)

    run.told = told
    return run


def test_at_random_and_by_contig(load):
    data, _ = load({"data": "data.tsv"})
    assert np.bincount(data.splits).tolist() == pytest.approx([73, 8, 20], abs=1)
    data, leaks = load({"data": "data.tsv"}, test=("chr9",), valid=("chr1",))
    assert np.bincount(data.splits).tolist() == [80, 20, 1]
    assert leaks.count("test", "train") == 1
    assert "1 are in train too" in load.told[-2]


def test_leaks_are_dropped_and_told(load, tmp_path):
    data, leaks = load({"data": "data.tsv"}, test=("chr9",), valid=("chr1",), drop_leaks=True, leaks="leaks.tsv")
    assert len(data) == 100
    assert leaks.count("train", "test") == 1
    assert load.told[-1].startswith("data.tsv: 1 sequences are left out of train and valid")
    assert len((tmp_path / "leaks.tsv").read_text().splitlines()) == 3


def test_stretches_and_labels_of_bases(load):
    data, _ = load({"data": "x.bed", "fasta": ("g.fa",)}, split_by="random", test_share=0.0, valid_share=0.0)
    assert data.labels.classes == ("p", "q")
    bases, _ = load({"fasta": ("g.fa",), "base_labels": "classes.bed", "window": 60}, test_share=0.0, valid_share=0.0)
    assert len(bases) == 100
    assert bases.labels.values.sum() == 10
    named = read_data(DataConfig(data="x.bed", fasta=("g.fa",), base_labels="classes.bed"), DNA)
    assert named.names == ("one:1-40(-)", "one:101-140")
    assert named.labels.values[20:30].tolist() == [1] * 10


REFUSALS = {
    "nothing": ({}, "no labelled data; name a table, a folder or a BED file by --data"),
    "no genome": ({"data": "x.bed"}, "give its FASTA by --fasta"),
    "genome for nothing": ({"data": "data.tsv", "fasta": ("g.fa",)}, "--fasta is the genome of a BED file"),
    "no file": ({"data": "no.tsv"}, "no.tsv: no such file"),
    "no bed": ({"data": "no.bed", "fasta": ("g.fa",)}, "no.bed: no such file"),
    "ending": ({"data": "g.fa"}, "--data is g.fa; it must be a folder"),
    "columns": ({"data": "x.bed", "fasta": ("g.fa",), "label_column": ("a", "b")}, "has its label in one column"),
}


@pytest.mark.parametrize(("data", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_read_is_told(load, data, message):
    with pytest.raises((ConfigError, DataError), match=message):
        load(data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test_share": 1.0}, "--test-share is 1.0; it must be 0 or more, and below 1"),
        ({"near": 0}, "--near is 0"),
        ({"seed": -1}, "--seed is -1"),
    ],
    ids=["share", "near", "seed"],
)
def test_numbers_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        PartsConfig(**settings)
