"""The dataset card counts what is there."""

import json

import pytest

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Interval
from genomamba.data import card as card_module
from genomamba.data.card import dataset_card
from genomamba.data.examples import example_paths
from genomamba.data.genome import Genome
from genomamba.data.windows import Split, make_split


@pytest.mark.parametrize("block", [3, 1 << 20])
def test_counts_by_hand(block, made_genome, dna, monkeypatch):
    monkeypatch.setattr(card_module, "_BLOCK", block)
    genome = made_genome({"a": "ACGTNNacgg", "b": "TTTTT", "chrUn_x": "A"})
    split = Split(
        train=(Interval("a", 0, 7), Interval("a", 9, 10)), valid=(Interval("a", 7, 9),), test=(Interval("b", 0, 5),)
    )
    card = dataset_card(genome, split, dna, context=4)
    assert json.loads(json.dumps(card)) == card
    assert len(card["splits"]["train"].pop("sha256")) == 64
    assert card["splits"]["train"] == {
        "intervals": 2, "contigs": 1, "bases": 8, "windows": 2, "acgt": 6, "n_share": 0.25, "softmask_share": 0.25,
        "gc": 0.5,
    }  # fmt: skip
    assert card["splits"]["valid"]["gc"] == 1
    assert card["splits"]["test"]["softmask_share"] == 0
    assert card["contigs"] == [
        {"name": "a", "length": 10, "split": "train+valid"},
        {"name": "b", "length": 5, "split": "test"},
    ]
    assert card["excluded"] == [{"name": "chrUn_x", "length": 1}]
    assert card["inputs"] == genome.inputs


def test_an_empty_set_and_bytes_have_no_shares(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"some text")
    alphabet = get_alphabet("bytes")
    genome = Genome.open([tmp_path / "x.txt"], alphabet)
    card = dataset_card(genome, Split((Interval("x.txt", 0, 9),), (), ()), alphabet, context=4)
    assert (card["splits"]["train"]["bases"], card["splits"]["train"]["gc"]) == (9, None)
    assert (card["splits"]["test"]["bases"], card["splits"]["test"]["n_share"]) == (0, None)


def test_the_embedded_example_is_what_its_readme_says(dna):
    paths = example_paths()
    assert all(path.is_file() for files in paths.values() for path in files.values())
    genome = Genome.open([files["fasta"] for files in paths.values()], dna, progress=False)
    assert {c.name: c.length for c in genome.contigs} == {
        "NC_001133.9": 230_218, "NC_079256.1": 248_052, "NC_079272.1": 216_969,
    }  # fmt: skip
    readme = next(iter(paths.values()))["fasta"].with_name("README.md").read_text()
    for record in genome.inputs:
        assert record["sha256"] in readme
    split = make_split(genome, test=["NC_079256.1", "NC_079272.1"], valid_share=0.05)
    card = dataset_card(genome, split, dna, 1024)
    assert card["splits"]["test"]["bases"] == 248_052 + 216_969
    assert card["splits"]["valid"]["bases"] == pytest.approx(0.05 * 230_218, rel=0.2)
    assert card["splits"]["train"]["gc"] == pytest.approx(0.39, abs=0.01)
