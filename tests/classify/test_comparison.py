"""Contenders held against one another, and trials: what is chosen by what, and what leaks."""

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.classify import contenders
from genomamba.classify.comparison import Contender, compare_contenders, in_words, write_figures_table
from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.contenders import Answer, baseline_answers, baselines_of, probe_answer
from genomamba.classify.trials import load_trials
from genomamba.errors import ConfigError

KINDS = {"single": ("poor", "rich"), "multi": ("a;b", "a"), "regression": ("0.25", "1.5")}


def write(path, kind="single", count=60, twins=0, split=True):
    """Sequences of 20 bases, half of them rich in G; the first that test are twins of some that train."""
    generator = np.random.default_rng(0)
    rows, texts = ["sequence\tlabel\tsplit" if split else "sequence\tlabel"], []
    for i in range(count):
        texts.append("".join(generator.choice(list("ACGT"), 20, p=[0.1, 0.1, 0.7, 0.1] if i % 2 else None)))
        if i >= count - 20 and i < count - 20 + twins:
            texts[i] = texts[i % 2]
        part = "train" if i < count - 30 else "valid" if i < count - 20 else "test"
        rows.append(f"{texts[i]}\t{KINDS[kind][i % 2]}" + (f"\t{part}" if split else ""))
    path.write_text("\n".join(rows) + "\n")
    return DataConfig(data=str(path), kind=kind)


def load(config, **given):
    told = []
    parts = PartsConfig(**{name: given.pop(name) for name in ("drop_leaks", "leaks", "seed") if name in given})
    return load_trials(config, parts, get_alphabet("dna"), emit=told.append, **given), told


def answer(said, cost=None):
    return Answer(said=np.asarray(said, float), cost=cost, judged_by="", parameters=2, trained=2, seconds=1.0)


def sure(classes):
    return np.eye(2)[np.asarray(classes)] * 0.8 + 0.1


def test_the_best_baseline_is_chosen_by_what_it_did_before_the_test(tmp_path):
    trials, _ = load(write(tmp_path / "d.tsv"))
    truth = trials.labels.values[trials.tested]
    half = np.where(np.arange(20) < 10, truth, 1 - truth)
    several = [
        Contender(name="probe", is_baseline=False, answers=[answer(sure(truth), 0.9)]),
        Contender(name="lucky", is_baseline=True, answers=[answer(sure(truth), 0.4)]),
        Contender(name="learnt", is_baseline=True, answers=[answer(sure(half), 0.1)]),
        Contender(name="untold", is_baseline=True, answers=[answer(sure(half), None)]),
    ]
    found = compare_contenders(trials, several, {"cnn": "it reads DNA"}).figures
    assert found["best_baseline"] == "learnt"
    assert found["differences"]["accuracy"]["value"] == 0.5
    assert found["differences"]["accuracy"]["low"] > 0.2
    assert found["differences"]["accuracy"]["p"] < 0.01
    assert (found["leaked"], found["sequences"], found["left_out"]) == (0, 20, {"cnn": "it reads DNA"})
    words = in_words(found)
    assert "probe against learnt, the baseline with the least error inside train and valid: accuracy +0.5000" in words
    write_figures_table(tmp_path / "f.tsv", found)
    lines = [line.split("\t") for line in (tmp_path / "f.tsv").read_text().splitlines()]
    assert ["learnt", "true", "", "all", "accuracy", "0.500000"] in [line[:6] for line in lines]
    assert ["probe", "false", "rich", "all", "f1", "1.000000"] in [line[:6] for line in lines]


def test_what_leaks_is_told_and_left_out_beside(tmp_path):
    trials, told = load(write(tmp_path / "d.tsv", twins=4))
    assert "4 are in train too" in told[0]
    truth = trials.labels.values[trials.tested]
    # Right on the twins alone.
    said = sure(np.where(trials.leaked[trials.tested], truth, 1 - truth))
    found = compare_contenders(trials, [Contender(name="probe", is_baseline=False, answers=[answer(said)])]).figures
    assert found["leaked"] == 4
    assert found["contenders"][0]["figures"]["accuracy"]["value"] == 0.2
    assert found["contenders"][0]["without_leaks"]["accuracy"]["value"] == 0.0
    assert found["contenders"][0]["without_leaks"]["accuracy"]["rows"] == 16
    dropped, _ = load(write(tmp_path / "d.tsv", twins=4), drop_leaks=True)
    assert not dropped.leaked.any()
    assert dropped.tested.size == 20


def test_folds_test_each_sequence_once(tmp_path):
    config = write(tmp_path / "d.tsv", twins=4, split=False)
    trials, _ = load(config, folds=4)
    assert sorted(trials.tested.tolist()) == list(range(60))
    for trial in trials.each:
        assert not set(trial.test) & set(trial.known)
    # Twins that one fold has both of are no leak.
    fold = np.empty(60, int)
    for number, trial in enumerate(trials.each):
        fold[trial.test] = number
    family = {parent: [row for row in (parent, *range(40, 44)) if row % 2 == parent] for parent in (0, 1)}
    expected = {row for rows in family.values() for row in rows if any(fold[row] != fold[other] for other in rows)}
    assert set(np.flatnonzero(trials.leaked)) == expected
    answers = baseline_answers("majority", trials)
    compared = compare_contenders(trials, [Contender(name="majority", is_baseline=True, answers=answers)])
    assert compared.figures["rows"] == 60
    assert len(compared.said["majority"]) == 1
    assert [one["test"] for one in compared.figures["contenders"][0]["members"]] == [15] * 4
    with pytest.raises(ConfigError, match="--drop-leaks is of parts"):
        load(config, folds=4, drop_leaks=True)


def test_seeds_draw_the_validation_part_anew_where_asked(tmp_path, few_words):
    config = write(tmp_path / "d.tsv")
    same, _ = load(config, repeats=3, seed=5)
    assert [trial.seed for trial in same.each] == [5, 6, 7]
    assert len({tuple(trial.valid) for trial in same.each}) == 1
    drawn, _ = load(config, repeats=3, redraw=True)
    assert len({tuple(trial.valid) for trial in drawn.each}) == 3
    assert {tuple(trial.test) for trial in drawn.each} == {tuple(same.tested)}
    assert all(sorted([*trial.train, *trial.valid]) == list(range(40)) for trial in drawn.each)
    # What draws nothing is fitted once.
    answers = baseline_answers("k-mer", same)
    assert answers[0] is answers[2]
    assert "seeds" in same.protocol


@pytest.fixture
def few_words(monkeypatch):
    """k-mers of one length, and few passes, for speed."""
    made = contenders.make_baselines

    def make(*given, **named):
        found = made(*given, **named)
        found["k-mer"].set_params(ks=(3,))
        found["cnn"].set_params(epochs=2)
        return found

    monkeypatch.setattr(contenders, "make_baselines", make)


@pytest.mark.parametrize("kind", KINDS)
def test_baselines_learn_every_kind_of_labels(tmp_path, few_words, kind):
    trials, _ = load(write(tmp_path / "d.tsv", kind))
    names, left_out = baselines_of(("majority", "k-mer", "one-hot", "cnn"), trials.data)
    assert (len(names), left_out) == (4, {})
    shape = {"single": (20, 2), "multi": (20, 2), "regression": (20,)}[kind]
    for name in names:
        (found,) = baseline_answers(name, trials)
        assert found.said.shape == shape, name
        assert np.isfinite(found.said).all()
        assert found.cost is not None
    truth = trials.labels.values[trials.tested]
    (kmer,) = baseline_answers("k-mer", trials)
    (majority,) = baseline_answers("majority", trials)
    assert kmer.cost < majority.cost
    if kind == "single":
        assert (kmer.said.argmax(1) == truth).mean() >= 0.8
        assert kmer.chosen["k"] == 3
        assert majority.said[0].tolist() == [0.5, 0.5]


def test_a_probe_learns_from_train_and_valid_alone(tmp_path):
    trials, _ = load(write(tmp_path / "d.tsv"))
    (trial,) = trials.each
    features = np.random.default_rng(0).normal(0, 1, (60, 4)).astype(np.float32)
    features[:, 1] += 4 * trials.labels.values
    found, probe = probe_answer(trial, features, "logistic", frozen=100, seconds=2.0)
    assert (found.said.argmax(1) == trials.labels.values[trial.test]).mean() > 0.9
    assert (found.trained, found.parameters) == (5, 105)
    assert found.seconds > 2.0
    # What tests may hold anything.
    features[trial.test] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        probe.predict_proba(features[trial.test])
    features[trial.test] = 0.0
    again, _ = probe_answer(trial, features, "logistic", frozen=100, seconds=2.0)
    assert again.cost == found.cost
    assert np.allclose(again.said, again.said[0])


def test_one_hot_and_bytes_are_not_for_everything(tmp_path):
    path = tmp_path / "d.tsv"
    path.write_text("sequence\tlabel\tsplit\nACGT\tx\ttrain\nACGTA\ty\ttrain\nAC\tx\ttest\n")
    trials, _ = load(DataConfig(data=str(path)))
    names, left_out = baselines_of(("one-hot", "k-mer"), trials.data)
    assert names == ["k-mer"]
    assert "several lengths" in left_out["one-hot"]


def test_of_one_class_that_is_left_without_leaks_there_is_no_figure(tmp_path):
    config = write(tmp_path / "d.tsv")
    header, *rows = (line.split("\t") for line in (tmp_path / "d.tsv").read_text().splitlines())
    # Every row of one class that tests is a sequence that learns.
    learnt, known, _ = rows[0]
    rows = [[learnt, *row[1:]] if row[1:] == [known, "test"] else row for row in rows]
    (tmp_path / "d.tsv").write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
    trials, _ = load(config)
    truth = trials.labels.values[trials.tested]
    probe = Contender(name="probe", is_baseline=False, answers=[answer(sure(truth), 0.9)])
    found = compare_contenders(trials, [probe], {}).figures
    assert found["leaked"] == 10
    assert "without them one class alone is left, of which there is no figure" in in_words(found)
