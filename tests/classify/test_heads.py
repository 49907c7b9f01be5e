"""Heads: pooled by hand, blind to padding and packing, and to the strand where that is asked for."""

import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.classify.heads import HeadConfig, SequenceModel, pool_each
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel

CLASSES = ("one", "two", "three")
LENGTHS = [[7], [5, 5, 5], [1, 9, 4]]
POOLS = ["mean", "sum", "max", "last", "middle", "concat"]


def make(*, dtype=torch.float64, **settings):
    torch.manual_seed(0)
    network = {key: settings.pop(key) for key in ("direction", "equivariant", "alphabet") if key in settings}
    settings = {"kind": "single", "classes": CLASSES} | settings
    trunk = LanguageModel(ModelConfig(d_model=16, num_layers=2, d_state=4, **network))
    return SequenceModel(trunk, HeadConfig(**settings)).to(dtype).eval()


def draw(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(7, 12, (length,), generator=generator) for length in lengths]


def run(model, sequences):
    with torch.no_grad():
        return model(torch.cat(sequences), torch.tensor([len(one) for one in sequences]))


def reverse_complement(tokens):
    return torch.from_numpy(get_alphabet("dna").reverse_complement(tokens.numpy()).copy())


def test_pools_by_hand():
    hidden = torch.tensor([[1.0, 2.0], [3.0, -4.0], [5.0, 6.0], [7.0, 0.0]])
    lengths = torch.tensor([3, 1])
    assert pool_each(hidden, lengths, "mean")[0].tolist() == pytest.approx([3.0, 4 / 3])
    assert pool_each(hidden, lengths, "sum").tolist() == [[9.0, 4.0], [7.0, 0.0]]
    assert pool_each(hidden, lengths, "max").tolist() == [[5.0, 6.0], [7.0, 0.0]]
    assert pool_each(hidden, lengths, "last").tolist() == [[5.0, 6.0], [7.0, 0.0]]
    assert pool_each(hidden, lengths, "middle").tolist() == [[3.0, -4.0], [7.0, 0.0]]
    assert pool_each(hidden, torch.tensor([4]), "middle").tolist() == [[4.0, 1.0]]
    assert pool_each(hidden, torch.tensor([2, 2]), "concat").tolist() == [[2.0, -1.0, 3.0, 2.0], [6.0, 3.0, 7.0, 6.0]]


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("strand", ["given", "both", "pooled"])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_a_sequence_gives_in_a_batch_what_it_gives_alone(pool, strand, lengths):
    model, sequences = make(pool=pool, strand=strand, direction="bidirectional"), draw(lengths)
    alone = torch.cat([run(model, [one]) for one in sequences])
    torch.testing.assert_close(run(model, sequences), alone, rtol=0, atol=1e-12)
    padded = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=3)
    with torch.no_grad():
        same = model(padded, torch.tensor(lengths))
    torch.testing.assert_close(same, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["single", "multi", "regression"])
@pytest.mark.parametrize("strand", ["both", "pooled"])
@pytest.mark.parametrize("network", [{}, {"direction": "bidirectional"},
                                     {"direction": "bidirectional", "equivariant": True}], ids=str)  # fmt: skip
def test_both_strands_have_the_same_logits(kind, strand, network):
    classes = () if kind == "regression" else CLASSES
    model = make(kind=kind, classes=classes, strand=strand, pool="concat", hidden=5, dtype=torch.float32, **network)
    sequences = draw([11, 3, 20])
    one, other = run(model, sequences), run(model, list(map(reverse_complement, sequences)))
    assert one.abs().max() > 1e-3
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert torch.equal(run(model, sequences[:1]), run(model, [reverse_complement(sequences[0])]))


def test_one_strand_tells_them_apart():
    model, (sequence,) = make(strand="given", direction="bidirectional"), draw([20])
    assert (run(model, [sequence]) - run(model, [reverse_complement(sequence)])).abs().max() > 1e-3


@pytest.mark.parametrize("strand", ["both", "pooled"])
def test_bases_of_both_strands_have_the_same_logits_in_reverse(strand):
    model, sequences = make(kind="per-base", strand=strand, direction="bidirectional"), draw([6, 9])
    one, other = run(model, sequences), run(model, list(map(reverse_complement, sequences)))
    assert one.shape == (15, 3)
    torch.testing.assert_close(one[:6], other[:6].flip(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(one[6:], other[6:].flip(0), rtol=0, atol=1e-12)


def test_the_mean_of_logits_is_that_of_two_runs():
    both, (sequence,) = make(strand="both", hidden=4, direction="bidirectional"), draw([12])
    given = SequenceModel(both.network, HeadConfig(kind="single", classes=CLASSES, hidden=4)).double().eval()
    given.head.load_state_dict(both.head.state_dict())
    expected = (run(given, [sequence]) + run(given, [reverse_complement(sequence)])) / 2
    torch.testing.assert_close(run(both, [sequence]), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["single", "per-base"])
def test_strands_drawn_for_each_are_those_of_single_runs(kind):
    model, sequences = make(kind=kind, strand="both", direction="bidirectional"), draw([6, 9, 6])
    lengths, flips = torch.tensor([6, 9, 6]), torch.tensor([True, False, True])
    with torch.no_grad():
        found = model.features_of_one(torch.cat(sequences), lengths, flips)
        given, other = model.features(torch.cat(sequences), lengths)
    is_flipped = flips.repeat_interleave(lengths) if kind == "per-base" else flips
    torch.testing.assert_close(found, torch.where(is_flipped[:, None], other, given), rtol=0, atol=1e-12)


def test_gradients_reach_the_whole_network():
    model = make(strand="both", hidden=3, direction="bidirectional")
    sequences = draw([6, 4])
    model(torch.cat(sequences), torch.tensor([6, 4])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"kind": "sole"}, "head.kind is 'sole'"), ({"pool": "product"}, "head.pool is 'product'"),
     ({"classes": ("one",)}, "has 1 names; single needs 2"), ({"dropout": 1.0}, "head.dropout is 1.0"),
     ({"hidden": -1}, "head.hidden is -1"), ({"kind": "regression"}, "regression needs none")],
)  # fmt: skip
def test_heads_that_cannot_be_are_refused(changes, told):
    with pytest.raises(ConfigError, match=told):
        HeadConfig(**({"kind": "single", "classes": CLASSES} | changes))


def test_lengths_that_do_not_fit_are_refused():
    model = make()
    for tokens, lengths in (
        (torch.full((5,), 7), [3, 3]),
        (torch.full((2, 5), 7), [6, 1]),
        (torch.full((5,), 7), [5, 0]),
    ):
        with pytest.raises(ValueError, match="lengths are"):
            model(tokens, torch.tensor(lengths))


def test_an_alphabet_without_complement_has_one_strand():
    with pytest.raises(ConfigError, match="one strand alone"):
        make(strand="both", alphabet="bytes")


def test_what_a_head_is_comes_back_from_plain_values():
    config = HeadConfig(kind="regression", pool="max", strand="pooled", hidden=3, dropout=0.1, mean=2.0, scale=0.5)
    assert HeadConfig.from_dict(config.to_dict()) == config
    for values, told in (({"kind": "single", "hue": 1}, "unknown fields hue"), ({}, "no kind"),
                         ({"kind": "regression", "hidden": True}, "head.hidden is True")):  # fmt: skip
        with pytest.raises(ConfigError, match=told):
            HeadConfig.from_dict(values)
