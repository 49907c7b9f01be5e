"""Leaks between parts: planted ones are found, on either strand, and nothing else is."""

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.classify.labelled import Collector
from genomamba.classify.leaks import drop_leaks, find_leaks, write_leaks
from genomamba.classify.sketch import choose_k, kmer_set, sketches
from genomamba.classify.tables import read_table
from genomamba.errors import ConfigError

DNA = get_alphabet("dna")
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def reverse_complement(text):
    return text[::-1].translate(COMPLEMENT)


def draw(generator, length):
    return "".join(generator.choice(list("ACGT"), length))


def mutate(generator, text, count):
    letters = list(text)
    for place in generator.choice(len(text), count, replace=False):
        letters[place] = generator.choice([base for base in "ACGT" if base != letters[place]])
    return "".join(letters)


def make(rows, alphabet=DNA):
    collector = Collector("made", alphabet)
    for number, (split, text) in enumerate(rows):
        collector.add(text, "made.tsv", number + 2, label="ab"[number % 2], split=split)
    return collector.finish()


def found(leaks):
    kinds = ("same", "reverse_complement", "near")
    return {
        (row, other): kinds[kind]
        for row, other, kind in zip(leaks.row.tolist(), leaks.other.tolist(), leaks.kind.tolist(), strict=True)
    }


def test_by_hand():
    rows = [
        ("train", "AACC"),
        ("test", "aacc"),
        ("test", "GGTT"),
        ("train", "ACCA"),
        ("valid", "AACC"),
        ("train", "GGTT"),
    ]
    leaks = find_leaks(make(rows))
    assert found(leaks) == {
        (0, 1): "same", (0, 4): "same", (1, 0): "same", (1, 4): "same", (2, 0): "reverse_complement",
        (2, 4): "reverse_complement", (4, 0): "same", (4, 1): "same", (5, 1): "reverse_complement",
        (5, 4): "reverse_complement",
    }  # fmt: skip
    assert leaks.count("test", "train") == 2
    assert leaks.count("train", "test") == 2
    assert leaks.count("valid", "train") == 1
    assert leaks.count("test", "train", near=True) == 0


@pytest.mark.parametrize(("length", "changes"), [(60, 1), (200, 2), (500, 6)])
@pytest.mark.parametrize("strand", ["+", "-"])
def test_planted_neighbours_are_found_and_strangers_are_not(length, changes, strand):
    generator = np.random.default_rng(length + changes)
    train = [draw(generator, length) for _ in range(300)]
    copies = [mutate(generator, text, changes) for text in train[:40]]
    copies = copies if strand == "+" else [reverse_complement(text) for text in copies]
    strangers = [draw(generator, length) for _ in range(100)]
    data = make([("train", text) for text in train] + [("test", text) for text in copies + strangers])
    leaks = find_leaks(data, 0.5)
    k = choose_k(data.sequences.lengths)
    alike = {}
    for copy in range(40):
        one, other = (set(kmer_set(data.sequences, row, k).tolist()) for row in (copy, 300 + copy))
        alike[copy] = len(one & other) / len(one | other)
    expected = {(copy, 300 + copy) for copy in alike if alike[copy] >= 0.5}
    assert len(expected) >= 30
    here = {pair for pair, kind in found(leaks).items() if kind == "near" and pair[0] < pair[1]}
    # What lies at the threshold is found with a chance of 98.6 % alone.
    assert here <= expected
    assert len(here) >= len(expected) - 2
    for row, likeness in zip(leaks.row.tolist(), leaks.likeness.tolist(), strict=True):
        if row < 40:
            assert likeness == pytest.approx(alike[row])


def test_kmers_do_not_depend_on_the_strand_and_leave_out_n():
    text = "ACGTTGCANNACGGTACCTTGACA"
    data = make([("train", text), ("test", reverse_complement(text))])
    one, other = (kmer_set(data.sequences, row, 8) for row in range(2))
    assert one.tolist() == other.tolist()
    # ACGTTGCA is one k-mer, and what follows the N, 14 bases, has 7.
    assert one.size == 8


def test_a_sketch_does_not_depend_on_the_sequences_beside_it():
    generator = np.random.default_rng(7)
    data = make([("train", draw(generator, length)) for length in (5, 60, 12, 3, 200, 11, 90)])
    together, known = sketches(data.sequences, np.arange(7), 12)
    assert known.tolist() == [False, True, True, False, True, False, True]
    for row in range(7):
        alone, _ = sketches(data.sequences, np.array([row]), 12)
        assert together[row].tolist() == alone[0].tolist()


def test_windows_that_overlap_are_near():
    generator = np.random.default_rng(5)
    text = draw(generator, 700)
    data = make([("train", text[:500]), ("test", text[100:600]), ("test", text[200:])])
    assert found(find_leaks(data)) == {(0, 1): "near", (1, 0): "near"}
    assert found(find_leaks(data, 0.4)) == {(0, 1): "near", (1, 0): "near", (2, 0): "near"}


def test_what_is_the_same_in_another_part_has_no_near_one_there_too():
    generator = np.random.default_rng(8)
    text = draw(generator, 300)
    leaks = find_leaks(make([("train", text), ("test", mutate(generator, text, 1)), ("test", text)]))
    assert found(leaks) == {(0, 2): "same", (2, 0): "same", (1, 0): "near"}
    assert leaks.row.tolist() == [0, 1, 2]


def test_short_and_unknown_sequences_are_compared_whole():
    data = make([("train", "ACG"), ("test", "ACG"), ("test", "N" * 40), ("train", "N" * 40), ("train", "A")])
    assert found(find_leaks(data)) == {(0, 1): "same", (1, 0): "same", (2, 3): "same", (3, 2): "same"}


def test_a_large_family_does_not_take_the_square_of_its_size():
    generator = np.random.default_rng(6)
    text = draw(generator, 200)
    rows = [("train" if number % 2 else "test", mutate(generator, text, 1)) for number in range(3_000)]
    leaks = find_leaks(make(rows))
    assert np.unique(leaks.row).size == 3_000


def test_what_leaks_is_left_out_of_the_earlier_part():
    rows = [
        ("train", "AACC"),
        ("train", "ACAC"),
        ("valid", "ACAC"),
        ("valid", "CCCC"),
        ("test", "GGTT"),
        ("test", "GGGG"),
    ]
    data = make(rows)
    kept, dropped = drop_leaks(data, find_leaks(data))
    assert dropped.tolist() == [0, 1, 3]
    assert find_leaks(kept).row.size == 0
    assert kept.splits.tolist() == [1, 2, 2]


def test_folds_may_be_looked_through_too():
    data = make([("train", "AACC"), ("train", "GGTT"), ("train", "ACCA")])
    leaks = find_leaks(data, part=np.array([0, 1, 2], np.int8), parts=("one", "two", "three"))
    assert leaks.count("two", "one") == 1


def test_the_table_and_the_words(tmp_path):
    data = make([("train", "AACC"), ("test", "GGTT"), ("test", "ACCA")])
    leaks = find_leaks(data)
    write_leaks(tmp_path / "leaks.tsv", data, leaks)
    header, first, second = (tmp_path / "leaks.tsv").read_text().splitlines()
    assert header.split("\t")[0] == "split"
    assert first.split("\t") == [
        "train", "made.tsv:2", "line_2", "test", "made.tsv:3", "line_3", "reverse_complement", "1.0000", "false",
    ]  # fmt: skip
    assert second.startswith("test\tmade.tsv:3\t")
    words = leaks.in_words(data)
    assert words[0].startswith("made: of 2 sequences of test, 1 are in train too, on either strand, and 0 more nearly")
    assert words[1] == "  for example made.tsv:2 and made.tsv:3: reverse complement, 1.00"


def test_bytes_have_one_strand():
    data = make([("train", "AACC"), ("test", "GGTT"), ("test", "AACC")], get_alphabet("bytes"))
    assert found(find_leaks(data)) == {(0, 2): "same", (2, 0): "same"}


@pytest.mark.parametrize("least", [0, -1, 1.1])
def test_a_likeness_lies_between_0_and_1(least):
    with pytest.raises(ConfigError, match="it must be above 0, and 1 at most"):
        find_leaks(make([("train", "A"), ("test", "C")]), least)


def test_501_test_rows_of_the_enhancers_are_in_train(data_dir):
    path = data_dir / "genomic_benchmarks" / "human_enhancers_ensembl.chr20X_subset.tsv.gz"
    if not path.exists():
        pytest.skip("no genomic_benchmarks in the folder of real data")
    data = read_table(path, DNA)
    assert (data.splits == 2).sum() == 1_256
    assert find_leaks(data).count("test", "train") == 501
