"""One interface for all baselines; what each tells of made sequences."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from genomamba.baselines.cnn import MOST_PARAMETERS, Cnn, CnnClassifier, CnnRegressor, _batch
from genomamba.baselines.letters import encode
from genomamba.baselines.onehot import OneHotClassifier, OneHotRegressor, one_hot
from genomamba.baselines.suite import make_baselines
from genomamba.errors import DataError


def made(count, length=24, seed=0):
    generator = np.random.default_rng(seed)
    return ["".join(generator.choice(list("ACGT"), length)) for _ in range(count)]


def by_place(count, **options):
    """Label by the base in the middle: no count of k-mers says it."""
    texts = made(count, **options)
    return texts, ["purine" if text[12] in "AG" else "pyrimidine" for text in texts]


def test_one_hot_by_hand():
    assert one_hot(["AN", "gT"]).tolist() == [[1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 1]]


def test_what_stands_where_is_found():
    texts, labels = by_place(200)
    assert OneHotClassifier().fit(texts[:150], labels[:150]).score(texts[150:], labels[150:]) == 1.0
    values = [float("ACGT".index(text[3])) for text in texts]
    assert OneHotRegressor().fit(texts[:150], values[:150]).score(texts[150:], values[150:]) > 0.9


def test_one_column_a_position_needs_one_length():
    with pytest.raises(DataError, match="have 2 to 3 bases"):
        OneHotClassifier().fit(["AC", "ACG"], ["a", "b"])
    model = OneHotClassifier(folds=2).fit(["AC", "CA", "AA", "CC"], ["a", "b", "a", "b"])
    with pytest.raises(DataError, match="have 3 bases, and the model was fitted on 2"):
        model.predict(["ACG"])


@pytest.mark.parametrize("kind", ["single", "multi", "regression"])
def test_all_have_one_interface(kind):
    texts, labels = by_place(60)
    targets = {
        "single": labels,
        "multi": np.array([[text[12] in "AG", text[0] == "A"] for text in texts], int),
        "regression": [text.count("G") for text in texts],
    }[kind]
    made_ones = make_baselines(kind, length=24)
    assert list(made_ones) == ["mean" if kind == "regression" else "majority", "k-mer", "one-hot", "cnn"]
    for name, estimator in made_ones.items():
        if name == "cnn":
            estimator.set_params(epochs=1)
        fitted = clone(estimator).fit(texts, targets)
        assert np.isfinite(fitted.score(texts, targets)), name
        assert np.shape(fitted.predict(texts)) == np.shape(targets), name
        if kind != "regression":
            assert fitted.predict_proba(texts).shape == (60, 2), name
            assert len(fitted.classes_) == 2


def test_lengths_that_differ_have_no_one_hot():
    assert "one-hot" not in make_baselines("single", length=None)


def test_they_work_in_cross_validation():
    texts, labels = by_place(150)
    scores = cross_val_score(OneHotClassifier(strengths=(1.0,), folds=2), np.array(texts, dtype=object), labels, cv=3)
    assert (scores > 0.8).all()


def test_the_network_finds_a_motif_anywhere():
    generator = np.random.default_rng(0)
    texts = made(200)
    for number in range(0, 200, 2):
        place = generator.integers(0, 14)
        texts[number] = texts[number][:place] + "GATTACAGAT" + texts[number][place + 10 :]
    labels = [number % 2 for number in range(200)]
    model = CnnClassifier(epochs=12, learning_rate=3e-3, batch_size=16).fit(texts[:160], labels[:160])
    assert model.score(texts[160:], labels[160:]) > 0.9


def test_the_network_is_no_larger_than_its_model():
    for length in (None, 60, 500, 800):
        assert sum(p.numel() for p in Cnn(3, length).parameters()) <= MOST_PARAMETERS


def test_the_same_seed_gives_the_same_bits_and_draws_nothing_from_others():
    texts, labels = by_place(60)
    torch.manual_seed(5)
    expected = torch.rand(3)
    fitted = []
    for disturbed in (1, 2):
        torch.manual_seed(5)
        fitted.append(CnnClassifier(epochs=3, seed=7).fit(texts, labels))
        assert torch.equal(torch.rand(3), expected)
        torch.manual_seed(disturbed)
    one, same = (model.network_.state_dict() for model in fitted)
    assert all(torch.equal(one[name], same[name]) for name in one)
    other = CnnClassifier(epochs=3, seed=8).fit(texts, labels).network_.state_dict()
    assert not torch.equal(one["output.weight"], other["output.weight"])


def test_padding_changes_no_number():
    network = Cnn(2, None).eval()
    with torch.no_grad():
        for norm in network.norms:
            norm.running_mean.uniform_(-1, 1)
            norm.bias.uniform_(-1, 1)
        codes = encode(["ACGTACGTAC", "GATTACAGATTACAGATTACAGATTACATTT", "ACG"])
        together = network(*_batch(codes, np.arange(3)))
        alone = torch.cat([network(*_batch(codes, np.array([row]))) for row in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_training_stops_where_validation_gets_no_better_and_keeps_the_best():
    texts = made(80)
    labels = np.random.default_rng(0).integers(0, 2, 80)
    valid = np.arange(80) < 20
    model = CnnClassifier(epochs=200, patience=3, learning_rate=1e-2).fit(texts, labels, valid=valid)
    assert model.epochs_ < 200
    with pytest.raises(DataError, match="valid names all"):
        CnnClassifier().fit(texts, labels, valid=np.ones(80, bool))


def test_numbers_come_back_in_their_own_unit():
    texts = made(100)
    values = [1000 + 10 * text.count("G") for text in texts]
    model = CnnRegressor(epochs=12, learning_rate=3e-3, batch_size=16).fit(texts, values)
    assert model.score(texts, values) > 0.2
    assert abs(model.predict(texts).mean() - np.mean(values)) < 30


def test_a_network_of_one_length_refuses_others():
    texts, labels = by_place(40)
    model = CnnClassifier(epochs=1).fit(texts, labels)
    with pytest.raises(DataError, match="has 25 bases, and the network was fitted on 24 each"):
        model.predict([texts[0] + "A"])
