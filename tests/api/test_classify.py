"""Classifiers and regressors in the hands of scikit-learn, and on disk."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

import genomamba
from genomamba import SequenceClassifier, SequenceRegressor
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, DataError, RunError
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import save_model


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    """A small model on disk."""
    folder = tmp_path_factory.mktemp("trunk")
    torch.manual_seed(5)
    network = LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4, direction="bidirectional"))
    save_model(folder, network, {"objective": "masked"})
    return folder


@pytest.fixture(scope="module")
def texts():
    generator = np.random.default_rng(0)
    return ["".join(generator.choice(list("ACGT"), 12, p=[0.1, 0.1, 0.7, 0.1] if i % 2 else None)) for i in range(60)]


@pytest.fixture
def make(trunk):
    def build(kind=SequenceClassifier, **changes):
        return kind(str(trunk), **({"epochs": 6, "learning_rate": 2e-2, "batch_size": 10} | changes))

    return build


LABELS = ["rich" if i % 2 else "poor" for i in range(60)]


def test_it_learns_names_its_classes_and_scores(make, texts):
    fitted = make(epochs=10).fit(texts, LABELS)
    assert fitted.classes_.tolist() == ["poor", "rich"]
    assert fitted.score(texts, LABELS) > 0.85
    probabilities = fitted.predict_proba(texts)
    assert probabilities.sum(1) == pytest.approx(np.ones(60))
    assert (fitted.predict(texts) == fitted.classes_[probabilities.argmax(1)]).all()


@pytest.mark.parametrize("form", [list, tuple, np.array, pd.Series, lambda x: pd.Series(x, index=range(100, 160))])
def test_sequences_come_in_any_form(make, texts, form):
    fitted = make(epochs=1).fit(form(texts), form(LABELS))
    assert fitted.predict(form(texts)).tolist() == make(epochs=1).fit(texts, LABELS).predict(texts).tolist()


def test_it_works_in_scikit_learn(make, texts):
    one = make(epochs=2)
    copied = clone(one)
    assert copied.get_params() == one.get_params()
    assert copied.set_params(hidden=3).hidden == 3
    assert cross_val_score(one, np.array(texts), LABELS, cv=2).shape == (2,)
    upper = FunctionTransformer(lambda given: [text.upper() for text in given])
    pipeline = Pipeline([("upper", upper), ("classifier", one)]).fit([text.lower() for text in texts], LABELS)
    assert pipeline.predict(texts).shape == (60,)
    search = GridSearchCV(one, {"pool": ["mean", "max"]}, cv=2).fit(np.array(texts), LABELS)
    assert search.best_params_["pool"] in ("mean", "max")


def test_a_seed_gives_the_same_bits(make, texts):
    one, same, other = (make(seed=seed, dropout=0.3).fit(texts, LABELS).predict_proba(texts) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


@pytest.mark.parametrize("kind", [str, int, bool, float])
def test_what_was_saved_comes_back(make, texts, kind, tmp_path):
    labels = LABELS if kind is str else [kind(i % 2) for i in range(60)]
    fitted = make(epochs=1, pool="concat", hidden=4, strand="both").fit(texts, labels)
    fitted.save(tmp_path / "saved")
    loaded = SequenceClassifier.load(tmp_path / "saved")
    assert (loaded.predict_proba(texts) == fitted.predict_proba(texts)).all()
    assert loaded.classes_.dtype == fitted.classes_.dtype
    assert loaded.classes_.tolist() == fitted.classes_.tolist()
    assert loaded.get_params() == fitted.get_params()
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "config.json", "head.safetensors", "model.safetensors",
    ]  # fmt: skip


def test_the_network_under_a_head_is_a_model_by_itself(make, texts, tmp_path):
    fitted = make(epochs=1).fit(texts, LABELS)
    fitted.save(tmp_path / "saved")
    with pytest.raises(RunError, match="is not empty; give force=True"):
        fitted.save(tmp_path / "saved")
    fitted.save(tmp_path / "saved", force=True)
    model = genomamba.from_pretrained(tmp_path / "saved")
    expected = fitted.network_.network.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.network.state_dict().items())


def test_several_labels_and_numbers(make, texts, tmp_path):
    several = np.array([[i % 2, 1 - i % 2, i % 3 == 0] for i in range(60)], int)
    fitted = make().fit(texts, several)
    assert fitted.predict(texts).shape == (60, 3)
    assert (fitted.predict(texts)[:, :2] == several[:, :2]).mean() > 0.7
    values = [1000 + 50 * (i % 2) for i in range(60)]
    regressor = make(SequenceRegressor, epochs=12).fit(texts, values)
    assert regressor.score(texts, values) > 0.3
    regressor.save(tmp_path / "saved")
    assert (SequenceRegressor.load(tmp_path / "saved").predict(texts) == regressor.predict(texts)).all()
    with pytest.raises(RunError, match="kind regression; a SequenceClassifier tells classes"):
        SequenceClassifier.load(tmp_path / "saved")


def test_a_preset_is_a_network_from_random_weights(texts):
    fitted = SequenceClassifier(epochs=1, batch_size=60).fit(texts, LABELS)
    assert fitted.network_.model_config.direction == "bidirectional"
    assert fitted.network_.model_config.d_model == 64


def test_random_weights_have_the_shape_alone(make, trunk, texts):
    drawn = make(epochs=1, learning_rate=1e-9, random_weights=True).fit(texts, LABELS).network_.network
    given = make(epochs=1, learning_rate=1e-9).fit(texts, LABELS).network_.network
    assert drawn.config == given.config
    assert not torch.allclose(drawn.embedding.weight, given.embedding.weight, atol=1e-4)
    stored = genomamba.from_pretrained(trunk).network
    torch.testing.assert_close(given.embedding.weight, stored.embedding.weight, atol=1e-5, rtol=0)


@pytest.mark.parametrize("strand", ["both", "pooled", "random"])
def test_both_strands_are_told_alike(make, texts, strand):
    fitted = make(epochs=2, strand=strand).fit(texts, LABELS)
    others = [text[::-1].translate(str.maketrans("ACGT", "TGCA")) for text in texts]
    assert fitted.predict_proba(texts) == pytest.approx(fitted.predict_proba(others), abs=1e-6)


def test_a_validation_part_that_is_named_does_not_learn(make, texts):
    wrong = ["rich" if label == "poor" else "poor" for label in LABELS[:20]] + LABELS[20:]
    fitted = make(epochs=10, patience=10).fit(texts, wrong, valid=np.arange(60) < 20)
    assert fitted.score(texts[20:], LABELS[20:]) > 0.5
    assert make(valid_share=0.0, epochs=1).fit(texts, LABELS).fitted_.valid_loss is None


@pytest.mark.parametrize(
    ("sequences", "labels", "told"),
    [(["ACGT", ""], "ab", "sequence 1: the sequence is empty"), (["ACGT", 3], "ab", "sequence 1 is of type int"),
     (["ACGT", "ACJT"], "ab", "sequence 1: position 3 holds 'J'"), ("ACGT", "ab", "one text was given"),
     (["ACGT", "AC"], "aa", "every label is 'a'"), ([], "", "no sequence was given")],
)  # fmt: skip
def test_bad_data_is_told(make, sequences, labels, told):
    with pytest.raises(DataError, match=told):
        make().fit(sequences, list(labels))


@pytest.mark.parametrize(
    ("labels", "told"),
    [(["a", "a"], r"inconsistent numbers of samples: \[3, 2\]"), (["a", None, "b"], "it has NoneType, str"),
     ([0, None, 1], "it has NoneType, int"), ([0.0, np.nan, 1.0], "Input y contains NaN"),
     (["a", np.nan, "b"], "Input y contains NaN"),
     (pd.Series(["a", pd.NA, "b"], dtype="string"), "it has NAType, str"),
     ([[0, 1], [None, 1], [1, 0]], "not all of it is 0 or 1")],
    ids=["too few", "None among texts", "None among numbers", "NaN", "NaN among texts", "NA", "None among several"],
)  # fmt: skip
def test_bad_labels_are_told_as_scikit_learn_tells_them(make, labels, told):
    with pytest.raises(ValueError, match=told):
        make().fit(["ACGT", "AC", "GG"], labels)


def test_numbers_are_as_many_as_sequences(make):
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[2, 3\]"):
        make(SequenceRegressor).fit(["ACGT", "AC"], [0.0, 1.0, 2.0])


def test_bad_parameters_and_models_are_told(make, trunk, texts, tmp_path):
    for changes, told in (
        ({"pool": "most"}, "head.pool is 'most'"),
        ({"class_weight": "even"}, "class_weight is 'even'"),
        ({"epochs": 0}, "epochs is 0"),
    ):
        with pytest.raises(ConfigError, match=told):
            make(**changes).fit(texts, LABELS)
    with pytest.raises(RunError, match="a model without a head"):
        SequenceClassifier.load(trunk)
    make(epochs=1).fit(texts, LABELS).save(tmp_path / "saved")
    config = tmp_path / "saved" / "config.json"
    values = json.loads(config.read_text())
    for change, told in (({"kind": "sole"}, "head.kind is 'sole'"), ({"classes": ["one"]}, "needs 2"),
                         ({"hidden": 7}, "does not fit the head"), ({"hue": 1}, "unknown fields hue")):  # fmt: skip
        config.write_text(json.dumps(values | {"head": values["head"] | change}))
        with pytest.raises(RunError, match=told):
            SequenceClassifier.load(tmp_path / "saved")
    config.write_text(json.dumps(values))
    (tmp_path / "saved" / "head.safetensors").unlink()
    with pytest.raises(RunError, match="says that the model has a head"):
        SequenceClassifier.load(tmp_path / "saved")
