"""Padded or packed, each sequence gives what it gives by itself, in both directions."""

import pytest
import torch

from genomamba.config import ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.streaming import stream
from genomamba.model.together import run_together

KINDS = {
    "causal": {},
    "bidirectional": {"direction": "bidirectional"},
    "untied": {"direction": "bidirectional", "tie_directions": False},
    "multiplied": {"direction": "bidirectional", "merge": "multiply"},
    "equivariant": {"direction": "bidirectional", "equivariant": True},
}
LENGTHS = [1, 70, 2, 33, 64]


def make_model(kind):
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(d_model=8, num_layers=2, d_state=4, **KINDS[kind])).double().eval()


def make_sequences():
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(7, 12, (1, length), generator=generator) for length in LENGTHS]


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_give_the_results_of_one_by_one(kind):
    model, sequences = make_model(kind), make_sequences()
    borders = torch.tensor([0, *LENGTHS]).cumsum(0)
    together = model(torch.cat(sequences, dim=1), cu_seqlens=borders)
    expected = torch.cat([model(one) for one in sequences], dim=1)
    torch.testing.assert_close(together, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "output"),
    [("causal", "log_likelihood"), *((kind, output) for kind in KINDS for output in ("logits", "hidden"))],
)
def test_one_pass_over_several_gives_what_a_stream_gives_of_each(kind, output):
    model, sequences = make_model(kind), make_sequences()
    together = run_together(model, [one[0] for one in sequences], output)
    apart = [torch.cat(list(stream(model, one, output=output, chunk=16)), dim=1)[0] for one in sequences]
    torch.testing.assert_close(together, apart, rtol=1e-10, atol=1e-10, equal_nan=True)


def test_padded_and_packed_at_once_is_refused():
    borders = torch.tensor([0, 2, 5])
    with pytest.raises(ValueError, match="give one of them"):
        make_model("causal")(torch.full((1, 5), 7), lengths=torch.tensor([5]), cu_seqlens=borders)


@pytest.mark.parametrize("filling", [4, 7], ids=["pad", "A"])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_result_whatever_it_holds(kind, filling):
    model, sequences = make_model(kind), make_sequences()
    padded = torch.full((len(LENGTHS), 80), filling)
    for row, one in enumerate(sequences):
        padded[row, : one.shape[1]] = one
    logits = model(padded, lengths=torch.tensor(LENGTHS))
    assert logits.shape == (len(LENGTHS), 80, model.config.vocab_size)
    for row, one in enumerate(sequences):
        length = one.shape[1]
        torch.testing.assert_close(logits[row, :length], model(one)[0], rtol=1e-10, atol=1e-10)
        assert not logits[row, length:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_packed_sequences_add_up(kind):
    model, sequences = make_model(kind), make_sequences()
    weights = list(model.parameters())
    borders = torch.tensor([0, *LENGTHS]).cumsum(0)
    together = torch.autograd.grad(model(torch.cat(sequences, 1), cu_seqlens=borders).square().sum(), weights)
    apart = torch.autograd.grad(sum(model(one).square().sum() for one in sequences), weights)
    torch.testing.assert_close(together, apart, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("lengths", [[3], [0, 5], [3, 9]], ids=str)
def test_lengths_that_do_not_fit_are_refused(lengths):
    with pytest.raises(ValueError, match="expected 2 numbers from 1 to 8, one a row of tokens"):
        make_model("causal")(torch.full((2, 8), 7), lengths=torch.tensor(lengths))
