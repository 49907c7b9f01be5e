"""Embeddings: what the plain network says, whatever shares a pass, at any depth, on either strand."""

import numpy as np
import pytest
import torch

import genomamba
from genomamba.alphabet import get_alphabet
from genomamba.classify.embedding import Embedding, embed_each
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.model.streaming import stream_layers
from genomamba.score.sequences import Held
from toys import MarkovModel, dna_table

DNA = get_alphabet("dna")
LENGTHS = [1, 7, 30, 3, 65]
KINDS = {
    "causal": {},
    "bidirectional": {"direction": "bidirectional"},
    "equivariant": {"direction": "bidirectional", "equivariant": True},
}


def make(kind, dtype=torch.float64):
    torch.manual_seed(3)
    return LanguageModel(ModelConfig(d_model=8, num_layers=3, d_state=4, **KINDS[kind])).to(dtype).eval()


def draw(lengths=LENGTHS):
    generator = np.random.default_rng(1)
    return [torch.from_numpy(generator.integers(7, 12, length)) for length in lengths]


def sources(sequences):
    return [Held(ids, DNA, "+") for ids in sequences]


def other(ids):
    return torch.from_numpy(DNA.reverse_complement(ids.numpy()).copy())


def plain(model, ids, layer):
    """The residual stream by the modules themselves, one sequence a batch."""
    with torch.no_grad():
        x = model.embedding(ids[None])
        for block in list(model.layers)[:layer]:
            x = block(x)
        return (model.norm_f(x) if layer == model.config.num_layers else x)[0]


POOLS = {
    "mean": lambda x: x.mean(0),
    "sum": lambda x: x.sum(0),
    "max": lambda x: x.amax(0),
    "last": lambda x: x[-1],
    "none": lambda x: x,
}


def expected(model, ids, pool, layers, strand):
    def one(given):
        return torch.cat([POOLS[pool](plain(model, given, layer)) for layer in layers], dim=-1)

    given, reverse = one(ids), one(other(ids))
    reverse = reverse.flip(0) if pool == "none" else reverse
    return {"+": given, "-": reverse, "mean": (given + reverse) / 2, "both": torch.cat([given, reverse], dim=-1)}[
        strand
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("strand", ["+", "-", "mean", "both"])
def test_each_sequence_gives_what_the_plain_network_says(kind, pool, strand):
    model, sequences = make(kind), draw()
    embedding = Embedding(pool, (3, 0, 2), strand)
    for chunk in (30, 1_000):
        found = list(embed_each(model, sources(sequences), embedding, chunk=chunk))
        assert len(found) == len(sequences)
        for ids, values in zip(sequences, found, strict=True):
            torch.testing.assert_close(values, expected(model, ids, pool, (3, 0, 2), strand), rtol=1e-9, atol=1e-10)
            assert values.shape[-1] == embedding.width(model.config)


@pytest.mark.parametrize("kind", KINDS)
def test_company_in_a_pass_changes_rounding_alone(kind):
    model, sequences = make(kind, torch.float32), draw()
    embedding = Embedding("mean", (3,), "mean")
    alone = [next(embed_each(model, [one], embedding)) for one in sources(sequences)]
    for chunk in (32, 200, 10_000):
        together = list(embed_each(model, sources(sequences), embedding, chunk=chunk))
        torch.testing.assert_close(torch.stack(together), torch.stack(alone), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_of_the_strands_does_not_depend_on_the_strand(kind):
    model, sequences = make(kind), draw()
    for pool in ("mean", "max", "last"):
        embedding = Embedding(pool, (3,), "mean")
        given = list(embed_each(model, sources(sequences), embedding))
        turned = list(embed_each(model, sources([other(ids) for ids in sequences]), embedding))
        torch.testing.assert_close(torch.stack(given), torch.stack(turned), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
@pytest.mark.parametrize("spill", [False, True])
def test_streams_of_layers_give_whole_ones_in_pieces(kind, spill, tmp_path):
    model, (ids,) = make(kind), draw([100])
    pieces = {0: [], 1: [], 2: []}
    for place, values in stream_layers(model, ids[None], (1, 3, 1), chunk=33, spill=tmp_path if spill else None):
        assert values.shape[1] <= 33
        pieces[place].append(values[0])
    for place, layer in enumerate((1, 3, 1)):
        torch.testing.assert_close(torch.cat(pieces[place]), plain(model, ids, layer), rtol=1e-9, atol=1e-10)
    assert list(tmp_path.iterdir()) == []


def test_by_hand_on_a_model_that_is_its_token():
    # The residual stream is the token, one channel each, and its norm has size 4: so A is 4 in channel 7.
    model = MarkovModel(dna_table({"A": [0.25] * 4})).eval()
    found = genomamba.embed(genomamba.Model(model), ["AAC", "G"], pool="mean")
    assert found.shape == (2, 16)
    assert found[0, [7, 8]].tolist() == pytest.approx([8 / 3, 4 / 3], rel=1e-4)
    assert found[1, 9].item() == pytest.approx(4, rel=1e-4)
    # The other strand reads GTT, and C.
    assert genomamba.embed(genomamba.Model(model), "AAC", pool="last", strand="-")[10].item() == pytest.approx(
        4, rel=1e-4
    )
    bases = genomamba.embed(genomamba.Model(model), "AAC", pool="none", strand="-")
    assert bases.argmax(-1).tolist() == [10, 10, 9]
    tokens = genomamba.embed(genomamba.Model(model), "AAC", pool="none", layers=[0])
    assert tokens.tolist() == torch.eye(16)[[7, 7, 8]].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_front_door_says_what_the_model_says(kind):
    model = genomamba.Model(make(kind))
    texts = ["ACGTTGCA", "GGNA"]
    torch.testing.assert_close(genomamba.embed(model, texts), model.embed(texts, pool="mean"))
    both = genomamba.embed(model, "ACGTTGCA", pool="none")
    torch.testing.assert_close(both, model.embed("ACGTTGCA"))


def test_what_the_model_does_not_have_is_refused():
    model = genomamba.Model(make("causal"))
    with pytest.raises(ConfigError, match="layers are 4; they must lie between -4 and 3"):
        genomamba.embed(model, "ACG", layers=[4])
    torch.manual_seed(0)
    text = genomamba.Model(LanguageModel(ModelConfig(d_model=8, num_layers=1, alphabet="bytes")))
    with pytest.raises(ConfigError, match="strand is mean; the bytes alphabet has one strand alone"):
        genomamba.embed(text, "ACG", strand="mean")
    assert genomamba.embed(text, "ACG").shape == (8,)
