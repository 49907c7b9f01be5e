"""The Markov model's ratio against haplotypes that are edited as strings and scored whole."""

import numpy as np
import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.baselines.markov import InterpolatedMarkov
from genomamba.config import ModelConfig
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.score.variants.baselines import MarkovScorer, with_random_weights

SWAP = str.maketrans("ACGT", "TGCA")


def codes(text):
    return np.array(["ACGT".find(base) for base in text.upper()], np.int16)


def turned(text):
    return text.upper()[::-1].translate(SWAP)


def test_of_an_snv_it_is_the_ratio_of_whole_haplotypes(make_genome, draw_text, draw_variants):
    text = draw_text(3_000)
    scorer = MarkovScorer(make_genome({"one": text}), 3)
    model = InterpolatedMarkov(4, 3).fit([codes(text)], np.array([3, 2, 1, 0]))
    assert scorer.bases == sum(base in "ACGTacgt" for base in text)
    variants = draw_variants(text, 60)
    found = scorer.scores([("one", variant) for variant in variants])
    compared = 0
    for variant, score in zip(variants, found, strict=True):
        edited = text[: variant.start] + variant.alt + text[variant.end :]
        ratios = []
        for turn in (str.upper, turned):
            ref, alt = (model.log_likelihoods(codes(turn(one))) for one in (text, edited))
            ratio = np.nansum(alt) - np.nansum(ref)
            if longer := len(variant.alt) - len(variant.ref):
                at = variant.start if turn is str.upper else len(text) - variant.end
                ratio -= longer * np.nanmean(ref[at : at + len(variant.ref) + 3])
            ratios.append(ratio)
        assert score == pytest.approx(np.mean(ratios), abs=1e-8)
        compared += 1
    assert compared == 60
    assert scorer.scores([]).size == 0


def test_log_likelihoods_do_not_bridge_a_break():
    model = InterpolatedMarkov(4, 2).fit([codes("ACGTTGCA" * 30)])
    joined = model.log_likelihoods(np.concatenate([codes("ACG"), [-1], codes("TTG")]).astype(np.int16))
    apart = [model.log_likelihoods(codes(text)) for text in ("ACG", "TTG")]
    np.testing.assert_array_equal(joined, np.concatenate([apart[0], [np.nan], apart[1]]))
    # The mean is what `bits` says of the same sequence.
    assert -apart[0].mean() / np.log(2) == pytest.approx(model.bits([codes("ACG")])[2])
    with pytest.raises(ValueError, match="call fit first"):
        InterpolatedMarkov(4, 2).log_likelihoods(codes("A"))


def test_bytes_have_one_strand(tmp_path):
    (tmp_path / "made.fa").write_text(">one\n" + "abracadabra" * 20 + "\n")
    genome = Genome.open([tmp_path / "made.fa"], get_alphabet("bytes"), cache_dir=tmp_path / "cache", progress=False)
    (found,) = MarkovScorer(genome, 1).scores([("one", Variant("one", 2, "r", "x"))])
    assert found < -2


def test_an_order_that_cannot_be_is_refused(make_genome):
    genome = make_genome({"one": "ACGT" * 10})
    for order in (-1, 13):
        with pytest.raises(ConfigError, match=f"--markov-order is {order}; it must lie between 0 and 12"):
            MarkovScorer(genome, order)


def test_random_weights_are_another_network_of_the_same_shape_and_always_the_same_one():
    torch.manual_seed(5)
    model = LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=2)).double()
    before = torch.random.get_rng_state()
    one, other = with_random_weights(model), with_random_weights(model)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert one.config == model.config
    assert one.embedding.weight.dtype == torch.float64
    assert torch.equal(one.embedding.weight, other.embedding.weight)
    assert not torch.equal(one.embedding.weight, model.embedding.weight)
