"""Scores of a causal model are those of each haplotype run by itself, and depend on nothing but the variant."""

import dataclasses
import math
import random

import pytest
import torch

from genomamba.coordinates import Variant
from genomamba.errors import ConfigError, DataError, RunError
from genomamba.model.process import set_threads
from genomamba.score.variants.brute_force import score_variant
from genomamba.score.variants.causal import CausalSettings, default_batch_size, score_causal
from genomamba.score.variants.grid import RUN_UP
from genomamba.score.variants.status import Status
from toys import MarkovModel, RecallingModel, dna_table

SETTINGS = CausalSettings(context=256, horizon=100)


@pytest.fixture(
    params=[pytest.param(1, id="one thread"), pytest.param(2, id="two threads", marks=pytest.mark.thorough)]
)
def threads(request):
    before = torch.get_num_threads()
    set_threads(request.param)
    yield request.param
    set_threads(before)


def run(model, genome, variants, settings=SETTINGS):
    return list(score_causal(model, genome, "one", variants, settings))


def bits(scores):
    """Scores as text that tells every bit."""
    return {one.variant: (one.status, one.llr.hex(), one.llr_length_corrected.hex()) for one in scores}


def worst(scores, expected):
    """Return the largest difference to what `expected` gives for a variant."""
    assert scores
    assert all(one.status is Status.OK for one in scores)
    pairs = [(one, expected(one.variant)) for one in scores]
    return max(max(abs(one.llr - llr), abs(one.llr_length_corrected - corrected)) for one, (llr, corrected) in pairs)


# P(next | present), no two alike.
ROWS = {
    "A": [0.4, 0.3, 0.2, 0.1],
    "C": [0.15, 0.25, 0.35, 0.25],
    "G": [0.1, 0.45, 0.05, 0.4],
    "T": [0.32, 0.08, 0.28, 0.32],
}


def chain(text, before=None):
    """Log-probabilities of each base given the one before it."""
    terms = []
    for base in text:
        terms.append(math.log(ROWS[before]["ACGT".index(base)]) if before else math.log(0.25))
        before = base
    return terms


@pytest.mark.parametrize(
    ("start", "ref", "alt", "of_ref", "of_alt"),
    [
        # Four bases from the variant on are compared: the third is the last that an SNV changes the odds of.
        (5, "C", "T", ("CATG", "G"), ("TATG", "G")),
        (0, "A", "C", ("ACGT", None), ("CCGT", None)),
        (5, "CA", "GT", ("CATG", "G"), ("GTTG", "G")),
        (5, "C", "CT", ("CATG", "G"), ("CTAT", "G")),
        (5, "CA", "C", ("CATG", "G"), ("CTGA", "G")),
        (9, "A", "G", ("AC", "G"), ("GC", "G")),
        (10, "C", "G", ("C", "A"), ("G", "A")),
        (10, "C", "CT", ("C", "A"), ("C", "A")),
    ],
)
def test_one_strand_by_hand(make_genome, start, ref, alt, of_ref, of_alt):
    genome = make_genome({"one": "ACGTGCATGAC"})
    settings = CausalSettings(context=None, horizon=4, strands=("+",))
    (score,) = run(MarkovModel(dna_table(ROWS)), genome, [Variant("one", start, ref, alt)], settings)
    assert score.status is Status.OK
    assert score.llr == pytest.approx(sum(chain(*of_alt)) - sum(chain(*of_ref)), abs=1e-5)


def test_the_other_strand_by_hand(make_genome):
    # GTCATGCACGT is the reverse complement; the variant, C>T, is G>A there, behind T, C and A.
    genome = make_genome({"one": "ACGTGCATGAC"})
    model, variant = MarkovModel(dna_table(ROWS)), Variant("one", 5, "C", "T")
    minus = sum(chain("ACAC", "T")) - sum(chain("GCAC", "T"))
    plus = sum(chain("TATG", "G")) - sum(chain("CATG", "G"))
    for strands, expected in ((("-",), minus), (("+",), plus), (("+", "-"), (plus + minus) / 2)):
        (score,) = run(model, genome, [variant], CausalSettings(context=None, horizon=4, strands=strands))
        assert score.llr == pytest.approx(expected, abs=1e-5)


def test_the_length_corrected_form_by_hand(make_genome):
    genome = make_genome({"one": "ACGTGCATGACCT"})
    model, settings = MarkovModel(dna_table(ROWS)), CausalSettings(context=None, horizon=6, strands=("+",))
    insertion, deletion, snv = run(
        model,
        genome,
        [Variant("one", 5, "C", "CTG"), Variant("one", 5, "CA", "C"), Variant("one", 6, "A", "C")],
        settings,
    )
    # Six bases of the longer: CTGATG against CATG, with two bases at the price of a base of CATG.
    ref = sum(chain("CATG", "G"))
    assert insertion.llr_length_corrected == pytest.approx(sum(chain("CTGATG", "G")) - ref - 2 * ref / 4, abs=1e-5)
    # CATGAC is the longer.
    ref = sum(chain("CATGAC", "G"))
    assert deletion.llr_length_corrected == pytest.approx(sum(chain("CTGAC", "G")) - ref + ref / 6, abs=1e-5)
    assert snv.llr_length_corrected == snv.llr


@pytest.mark.parametrize(("at", "is_seen"), [(127, False), (128, True), (300, True)])
def test_what_lies_to_the_left_is_seen_from_the_first_base_of_the_block_before(make_genome, draw_text, at, is_seen):
    # From where it has read GGT and a base, the model gives that base a logit of 2. The block of 256 to 383 is read
    # from 128 on.
    text = list("AACAATAC" * 64)
    text[at : at + 4] = "GGTC"
    model = RecallingModel(2.0).eval()
    ref = text[350]
    assert ref == "A"
    settings = CausalSettings(context=256, horizon=8, strands=("+",))
    (score,) = run(model, make_genome({"one": "".join(text)}), [Variant("one", 350, ref, "C")], settings)
    assert score.llr == pytest.approx(2.0 if is_seen else 0.0, abs=1e-3)


@pytest.mark.parametrize("strands", [("+",), ("-",), ("+", "-")], ids="".join)
@pytest.mark.parametrize("context", [2, 64, 256, 6_000, None])
def test_scores_are_those_of_strings_that_were_edited(
    make_genome, make_model, draw_text, draw_variants, make_oracle, context, strands
):
    text, model = draw_text(1_500), make_model()
    settings = CausalSettings(context=context, horizon=100, strands=strands)
    oracle = make_oracle(model, text)
    scores = run(model, make_genome({"one": text}), draw_variants(text, 60), settings)
    assert worst(scores, lambda variant: oracle(variant, settings)) < 1e-9


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 1e-9), (torch.float32, 1e-3)], ids=str)
def test_scores_are_those_of_brute_force(make_genome, make_model, draw_text, draw_variants, threads, dtype, allowed):
    text, model = draw_text(6_000, runs=3), make_model(dtype)
    genome, settings = make_genome({"one": text}), CausalSettings(context=1_024, horizon=150)
    scores = run(model, genome, draw_variants(text, 150), settings)
    assert worst(scores, lambda variant: score_variant(model, genome, "one", variant, settings)) < allowed


def test_what_comes_before_a_block_is_read_in_long_pieces(make_genome, make_model, draw_text, draw_variants):
    text, model = draw_text(19_000), make_model()
    settings = CausalSettings(context=2 * RUN_UP + 202, horizon=150)
    genome, variants = make_genome({"one": text}), draw_variants(text, 20)
    scores = run(model, genome, variants, settings)
    assert worst(scores, lambda variant: score_variant(model, genome, "one", variant, settings)) < 1e-9
    assert bits(run(model, genome, variants[::3], settings)).items() <= bits(scores).items()


@pytest.mark.parametrize("context", [128, None])
def test_the_other_strand_meets_variants_by_their_ends(make_genome, make_model, draw_text, make_oracle, context):
    text, model = draw_text(600, runs=0).upper(), make_model()
    settings = CausalSettings(context=context, horizon=200)
    variants = []
    for start in range(40, 560, 13):
        for size in (90, 1, 25, 3):
            ref = text[start : start + size]
            variants += [Variant("one", start, ref, "G" if len(ref) > 1 else "ACGT".replace(ref, "")[0])]
    variants = [one for one in variants if one.ref != one.alt]
    scores = run(model, make_genome({"one": text}), variants, settings)
    assert worst(scores, lambda variant: make_oracle(model, text)(variant, settings)) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 1e-9), (torch.float32, 1e-3)], ids=str)
def test_ten_thousand_variants(make_genome, make_model, draw_text, draw_variants, make_oracle, dtype, allowed):
    text, model = draw_text(9_000, runs=4), make_model(dtype)
    settings = CausalSettings(context=512, horizon=200)
    oracle = make_oracle(model, text)
    scores = run(model, make_genome({"one": text}), draw_variants(text, 10_000, longest=100), settings)
    assert worst(scores, lambda variant: oracle(variant, settings)) < allowed


@pytest.mark.parametrize("length", [1, 2, 3, 63, 64, 65, 129])
@pytest.mark.parametrize("context", [64, None])
def test_contigs_shorter_than_anything(make_genome, make_model, draw_text, draw_variants, make_oracle, length, context):
    text, model = draw_text(length, runs=0), make_model()
    settings = CausalSettings(context=context, horizon=400)
    oracle = make_oracle(model, text)
    scores = run(model, make_genome({"one": text}), draw_variants(text, 25), settings)
    assert worst(scores, lambda variant: oracle(variant, settings)) < 1e-9


def test_bases_that_are_unknown_count_for_nothing(make_genome, make_model, make_oracle):
    text, model = "ACGTTGCA" + 300 * "N" + "GATTACA", make_model()
    settings = CausalSettings(context=64, horizon=400)
    variants = [Variant("one", 5, "G", "A"), Variant("one", 7, "A", "ACC"), Variant("one", 308, "GA", "G")]
    scores = run(model, make_genome({"one": text}), variants, settings)
    assert worst(scores, lambda variant: make_oracle(model, text)(variant, settings)) < 1e-9
    assert all(math.isfinite(one.llr) and one.llr != 0 for one in scores)


@pytest.mark.parametrize("d_model", [8, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_bit_depends_on_the_variant_alone(make_genome, make_model, draw_text, draw_variants, dtype, d_model):
    text, model = draw_text(4_000), make_model(dtype, d_model=d_model)
    genome, variants = make_genome({"one": text}), draw_variants(text, 60)
    expected = bits(run(model, genome, variants))
    generator = random.Random(0)
    some = sorted(generator.sample(variants, 25), key=lambda variant: variant.start)
    shards = [one for i in range(3) for one in run(model, genome, variants[i::3])]
    assert bits(shards) == expected
    assert bits(run(model, genome, some)) == {variant: expected[variant] for variant in some}
    for variant in some[::5]:
        assert bits(run(model, genome, [variant])) == {variant: expected[variant]}
    more = sorted([*some, *draw_variants(text, 80, seed=1)], key=lambda variant: variant.start)
    assert {v: b for v, b in bits(run(model, genome, more)).items() if v in some} == {v: expected[v] for v in some}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 64])
def test_every_bit_is_the_same_for_any_batch_size(make_genome, make_model, draw_text, draw_variants, batch_size):
    text, model = draw_text(3_000), make_model(torch.float32, d_model=32)
    genome, variants = make_genome({"one": text}), draw_variants(text, 40)
    given = dataclasses.replace(SETTINGS, batch_size=batch_size)
    assert bits(run(model, genome, variants, given)) == bits(run(model, genome, variants))


def test_every_bit_is_the_same_for_any_number_of_threads(make_genome, make_model, draw_text, draw_variants):
    text, model = draw_text(3_000), make_model(torch.float32, d_model=64)
    genome, variants = make_genome({"one": text}), draw_variants(text, 60)
    before, found = torch.get_num_threads(), []
    for count in (1, 2, 3):
        set_threads(count)
        found.append(bits(run(model, genome, variants)))
        assert torch.get_num_threads() == count
    set_threads(before)
    assert found[0] == found[1] == found[2]


def test_variants_at_one_place_and_of_one_place_come_in_their_order(make_genome, make_model, draw_text):
    text = draw_text(900, runs=0)
    genome, model = make_genome({"one": text}), make_model()
    variants = []
    for start in (0, 400, 400, 401, 899):
        variants += [
            Variant("one", start, text[start].upper(), alt)
            for alt in ("A", "C", "G", "T", "<DEL>", "*", "N", text[start].upper() + "TT")
        ]
    scores = run(model, genome, variants)
    assert [one.variant for one in scores] == variants
    for one in scores:
        same = one.variant.ref == one.variant.alt
        assert (one.status is Status.OK) == (one.variant.alt.isalpha() and "N" not in one.variant.alt and not same)
        assert math.isfinite(one.llr) == math.isfinite(one.llr_length_corrected) == (one.status is Status.OK)


def test_a_mismatch_is_scored_where_that_is_asked_for(make_genome, make_model, make_oracle):
    text, model = "ACGTTGCAGGATCA", make_model()
    genome, variant = make_genome({"one": text}), Variant("one", 5, "C", "A")
    (skipped,) = run(model, genome, [variant])
    (kept,) = run(model, genome, [variant], dataclasses.replace(SETTINGS, keep_mismatches=True))
    assert (skipped.status, kept.status) == (Status.REF_MISMATCH, Status.REF_MISMATCH)
    assert math.isnan(skipped.llr)
    assert kept.llr == pytest.approx(make_oracle(model, text)(variant, SETTINGS)[0], abs=1e-9)


def test_case_does_not_count(make_genome, make_model, draw_text):
    text, model = draw_text(500, runs=0), make_model()
    upper = [
        Variant("one", start, text[start].upper(), "AC"[text[start].upper() == "A"]) for start in range(0, 500, 50)
    ]
    lower = [dataclasses.replace(one, ref=one.ref.lower(), alt=one.alt.lower()) for one in upper]
    scores = run(model, make_genome({"one": text}), upper)
    assert [one.llr for one in scores] == [one.llr for one in run(model, make_genome({"one": text.upper()}), lower)]


def test_variants_are_read_no_farther_than_needed(make_genome, make_model, draw_text):
    text, model = draw_text(8_000, runs=0), make_model()
    variants = [
        Variant("one", start, text[start].upper(), "ACGT"["ACGT".index(text[start].upper()) - 1])
        for start in range(0, 8_000, 10)
    ]
    taken = []
    settings = CausalSettings(context=64, horizon=20, batch_size=2)
    scores = score_causal(model, make_genome({"one": text}), "one", (taken.append(v) or v for v in variants), settings)
    next(scores)
    assert len(taken) < 500
    assert len(list(scores)) == 799


def test_along_the_plus_strand_a_whole_contig_is_scored_as_its_variants_come(make_genome, make_model, draw_text):
    text, model, taken = draw_text(8_000, runs=0).upper(), make_model(), []
    variants = (
        taken.append(start) or Variant("one", start, text[start], "ACGT".replace(text[start], "")[0])
        for start in range(0, 8_000, 10)
    )
    settings = CausalSettings(context=None, horizon=20, batch_size=2, strands=("+",))
    scores = score_causal(model, make_genome({"one": text}), "one", variants, settings)
    next(scores)
    assert len(taken) < 500
    assert len(list(scores)) == 799


def test_no_variants_no_scores(make_genome, make_model):
    assert run(make_model(), make_genome({"one": "ACGT"}), []) == []


def test_variants_out_of_order_are_refused(make_genome, make_model):
    variants = [Variant("one", 5, "G", "A"), Variant("one", 3, "T", "A")]
    with pytest.raises(DataError, match="one:4 T>A: stands behind a variant at 6; sort variants"):
        run(make_model(), make_genome({"one": "ACGTTGCAGGATCA"}), variants)


def test_a_model_without_state_is_refused(make_genome, make_model):
    with pytest.raises(ConfigError, match="reads both sides"):
        run(make_model(direction="bidirectional"), make_genome({"one": "ACGT"}), [])


def test_an_alphabet_of_one_strand_has_no_minus(make_genome, make_model):
    genome, model = make_genome({"one": "ACGTTGCA"}, "bytes"), make_model(alphabet="bytes")
    variant = Variant("one", 3, "T", "A")
    with pytest.raises(ConfigError, match="one strand alone"):
        run(model, genome, [variant])
    (score,) = run(model, genome, [variant], dataclasses.replace(SETTINGS, strands=("+",)))
    assert math.isfinite(score.llr)


def test_broken_weights_are_told(make_genome, make_model, threads):
    model = make_model()
    model.norm_f.weight[0] = math.nan
    with pytest.raises(RunError, match="not finite"):
        run(model, make_genome({"one": "ACGTTGCA"}), [Variant("one", 3, "T", "A")])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"context": 7}, "context is 7; it must be an even number"),
        ({"context": 0}, "context is 0; it must be an even number"),
        ({"horizon": 1}, "horizon is 1; it must be 2 bases or more"),
        ({"batch_size": 0}, "batch_size is 0; it must be 1 or more"),
        ({"strands": ()}, "strand is ''; it must be"),
        ({"strands": ("+", "+")}, "strand is '\\+ \\+'; it must be"),
    ],
)
def test_settings_that_cannot_be(setting, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(SETTINGS, **setting)


def test_wide_models_have_fewer_lanes(make_model):
    assert default_batch_size(make_model()) == 64
    assert default_batch_size(make_model(d_model=512, num_layers=1)) == 16
    assert default_batch_size(make_model(d_model=4096, d_state=1, num_layers=1)) == 4
