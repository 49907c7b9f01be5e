"""What lies beyond the horizon: the differences of scores over four times as many bases, on an even sample."""

import dataclasses
import math

import pytest

from genomamba.coordinates import Variant
from genomamba.score.variants.brute_force import score_variant
from genomamba.score.variants.causal import CausalSettings, score_causal
from genomamba.score.variants.tail import TailSample

SETTINGS = CausalSettings(context=512, horizon=30)


@pytest.fixture
def scored(make_genome, make_model, draw_text, draw_variants):
    """A model, a genome, and variants with their scores."""
    text, model = draw_text(2_000), make_model()
    genome = make_genome({"one": text})
    variants = [*draw_variants(text, 70, longest=9), Variant("one", 1_999, "A", "<DEL>")]
    return model, genome, list(score_causal(model, genome, "one", variants, SETTINGS))


def sample_of(scores):
    sample = TailSample(len(scores))
    for one in scores:
        sample.see("one", one.variant, one.llr)
    return sample


@pytest.mark.parametrize("context", [512, None])
def test_differences_are_those_of_four_horizons(scored, context):
    model, genome, scores = scored
    settings = dataclasses.replace(SETTINGS, context=context)
    # Of a whole contig, 64 horizons stand for the context.
    near = dataclasses.replace(SETTINGS, context=context or 64 * 30)
    far = dataclasses.replace(near, horizon=120)
    kept = scores[:-1:3]
    expected = [
        abs(
            score_variant(model, genome, "one", one.variant, far)[0]
            - score_variant(model, genome, "one", one.variant, near)[0]
        )
        for one in kept
    ]
    tail = sample_of(scores).measure(model, genome, settings)
    assert sorted(tail) == pytest.approx(sorted(expected), abs=1e-9)
    assert tail.max() > 1e-6


def test_a_sample_ends_when_its_time_is_up(scored):
    model, genome, scores = scored
    assert sample_of(scores).measure(model, genome, SETTINGS, budget_s=0).size == 4
    assert sample_of(scores[-1:]).measure(model, genome, SETTINGS).size == 0
    assert sample_of(scores[:1]).measure(model, genome, SETTINGS).size == 1


def test_it_is_spread_evenly_however_soon_it_ends(monkeypatch):
    measured = []
    monkeypatch.setattr(
        "genomamba.score.variants.tail._llr",
        lambda model, genome, contig, variant, settings: measured.append(variant) or 0.0,
    )
    sample = TailSample(3_200)
    for start in range(3_200):
        sample.see("one", Variant("one", start, "A", "C"), math.nan if start % 7 == 0 else 1.0)
    sample.measure(None, None, SETTINGS)
    starts = [one.start for one in measured]
    assert 28 <= len(starts) <= 32
    assert abs(starts[1] - starts[0]) > 1_400
    assert sorted(starts[:4])[3] - sorted(starts[:4])[0] > 2_200
    assert max(b - a for a, b in zip(sorted(starts), sorted(starts)[1:], strict=False)) < 110
