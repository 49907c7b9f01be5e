"""What is read, what is predicted, and with which weight."""

import math

import numpy as np
import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.coordinates import Interval
from genomamba.data.stream import Sample
from genomamba.model import LanguageModel
from genomamba.train.objective import Masked, NextToken, token_losses
from genomamba.train.step import backward

DNA = get_alphabet("dna")


def make_sample(text, index=0):
    tokens = DNA.encode(text)
    weights = DNA.is_target_token[tokens].astype(np.float32)
    return Sample(index, Interval("one", 0, len(text)), "+", tokens, weights)


def test_next_token_reads_bos_and_then_the_bases_before():
    batch = NextToken("dna")([make_sample("ACGTN", 5), make_sample("TTTTT", 6)])
    assert batch.first == 5
    assert batch.inputs[0].tolist() == [DNA.bos, 7, 8, 9, 10]
    assert batch.targets[0].tolist() == [7, 8, 9, 10, 11]
    assert batch.weights.tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]


def test_masks_are_fifteen_in_a_hundred_of_which_eighty_ten_ten():
    generator = np.random.default_rng(0)
    text = "".join(generator.choice(list("ACGT"), 100_000))
    batch = Masked("dna", seed=3)([make_sample(text)])
    chosen = batch.weights[0] > 0
    read, target = batch.inputs[0][chosen], batch.targets[0][chosen]
    assert chosen.sum() == 15_000
    assert torch.equal(batch.inputs[0][~chosen], batch.targets[0][~chosen])
    masked = (read == DNA.mask).float().mean().item()
    kept = (read == target).float().mean().item()
    # A random base is the base itself one time in four. Five standard errors of 15,000 draws.
    assert masked == pytest.approx(0.8, abs=5 * math.sqrt(0.8 * 0.2 / 15_000))
    assert kept == pytest.approx(0.1 + 0.025, abs=5 * math.sqrt(0.125 * 0.875 / 15_000))
    assert set(read.unique().tolist()) == {DNA.mask, 7, 8, 9, 10}


def test_n_is_never_masked_nor_predicted():
    batch = Masked("dna", seed=0)([make_sample("N" * 50 + "ACGT" * 10 + "N" * 10)])
    hidden = batch.targets[0] == DNA.unknown
    assert (batch.weights[0][hidden] == 0).all()
    assert (batch.inputs[0][hidden] == DNA.unknown).all()


def test_masks_are_a_function_of_seed_and_sample():
    samples = [make_sample("ACGT" * 100, 7), make_sample("ACGT" * 100, 8)]
    together, alone = Masked("dna", 0)(samples), Masked("dna", 0)(samples[1:])
    assert torch.equal(together.inputs[1], alone.inputs[0])
    assert not torch.equal(together.inputs[0], together.inputs[1])
    assert not torch.equal(Masked("dna", 1)(samples).inputs, together.inputs)


@pytest.mark.parametrize("equivariant", [False, True], ids=["plain", "equivariant"])
def test_no_logit_of_a_masked_target_moves_when_the_target_changes(equivariant):
    torch.manual_seed(0)
    shape = ModelConfig(d_model=8, num_layers=2, d_state=4, direction="bidirectional", equivariant=equivariant)
    model = LanguageModel(shape).double().eval()
    sample = make_sample("ACGGTCATTA" * 20)
    batch = Masked("dna", 0)([sample])
    hidden = (batch.inputs[0] == DNA.mask).numpy()
    tokens = sample.tokens.copy()
    tokens[hidden] = 7 + (tokens[hidden] - 6) % 4
    changed = Masked("dna", 0)([Sample(0, sample.interval, "+", tokens, sample.weights)])
    assert not torch.equal(changed.targets, batch.targets)
    with torch.no_grad():
        torch.testing.assert_close(model(changed.inputs)[0, hidden], model(batch.inputs)[0, hidden], rtol=0, atol=0)


def test_no_logit_of_a_next_token_moves_when_the_token_changes():
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(d_model=8, num_layers=2, d_state=4)).double().eval()
    for at in (0, 5, 39):
        text = list("ACGGTCATTA" * 4)
        before = NextToken("dna")([make_sample("".join(text))])
        text[at] = "C" if text[at] != "C" else "G"
        after = NextToken("dna")([make_sample("".join(text))])
        with torch.no_grad():
            moved = (model(after.inputs) - model(before.inputs)).abs().amax(-1)[0]
        assert (moved[: at + 1] == 0).all()
        assert at == 39 or (moved[at + 1 :] > 0).all()


@pytest.mark.parametrize("batch_size", [1, 3], ids=["accumulated", "at-once"])
def test_loss_and_gradient_are_those_of_the_mean_over_targets_by_weight(batch_size):
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4))
    samples = [make_sample(text) for text in ("ACGTNNNN", "TTGACGTA", "NNNNNNNA")]
    samples[1].weights[:4] = 0.25
    batch = NextToken("dna")(samples)
    loss, _ = backward(model, batch, batch_size, torch.float32)
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    losses = token_losses(model(batch.inputs), batch.targets)
    expected = (losses * batch.weights).sum() / (4 + 4 * 0.25 + 4 + 1)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_loss_is_in_nats():
    logits = torch.zeros(1, 3, 16)
    assert token_losses(logits, torch.tensor([[7, 8, 9]])).flatten().tolist() == pytest.approx([math.log(16)] * 3)
