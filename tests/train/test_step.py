"""The loss in pieces of the length, and blocks that compute again: the numbers of plain autograd over the whole."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F

from genomamba.config import ModelConfig
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.model.block import Block
from genomamba.model.state import MambaState
from genomamba.train.objective import Batch
from genomamba.train.step import backward

LENGTH = 37
SHAPES = {
    "causal": {},
    "own-head": {"tie_head": False, "norm": "layer"},
    "masked": {"direction": "bidirectional"},
    "equivariant": {"direction": "bidirectional", "equivariant": True},
}


def make_model(shape, layers=3):
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(d_model=6, num_layers=layers, d_state=3, **SHAPES[shape])).double()


def make_batch(rows=3, length=LENGTH):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(7, 11, (2, rows, length), generator=generator)
    weights = torch.randint(0, 3, (rows, length), generator=generator) / 2
    return Batch(0, tokens[0], tokens[1], weights, torch.ones(rows, dtype=torch.bool))


def by_autograd(model, batch):
    """Loss and gradients by the formula: logits of the whole length, one backward."""
    model.zero_grad(set_to_none=True)
    losses = F.cross_entropy(model(batch.inputs).flatten(0, 1), batch.targets.flatten(), reduction="none")
    loss = (losses * batch.weights.flatten()).sum() / batch.weights.sum()
    loss.backward()
    return loss.detach(), gradients(model)


def gradients(model):
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def in_pieces(model, batch, **options):
    model.zero_grad(set_to_none=True)
    loss, _ = backward(model, batch, 2, torch.float32, **options)
    return loss, gradients(model)


def assert_same(one, other):
    torch.testing.assert_close(one[0], other[0], rtol=0, atol=1e-10)
    for name, expected in other[1].items():
        torch.testing.assert_close(one[1][name], expected, rtol=0, atol=1e-10, msg=name)


@pytest.mark.parametrize("piece", [1, 5, 36, 37, 100, None])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_in_pieces_is_the_loss_of_the_whole(shape, piece):
    model, batch = make_model(shape), make_batch()
    assert_same(in_pieces(model, batch, piece=piece), by_autograd(model, batch))


@pytest.mark.parametrize("layers", [1, 2, 3, 9])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_that_compute_again_give_the_same(shape, layers):
    model, batch = make_model(shape), make_batch()
    expected = by_autograd(model, batch)
    model.set_recompute(True, layers)
    assert_same(in_pieces(model, batch, piece=8), expected)


def test_logits_of_the_whole_length_are_never_held(monkeypatch):
    model, batch = make_model("equivariant"), make_batch()
    seen, logits_of = [], model.logits_of
    monkeypatch.setattr(model, "logits_of", lambda hidden: seen.append(hidden.shape[1]) or logits_of(hidden))
    in_pieces(model, batch, piece=8)
    # Two batches (of two rows and of one), five pieces each, two strands.
    assert seen == [8, 8, 8, 8, 8, 8, 8, 8, 5, 5] * 2


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", ["causal", "masked"])
def test_a_block_keeps_its_input_and_not_the_norm_of_it(shape, precision, monkeypatch):
    model, made = make_model(shape).float(), []
    normalise = Block._normalise

    def watched(block, x):
        normalised = normalise(block, x)
        made.append(weakref.ref(normalised))
        return normalised

    monkeypatch.setattr(Block, "_normalise", watched)

    def kept():
        made.clear()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            x = model.residual(torch.full((1, 50), 7))
        gc.collect()
        return sum(one() is not None for one in made), x

    model.set_recompute(True)
    assert kept()[0] == 0
    for block in model.blocks():
        block.recompute = False
    # Held by the mixers, as they hold it without the blocks' part; in bfloat16 they hold a copy.
    assert kept()[0] == (3 if precision == torch.float32 else 0)


def test_several_layers_are_a_part_of_recompute():
    with pytest.raises(ConfigError, match="give both"):
        make_model("causal").set_recompute(False, 2)


@pytest.mark.parametrize("recompute", [0, 1, 2], ids=["kept", "recomputed", "by-twos"])
def test_pieces_that_pass_their_state_on_are_one_sequence_with_gradients_cut(recompute):
    model, batch = make_model("causal"), make_batch(rows=2, length=30)
    whole, _ = by_autograd(model, batch)
    model.set_recompute(bool(recompute), max(1, recompute))
    states, loss = MambaState.start(model.config, 2, dtype=torch.float64), 0.0
    for start in range(0, 30, 10):
        parts = (x[:, start : start + 10] for x in (batch.inputs, batch.targets, batch.weights))
        part = Batch(0, *parts, batch.begins)
        share = float(part.weights.sum()) / float(batch.weights.sum())
        one, states = backward(model, part, 1, torch.float32, states=states)
        loss += one * share
    assert float(loss) == pytest.approx(float(whole), abs=1e-10)
    assert states.position.tolist() == [30, 30]
    assert not states.scan.requires_grad
