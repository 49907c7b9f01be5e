"""k-mer counts by hand and against a plain count; linear models that find what was put there."""

import itertools

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.baselines.kmer import KmerClassifier, KmerRegressor, canonical_columns, count_kmers
from genomamba.baselines.letters import encode
from genomamba.errors import ConfigError, DataError


def words_of(k):
    return ["".join(letters) for letters in itertools.product("ACGT", repeat=k)]


def made(count, length=60, seed=0, letters="ACGT"):
    generator = np.random.default_rng(seed)
    return ["".join(generator.choice(list(letters), length)) for _ in range(count)]


def with_motif(sequences, motif="GATTACA"):
    """Put a motif into every other sequence, and return the labels."""
    labels = [number % 2 for number in range(len(sequences))]
    both = zip(sequences, labels, strict=True)
    found = [text[:20] + motif + text[20 + len(motif) :] if label else text for text, label in both]
    return found, ["with" if label else "without" for label in labels]


def test_by_hand():
    counts = count_kmers(encode(["AACGN", "a", "TTNTT"]), 2)
    columns = dict(zip(words_of(2), counts.T, strict=True))
    assert columns["AA"].tolist() == [1, 0, 0]
    assert columns["AC"].tolist() == [1, 0, 0]
    assert columns["CG"].tolist() == [1, 0, 0]
    assert columns["TT"].tolist() == [0, 0, 2]
    assert counts.sum() == 5


@pytest.mark.parametrize("k", [1, 3, 4])
def test_counts_are_those_of_a_plain_count(k):
    texts = [*made(5, 40, letters="ACGTN"), "AC"]
    counts = count_kmers(encode(texts), k)
    for text, row in zip(texts, counts, strict=True):
        plain = [sum(text.startswith(word, start) for start in range(len(text))) for word in words_of(k)]
        assert row.tolist() == plain


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_a_reverse_complement_has_the_same_canonical_counts(k):
    dna = get_alphabet("dna")
    texts = made(4, 31)
    others = [dna.decode(dna.reverse_complement(dna.encode(text))).decode() for text in texts]
    one, other = (count_kmers(encode(given), k, canonical=True) for given in (texts, others))
    assert (one == other).all()
    assert (one.sum(1) == 31 - k + 1).all()
    palindromes = 4 ** (k // 2) if k % 2 == 0 else 0
    assert canonical_columns(k)[1] == one.shape[1] == (4**k + palindromes) // 2


def test_sequences_counted_in_several_passes_are_counted_alike(monkeypatch):
    codes = encode(made(9, 25))
    whole = count_kmers(codes, 3)
    monkeypatch.setattr("genomamba.baselines.kmer._PASS_BASES", 60)
    assert (count_kmers(codes, 3) == whole).all()


def test_a_motif_is_found_and_k_is_chosen_inside():
    texts, labels = with_motif(made(200))
    model = KmerClassifier(ks=(1, 5), strengths=(1.0, 1e4)).fit(texts[:150], labels[:150])
    assert model.choice_ == 5
    assert model.score(texts[150:], labels[150:]) > 0.8
    assert model.predict_proba(texts[150:]).sum(1) == pytest.approx(np.ones(50))
    assert model.classes_.tolist() == ["with", "without"]


def test_labels_that_say_nothing_are_not_learnt():
    texts, labels = with_motif(made(200))
    shuffled = np.random.default_rng(1).permutation(labels)
    model = KmerClassifier(ks=(5,)).fit(texts[:150], shuffled[:150])
    assert model.score(texts[150:], shuffled[150:]) < 0.7


def test_a_number_is_the_count_of_a_base():
    texts = [text[:30] + "G" * number for number, text in enumerate(made(60, 30))]
    values = [float(text.count("G")) for text in texts]
    model = KmerRegressor(ks=(1, 2), strengths=(1e-3,)).fit(texts[::2], values[::2])
    assert model.predict(texts[1::2]) == pytest.approx(values[1::2], abs=0.5)


def test_several_labels_are_told_each_by_itself():
    texts = made(120)
    marked = ["TATATATATA" * (i % 2) + "GCGCGCGCGC" * (i % 3 == 0) + text for i, text in enumerate(texts)]
    labels = np.array([[i % 2, i % 3 == 0] for i in range(120)], int)
    model = KmerClassifier(ks=(4,), strengths=(0.1,)).fit(marked[:80], labels[:80])
    assert (model.predict(marked[80:]) == labels[80:]).mean() > 0.85


def test_weights_of_nought_are_as_if_the_sequences_were_not_there():
    texts, labels = with_motif(made(60))
    wrong = ["with" if label == "without" else "without" for label in labels[:30]]
    settings = {"ks": (3,), "strengths": (1.0,), "folds": 2}
    weighted = KmerClassifier(**settings).fit(texts[:30] + texts, wrong + labels, [0.0] * 30 + [1.0] * 60)
    assert weighted.score(texts, labels) > 0.9


@pytest.mark.parametrize(
    ("texts", "told"),
    [(["ACGT", ""], "sequence 1 is empty"), (["ACGT", None], "sequence 1 is of type NoneType"),
     (["ACGT", "ACJT"], "sequence 1: position 3 holds 'J'"), ("ACGT", "one text was given")],
)  # fmt: skip
def test_bad_sequences_are_told_by_number(texts, told):
    with pytest.raises(DataError, match=told):
        KmerClassifier().fit(texts, ["a", "b"])


def test_one_class_and_bad_settings_are_refused():
    with pytest.raises(DataError, match="every label is 'a'"):
        KmerClassifier().fit(["ACGT", "ACGA"], ["a", "a"])
    with pytest.raises(ConfigError, match="k is 9"):
        KmerClassifier(ks=(9,)).fit(["ACGT", "ACGA"], ["a", "b"])
    with pytest.raises(DataError, match="2 sequences and 3 labels"):
        KmerClassifier(ks=(1,)).fit(["ACGT", "ACGA"], ["a", "b", "a"])
