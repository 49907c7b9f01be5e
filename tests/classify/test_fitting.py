"""Training of heads: what is learnt, what draws it, and that a cut training ends with the same bits."""

import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.classify.examples import Examples, Order, passes_of
from genomamba.classify.fitting import Fit, FitSettings
from genomamba.classify.heads import HeadConfig, SequenceModel
from genomamba.classify.labels import Labels
from genomamba.classify.losses import label_losses, probabilities_of, to_targets, values_of
from genomamba.classify.predicting import predict_logits
from genomamba.classify.sequences import SequenceListBuilder
from genomamba.classify.starting import head_config
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, RunError
from genomamba.model import LanguageModel
from genomamba.train.resume import checkpoints

SETTINGS = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-2}


def make_examples(kind, count=40, seed=0):
    """Sequences of 8 to 15 bases; half of them rich in G, which is what the labels say."""
    generator = np.random.default_rng(seed)
    builder = SequenceListBuilder(get_alphabet("dna"))
    rich = np.arange(count) % 2
    for one in rich:
        builder.add(
            "".join(generator.choice(list("ACGT"), generator.integers(8, 16), p=[0.1, 0.1, 0.7, 0.1] if one else None))
        )
    sequences = builder.build()
    values = {
        "single": rich.astype(np.int32),
        "multi": np.stack([rich, 1 - rich], 1).astype(np.uint8),
        "regression": 100 + 5.0 * rich,
        "per-base": (sequences.symbols == 9).astype(np.int16),
    }[kind]
    return Examples(sequences, Labels(kind, () if kind == "regression" else ("poor", "rich"), values))


def make_model(examples, seed=1, **head):
    torch.manual_seed(seed)
    trunk = LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4, direction="bidirectional"))
    labels = examples.labels
    scale = {"mean": 102.5, "scale": 2.5} if labels.kind == "regression" else {}
    return SequenceModel(trunk, HeadConfig(kind=labels.kind, classes=labels.classes, **(scale | head)))


def make_fit(examples, model, *, run=None, leave_at=None, **changes):
    rows, signals = np.arange(len(examples)), SimpleNamespace(leave=None)
    fit = Fit(model, examples, rows[:30], rows[30:], FitSettings(**(SETTINGS | changes)), run=run, signals=signals)
    if leave_at is not None:
        fit.after_step = lambda _: setattr(signals, "leave", fit.progress.step >= leave_at or None)
    return fit


@pytest.mark.parametrize("kind", ["single", "multi", "regression", "per-base"])
@pytest.mark.parametrize("freeze", [False, True], ids=["all", "head"])
def test_it_learns(kind, freeze):
    examples = make_examples(kind, 60)
    model = make_model(examples, hidden=8)
    before = Fit(model, examples, np.arange(50), np.arange(50, 60), FitSettings()).loss(np.arange(50, 60))
    fit = Fit(
        model, examples, np.arange(50), np.arange(50, 60),
        FitSettings(freeze=freeze, epochs=12, batch_size=10, learning_rate=2e-2),
    )  # fmt: skip
    trunk = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    fitted = fit.fit()
    assert fitted.valid_loss < 0.7 * before
    # The head of features that were computed once says what the whole says.
    whole = Fit(model, examples, np.arange(50), np.arange(50, 60), FitSettings())
    assert whole.loss(np.arange(50, 60)) == pytest.approx(fitted.valid_loss, rel=1e-4)
    same = all(torch.equal(tensor, trunk[name]) for name, tensor in model.network.state_dict().items())
    assert same == freeze


def test_losses_by_hand():
    single = HeadConfig(kind="single", classes=("a", "b"))
    logits = torch.tensor([[0.0, np.log(3.0)]])
    losses, counts = label_losses(single, logits, to_targets(single, np.array([1])), torch.tensor([1.0, 5.0]))
    assert (losses.item(), counts.item()) == (pytest.approx(np.log(4 / 3)), 5.0)
    assert probabilities_of(single, logits)[0] == pytest.approx([0.25, 0.75])
    several = HeadConfig(kind="multi", classes=("a", "b"))
    losses, _ = label_losses(several, logits, to_targets(several, np.array([[0, 1]])), None)
    assert losses.item() == pytest.approx((np.log(2) + np.log(4 / 3)) / 2)
    numbers = HeadConfig(kind="regression", mean=10.0, scale=2.0)
    losses, _ = label_losses(numbers, torch.tensor([[1.0]]), to_targets(numbers, np.array([16.0])), None)
    assert losses.item() == pytest.approx(4.0)
    assert values_of(numbers, torch.tensor([[1.0]])).tolist() == [12.0]


def test_class_weights_by_hand():
    examples = make_examples("single", 8)
    examples.labels.values[:] = [0, 0, 0, 0, 0, 0, 1, 1]
    assert examples.class_weights(np.arange(8), "balanced").tolist() == pytest.approx([8 / 12, 8 / 4])
    assert examples.class_weights(np.arange(8), "none") is None
    examples.weights[:6] = 1 / 3
    assert examples.class_weights(np.arange(8), "balanced").tolist() == pytest.approx([1.0, 1.0])


def test_balanced_classes_do_not_follow_the_more_frequent_one():
    examples = make_examples("single", 40)
    examples.labels.values[:] = np.arange(40) % 10 == 0
    shares = []
    for rule in ("none", "balanced"):
        model = make_model(examples)
        # Nothing tells the classes apart but what the head's bias says.
        with torch.no_grad():
            model.network.norm_f.weight.zero_()
        fit = make_fit(examples, model, class_weight=rule, freeze=True, epochs=150, batch_size=30, learning_rate=0.05)
        fit.valid_rows = fit.valid_rows[:0]
        fit.fit()
        shares.append(probabilities_of(model.config, predict_logits(model, examples.sequences))[0, 1])
    assert shares == pytest.approx([0.1, 0.5], abs=0.02)


def test_every_pass_visits_every_sequence_once_in_another_order():
    order = Order(7, seed=3)
    first, second = order.places(0, 7), order.places(7, 14)
    assert sorted(first) == sorted(second) == list(range(7))
    assert first.tolist() != second.tolist()
    assert order.places(5, 9).tolist() == [*first[5:], *second[:2]]
    assert first.tolist() != Order(7, seed=4).places(0, 7).tolist()
    assert 40 < order.flips(0, 100).sum() < 60


def test_a_fit_reads_every_sequence_once_a_pass():
    examples, read = make_examples("single"), []
    fit = make_fit(examples, make_model(examples), epochs=2)
    backward = fit._backward
    fit._backward = lambda rows, flips: read.append(rows) or backward(rows, flips)
    fit.fit()
    assert [len(rows) for rows in read] == 2 * [8, 8, 8, 6]
    for first in (0, 4):
        assert sorted(np.concatenate(read[first : first + 4])) == list(range(30))


def test_passes_hold_so_many_bases():
    parts = list(passes_of(np.array([4, 4, 9, 1, 1]), bases=8))
    assert [(part.start, part.stop) for part in parts] == [(0, 2), (2, 3), (3, 5)]
    assert len(list(passes_of(np.array([4, 4]), strands=2, bases=8))) == 2


@pytest.mark.parametrize("kind", ["single", "per-base"])
def test_gradients_do_not_depend_on_passes(kind, monkeypatch):
    examples = make_examples(kind)
    rows, found, passes = np.arange(12), [], []
    for most in (1 << 30, 1 << 17):
        monkeypatch.setattr("genomamba.classify.fitting._PASS_BYTES", most)
        model = make_model(examples).double()
        fit = make_fit(examples, model)
        fit._backward(rows, None)
        found.append(model.network.embedding.weight.grad)
        passes.append(len(list(fit._passes(rows, trains=True))))
    assert passes[0] == 1 < passes[1] < len(rows)
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


def tensors_of(fit):
    moments = {
        f"{name}/{key}": value
        for name, parameter in fit.model.named_parameters()
        for key, value in fit.optimizer.state[parameter].items()
    }
    return dict(fit.model.state_dict()) | moments


@pytest.mark.parametrize(
    ("kind", "settings", "head"),
    [("single", {}, {"dropout": 0.3}), ("single", {"freeze": True}, {"dropout": 0.3}),
     ("single", {"augment": True}, {"strand": "both"}), ("per-base", {"augment": True}, {"strand": "both"}),
     ("per-base", {"augment": True, "freeze": True}, {"strand": "both"}),
     ("regression", {"class_weight": "balanced"}, {"strand": "pooled"})],
    ids=str,
)  # fmt: skip
def test_a_cut_training_ends_with_the_same_bits(kind, settings, head, tmp_path):
    examples = make_examples(kind)
    unbroken = make_fit(examples, make_model(examples, **head), run=tmp_path / "unbroken", **settings)
    expected = unbroken.fit()
    again = make_fit(examples, make_model(examples, **head), **settings)
    again.fit()
    for leave_at in (2, 4, 9):
        run = tmp_path / f"left-{leave_at}"
        left = make_fit(examples, make_model(examples, **head), run=run, leave_at=leave_at, **settings).fit()
        assert not left.is_whole
        assert left.steps == leave_at
        torch.manual_seed(leave_at)
        resumed = make_fit(examples, make_model(examples, seed=1, **head), run=run, **settings)
        fitted = resumed.fit()
        assert (fitted.valid_loss, fitted.best_step) == (expected.valid_loss, expected.best_step)
        for name, tensor in tensors_of(resumed).items():
            assert torch.equal(tensor, tensors_of(unbroken)[name]), name
    for name, tensor in tensors_of(again).items():
        assert torch.equal(tensor, tensors_of(unbroken)[name]), name


def test_a_killed_training_goes_on_from_its_last_checkpoint(tmp_path):
    examples = make_examples("single")
    unbroken = make_fit(examples, make_model(examples), run=tmp_path / "unbroken")
    unbroken.fit()
    killed = make_fit(examples, make_model(examples), run=tmp_path / "killed")

    def kill(_):
        if killed.progress.step == 7:
            raise KeyboardInterrupt

    killed.after_step = kill
    with pytest.raises(KeyboardInterrupt):
        killed.fit()
    assert [folder.name for folder in checkpoints(tmp_path / "killed")] == ["step-00000004"]
    resumed = make_fit(examples, make_model(examples), run=tmp_path / "killed")
    resumed.fit()
    assert all(torch.equal(tensor, tensors_of(unbroken)[name]) for name, tensor in tensors_of(resumed).items())


def test_another_seed_gives_other_weights():
    examples = make_examples("single")
    weights = []
    for seed in (0, 0, 1):
        model = make_model(examples)
        make_fit(examples, model, seed=seed).fit()
        weights.append(model.head.output.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_training_stops_where_validation_gets_no_better_and_keeps_the_best():
    examples = make_examples("single")
    examples.labels.values[30:] = 1 - examples.labels.values[30:]
    fit = make_fit(examples, make_model(examples), epochs=50, patience=2)
    fitted = fit.fit()
    assert fitted.epochs == fitted.best_step // fit.steps_an_epoch + 2 < 50
    assert fit.loss(fit.valid_rows) == fitted.valid_loss


def test_what_others_draw_is_as_if_nothing_had_been_trained():
    examples = make_examples("single")
    model = make_model(examples)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    make_fit(examples, model, epochs=1).fit()
    assert torch.equal(torch.rand(2), expected)


def test_weights_of_nought_are_as_if_the_sequences_were_not_there():
    examples = make_examples("single")
    model = make_model(examples)
    fit = make_fit(examples, model)
    examples.weights[4:8] = 0
    fit._backward(np.arange(8), None)
    weighted = model.head.output.weight.grad.clone()
    model.zero_grad()
    fit._backward(np.arange(4), None)
    torch.testing.assert_close(weighted, model.head.output.weight.grad, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_the_training():
    examples = make_examples("regression")
    examples.labels.values[3] = np.inf
    with pytest.raises(RunError, match=r"step \d: loss inf.*lower learning rate"):
        make_fit(examples, make_model(examples)).fit()


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"epochs": 0}, "epochs is 0"), ({"learning_rate": -1.0}, "learning_rate is -1"),
     ({"warmup": 2.0}, "warmup is 2.0"), ({"class_weight": "even"}, "class_weight is 'even'")],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(changes, told):
    with pytest.raises(ConfigError, match=told):
        FitSettings(**changes)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path):
    examples = make_examples("single")
    make_fit(examples, make_model(examples), run=tmp_path / "run").fit()
    with pytest.raises(RunError, match="model of another shape"):
        make_fit(examples, make_model(examples, hidden=3), run=tmp_path / "run").fit()
    shutil.rmtree(tmp_path / "run")


def test_sums_are_divided_by_the_mean_length_of_what_is_learnt_from():
    examples = make_examples("single")
    train = np.arange(4)
    network = ModelConfig(d_model=16, num_layers=2, d_state=4)
    config = head_config(network, examples, pool="sum", strand="given", hidden=0, dropout=0.0, train=train)
    assert config.length == examples.sequences.lengths[:4].mean() > 1
    assert HeadConfig.from_dict(config.to_dict()) == config
    others = dataclasses.replace(config, pool="mean")
    torch.manual_seed(0)
    trunk = LanguageModel(network)
    tokens, lengths = examples.tokens(train)
    with torch.no_grad():
        sums, means = (SequenceModel(trunk, one).features(tokens, lengths)[0] for one in (config, others))
    torch.testing.assert_close(sums, means * (lengths / config.length)[:, None].float())
