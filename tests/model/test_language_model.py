"""What the network may see, and how it treats the two strands."""

import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig, check_no_leak
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel

DNA = get_alphabet("dna")
COMPLEMENT = torch.from_numpy(DNA.complement_of_token)


def make_model(**shape):
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(d_model=8, num_layers=2, d_state=4, **shape)).double().eval()


def make_tokens(length=33, batch=2):
    return torch.randint(7, 12, (batch, length), generator=torch.Generator().manual_seed(1))


def moved_positions(model, at, length=33):
    """Positions whose logits change when the token at `at` does."""
    tokens = make_tokens(length, batch=1)
    other = tokens.clone()
    other[0, at] = 7 + (tokens[0, at] - 6) % 4
    with torch.no_grad():
        moved = (model(tokens) - model(other)).abs().amax(-1)[0] > 1e-12
    return moved.nonzero().flatten().tolist()


@pytest.mark.parametrize("at", [0, 7, 32])
def test_causal_reads_the_present_and_the_past(at):
    assert moved_positions(make_model(), at) == list(range(at, 33))


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_bidirectional_reads_both_sides(tied):
    assert moved_positions(make_model(direction="bidirectional", tie_directions=tied), 7) == list(range(33))


def test_equivariant_causal_reads_the_future_and_is_therefore_refused():
    assert min(moved_positions(make_model(equivariant=True), 20)) < 20
    with pytest.raises(ConfigError, match="leaks the target"):
        check_no_leak(direction="causal", objective="next_token", equivariant=True)


@pytest.mark.parametrize(
    ("direction", "objective", "equivariant", "allowed"),
    [
        ("causal", "next_token", False, True),
        ("bidirectional", "masked", False, True),
        ("bidirectional", "masked", True, True),
        ("causal", "next_token", True, False),
        ("bidirectional", "next_token", False, False),
        ("bidirectional", "next_token", True, False),
        ("causal", "masked", False, False),
        ("causal", "masked", True, False),
    ],
)
def test_every_combination_is_allowed_or_refused_by_name(direction, objective, equivariant, allowed):
    if allowed:
        check_no_leak(direction=direction, objective=objective, equivariant=equivariant)
    else:
        with pytest.raises(ConfigError, match=f"--objective {objective}"):
            check_no_leak(direction=direction, objective=objective, equivariant=equivariant)


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_equivariant_logits_commute_with_reverse_complement(direction):
    model, tokens = make_model(direction=direction, equivariant=True), make_tokens()
    with torch.no_grad():
        turned = model(COMPLEMENT[tokens.flip(1)])
        expected = model(tokens).flip(1)[..., COMPLEMENT]
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-10)


def test_plain_logits_do_not_commute_with_reverse_complement():
    model, tokens = make_model(direction="bidirectional"), make_tokens()
    with torch.no_grad():
        difference = model(COMPLEMENT[tokens.flip(1)]) - model(tokens).flip(1)[..., COMPLEMENT]
    assert difference.abs().max() > 1e-3


def test_tied_and_untied_agree_where_the_weights_do():
    tied, untied = (make_model(direction="bidirectional", tie_directions=tie) for tie in (True, False))
    untied.load_state_dict(tied.state_dict())
    tokens = make_tokens()
    with torch.no_grad():
        torch.testing.assert_close(tied(tokens), untied(tokens), rtol=0, atol=1e-12)


def test_rows_of_a_batch_do_not_depend_on_each_other():
    model, tokens = make_model(), make_tokens(batch=3)
    with torch.no_grad():
        torch.testing.assert_close(model(tokens)[1:2], model(tokens[1:2]), rtol=0, atol=1e-12)


def test_bytes_have_no_second_strand():
    with pytest.raises(ConfigError, match="complement"):
        ModelConfig(alphabet="bytes", equivariant=True)
