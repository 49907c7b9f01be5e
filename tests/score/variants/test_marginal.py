"""Scores by bidirectional models, against strings that are edited and run one by one."""

import math

import numpy as np
import pytest
import torch

from genomamba.coordinates import Variant
from genomamba.errors import ConfigError
from genomamba.score.variants.marginal import COLUMNS, MarginalSettings, Windows, score_marginal

LETTERS = {7: "A", 8: "C", 9: "G", 10: "T"}
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
KINDS = {
    "bidirectional": {"direction": "bidirectional"},
    "equivariant": {"direction": "bidirectional", "equivariant": True},
}
ALL = tuple(COLUMNS)


@pytest.fixture(params=KINDS)
def model(request, make_model):
    return make_model(**KINDS[request.param])


def draw_variants(text, count, seed):
    """SNVs, MNVs, insertions, deletions and both, by position."""
    generator = np.random.default_rng(seed)
    variants = []
    for _ in range(count):
        start = int(generator.integers(len(text)))
        ref = text[start : start + int(generator.choice([1, 1, 1, 2, 3, 5]))]
        length = int(generator.choice([len(ref), 1, 2, 4]))
        alt = "".join(generator.choice(list("ACGT"), length))
        if alt != ref and "N" not in ref:
            variants.append(Variant("c", start, ref, alt))
    return sorted(variants, key=lambda variant: variant.start)


def log_probabilities(model, text, masked=()):
    """Run a string along both strands; for each, (length, 4) of A, C, G, T of the plus strand, and embeddings."""
    found = []
    for other in (False, True):
        read = text.translate(COMPLEMENT)[::-1] if other else text
        tokens = torch.tensor([[{"A": 7, "C": 8, "G": 9, "T": 10, "N": 11}[letter] for letter in read]])
        for position in masked:
            tokens[0, len(text) - 1 - position if other else position] = 3
        with torch.no_grad():
            logp = model(tokens).log_softmax(-1)[0]
            hidden = None if model.config.equivariant else model.hidden(tokens)[0].numpy()
        bases = logp[:, 7:11].numpy()
        whole = logp.numpy()
        if other:
            # A to D of one strand are T to A of the other; the other columns stay but for those of special tokens.
            bases, whole = bases[::-1, ::-1], whole[::-1]
            hidden = None if hidden is None else hidden[::-1]
        found.append((bases, whole, hidden))
    return found


def window_of(length, context, start):
    if context is None:
        return 0, length
    core = start // (context // 2)
    margin = (context - context // 2) // 2
    return max(0, core * (context // 2) - margin), min(length, (core + 1) * (context // 2) + margin)


def by_strings(model, text, variant, context, score, flank):
    """Compute one score in the plainest way."""
    start, end = window_of(len(text), context, variant.start)
    first, ref_end = variant.start - start, variant.end - start
    if variant.end > end:
        return math.nan
    ref = text[start:end]
    alt = ref[:first] + variant.alt + ref[ref_end:]
    values = []
    if score in ("wt_marginal", "masked_marginal"):
        if len(variant.ref) != len(variant.alt):
            return math.nan
        changed = [i for i, (a, b) in enumerate(zip(variant.ref, variant.alt, strict=True)) if a != b]
        masked = [first + i for i in changed] if score == "masked_marginal" else []
        for bases, _, _ in log_probabilities(model, ref, masked):
            terms = (
                bases[first + i, "ACGT".index(variant.alt[i])] - bases[first + i, "ACGT".index(variant.ref[i])]
                for i in changed
            )
            values.append(sum(terms))
    else:
        ref_near = [i for i in range(max(0, first - flank), min(len(ref), ref_end + flank)) if ref[i] != "N"]
        alt_end = first + len(variant.alt)
        alt_near = [i for i in range(max(0, first - flank), min(len(alt), alt_end + flank)) if alt[i] != "N"]
        both = zip(log_probabilities(model, ref), log_probabilities(model, alt), strict=True)
        for (of_ref, _, _), (of_alt, _, _) in both:
            sum_ref = sum(of_ref[i, "ACGT".index(ref[i])] for i in ref_near)
            sum_alt = sum(of_alt[i, "ACGT".index(alt[i])] for i in alt_near)
            values.append(sum_alt - sum_ref - (len(alt) - len(ref)) * sum_ref / len(ref_near))
    return float(np.mean(values))


@pytest.mark.parametrize("context", [None, 30])
def test_equals_strings_edited_and_run_alone(model, make_genome, random_text, context):
    text = random_text(120, seed=3)
    text = text[:70] + "NNNNNN" + text[76:]
    variants = draw_variants(text, 24, seed=1)
    settings = MarginalSettings(context=context, scores=("wt_marginal", "masked_marginal", "pseudo_llr"), flank=7)
    found = list(score_marginal(model, make_genome({"c": text}), "c", variants, settings))
    assert len(found) == len(variants)
    compared = dict.fromkeys(settings.scores, 0)
    for variant, one in zip(variants, found, strict=True):
        for score in settings.scores:
            expected = by_strings(model, text, variant, context, score, 7)
            assert one[score] == pytest.approx(expected, abs=1e-9, nan_ok=True), (variant, score)
            compared[score] += not math.isnan(expected)
    assert min(compared.values()) >= 5
    assert compared["pseudo_llr"] >= 15


def test_distances_and_divergences_by_hand(make_model, make_genome, random_text):
    model = make_model(direction="bidirectional")
    text = random_text(50, seed=5)
    variant = Variant("c", 20, text[20:22], "ACGT" if text[20:22] != "AC" else "GGGT")
    alt_text = text[:20] + variant.alt + text[22:]
    settings = MarginalSettings(context=None, scores=("distance", "divergence"), flank=4)
    (found,) = score_marginal(model, make_genome({"c": text}), "c", [variant], settings)

    expected = []
    for (_, ref, ref_hidden), (_, alt, alt_hidden) in zip(
        log_probabilities(model, text), log_probabilities(model, alt_text), strict=True
    ):
        near_ref, near_alt = ref_hidden[16:26].mean(0), alt_hidden[16:28].mean(0)
        js = []
        for i in [*range(20), *range(22, 50)]:
            p, q = np.exp(ref[i]), np.exp(alt[i if i < 20 else i + 2])
            m = (p + q) / 2
            js.append((i, 0.5 * (p * np.log2(p / m)).sum() + 0.5 * (q * np.log2(q / m)).sum()))
        largest = max(js, key=lambda pair: pair[1])
        expected.append(
            {
                "l2_site": np.linalg.norm(ref_hidden[20] - alt_hidden[20]),
                "l2_pooled": np.linalg.norm(near_ref - near_alt),
                "cosine_pooled": 1 - near_ref @ near_alt / np.linalg.norm(near_ref) / np.linalg.norm(near_alt),
                "js_divergence": np.mean([value for i, value in js if 16 <= i < 26]),
                "influence": largest[1],
                "at": largest[0] - 20,
            }
        )
    for name in ("l2_site", "l2_pooled", "cosine_pooled", "js_divergence", "influence"):
        assert found[name] == pytest.approx(np.mean([one[name] for one in expected]), rel=1e-9), name
    assert found["influence_at"] == max(expected, key=lambda one: one["influence"])["at"]
    assert 0 < found["influence"] <= 1


def test_of_an_equivariant_model_both_strands_give_the_same(make_model, make_genome, random_text):
    model = make_model(direction="bidirectional", equivariant=True)
    text = random_text(120, seed=8)
    variants = draw_variants(text, 10, seed=2)
    mirrored = [
        Variant("c", 120 - one.end, *(allele.translate(COMPLEMENT)[::-1] for allele in (one.ref, one.alt)))
        for one in variants
    ]
    settings = MarginalSettings(context=None, scores=ALL)
    given = list(score_marginal(model, make_genome({"c": text}), "c", variants, settings))
    (other_genome,) = [make_genome({"c": text.translate(COMPLEMENT)[::-1]})]
    order = sorted(range(len(mirrored)), key=lambda i: mirrored[i].start)
    other = list(score_marginal(model, other_genome, "c", [mirrored[i] for i in order], settings))
    for i, one in zip(order, other, strict=True):
        for name in ("wt_marginal", "masked_marginal", "pseudo_llr", "js_divergence", "influence"):
            assert one[name] == pytest.approx(given[i][name], abs=1e-9, nan_ok=True), name


def test_a_number_does_not_depend_on_other_variants_by_a_bit(model, make_genome, random_text):
    text, settings = random_text(150, seed=4), MarginalSettings(context=64, scores=ALL)
    genome, model = make_genome({"c": text}), model.float()
    variants = draw_variants(text, 12, seed=7)
    together = list(score_marginal(model, genome, "c", variants, settings))
    for variant, one in zip(variants, together, strict=True):
        (alone,) = score_marginal(model, genome, "c", [variant], settings)
        assert np.array_equal(list(one.values()), list(alone.values()), equal_nan=True)


def test_float32_is_close_to_float64(make_model, make_genome, random_text):
    text, settings = random_text(150, seed=4), MarginalSettings(context=64, scores=ALL)
    genome, variants = make_genome({"c": text}), draw_variants(text, 12, seed=9)
    exact, fast = (
        list(score_marginal(make_model(direction="bidirectional").to(dtype), genome, "c", variants, settings))
        for dtype in (torch.float64, torch.float32)
    )
    for a, b in zip(exact, fast, strict=True):
        for name in set(a) - {"influence_at"}:
            assert b[name] == pytest.approx(a[name], abs=1e-3, nan_ok=True), name


@pytest.mark.parametrize("context", [4, 5, 30, 64])
@pytest.mark.parametrize("length", [1, 3, 64, 65, 200])
def test_windows_hold_their_cores_and_at_most_the_context(context, length):
    windows = Windows(context, length)
    for position in range(length):
        start, end = windows.window(windows.core(position))
        assert 0 <= start <= position < end <= length
        assert end - start <= context
        assert position - start >= min(position, context // 8)
        assert end - position > min(length - position - 1, context // 8)


@pytest.mark.parametrize("text", ["A", "N" * 40, "ACGT"], ids=["one base", "all N", "short"])
def test_short_and_unknown_sequence_is_finite(model, make_genome, text):
    genome = make_genome({"c": text})
    variant = Variant("c", 0, text[0], "C")
    (found,) = score_marginal(model, genome, "c", [variant], MarginalSettings(context=1024, scores=ALL))
    assert set(found) == {name for score in ALL for name in COLUMNS[score]}
    assert not any(math.isinf(value) for value in found.values())
    if text == "ACGT":
        assert all(math.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 3}, "context is 3; it must be 4 or more"),
        ({"context": 64, "scores": ("llr",)}, "scores has 'llr', which is no score; there are wt_marginal"),
        ({"context": 64, "flank": -1}, "flank is -1; it must be 0 or more"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        MarginalSettings(**options)


def test_where_the_genome_has_no_base_there_is_no_marginal(model, make_genome):
    genome = make_genome({"c": "ACGTNNACGT"})
    settings = MarginalSettings(context=None, scores=("wt_marginal", "masked_marginal"))
    variants = [Variant("c", 3, "TA", "GA"), Variant("c", 4, "A", "C")]
    for found in score_marginal(model, genome, "c", variants, settings):
        assert all(math.isnan(value) for value in found.values())


def test_a_causal_model_is_refused(make_model, make_genome):
    with pytest.raises(ConfigError, match="a causal one has llr"):
        next(score_marginal(make_model(), make_genome({"c": "ACGT"}), "c", [], MarginalSettings(context=64)))
