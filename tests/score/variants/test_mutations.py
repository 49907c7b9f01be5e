"""Every change of a region: which ones there are, how they are written, and what a known model says of them."""

import math
from collections import Counter
from itertools import pairwise

import pytest
import torch

from genomamba.coordinates import Interval
from genomamba.errors import ConfigError, DataError
from genomamba.score.variants.config import Scoring
from genomamba.score.variants.mutations import Mutations, choose_deletions, mutations_of, scored_mutations
from genomamba.score.variants.scorers import choose_scorer
from toys import MarkovModel, dna_table

AFTER = {"A": [0.1, 0.2, 0.3, 0.4], "C": [0.7, 0.1, 0.1, 0.1], "G": [0.25, 0.25, 0.4, 0.1], "T": [0.3, 0.3, 0.2, 0.2]}


def written(mutations):
    return [(site + 1, one.start + 1, one.ref, one.alt) for site, one in mutations]


def test_changes_by_hand(make_genome):
    genome = make_genome({"one": "acgT"})
    assert written(Mutations(genome, Interval("one", 0, 4), (1, 2))) == [
        # No base comes before the first: the one behind is the anchor.
        (1, 1, "AC", "C"), (1, 1, "ACG", "G"), (1, 1, "A", "C"), (1, 1, "A", "G"), (1, 1, "A", "T"),
        (2, 1, "AC", "A"), (2, 1, "ACG", "A"), (2, 2, "C", "A"), (2, 2, "C", "G"), (2, 2, "C", "T"),
        (3, 2, "CG", "C"), (3, 2, "CGT", "C"), (3, 3, "G", "A"), (3, 3, "G", "C"), (3, 3, "G", "T"),
        (4, 3, "GT", "G"), (4, 4, "T", "A"), (4, 4, "T", "C"), (4, 4, "T", "G"),
    ]  # fmt: skip


def test_a_region_keeps_deletions_within_itself_and_anchors_outside(make_genome):
    genome = make_genome({"one": "TTACGTT"})
    found = written(Mutations(genome, Interval("one", 2, 4), (1, 2, 3)))
    assert [row for row in found if len(row[2]) > 1] == [(3, 2, "TA", "T"), (3, 2, "TAC", "T"), (4, 3, "AC", "A")]
    assert {row[0] for row in found} == {3, 4}


def test_other_letters_are_left_alone_and_are_no_anchor_where_there_is_a_base(make_genome):
    genome = make_genome({"one": "ANCGRTN"})
    found = written(Mutations(genome, Interval("one", 0, 7), (1, 2)))
    assert [row for row in found if len(row[2]) > 1] == [
        (1, 1, "AN", "N"), (3, 2, "NCG", "N"), (3, 3, "CG", "G"), (4, 3, "CG", "C"), (6, 5, "NT", "N"),
    ]  # fmt: skip
    assert Counter(row[0] for row in found if len(row[2]) == 1) == dict.fromkeys((1, 3, 4, 6), 3)


@pytest.mark.parametrize(
    ("text", "deletions"),
    [("A", (1,)), ("N", (1,)), ("AC", (2,)), ("NNNN", (1, 2)), ("ACNGT", (1, 2, 5, 9)), ("NACGN", (1, 2, 3))],
)
def test_the_count_is_known_beforehand(make_genome, text, deletions):
    mutations = Mutations(make_genome({"one": text}), Interval("one", 0, len(text)), deletions)
    found = list(mutations)
    assert len(mutations) == len(found)
    assert mutations.substitutions == sum(len(one.ref) == 1 for _, one in found) == 3 * sum(map(text.count, "ACGT"))
    assert [one.start for _, one in found] == sorted(one.start for _, one in found)
    # VCF has no way to write that nothing is left.
    assert all(one.alt and one.end <= len(text) for _, one in found)


@pytest.fixture
def score(make_genome):
    """Score a region of `one` by the table above, along one strand."""

    def score(text, region, deletions=(1,), **options):
        genome, model = make_genome({"one": text}), MarkovModel(dna_table(AFTER)).eval().requires_grad_(False)
        scorer = choose_scorer(model, "toy", genome, Scoring(strand="+", context=64, **options), None)
        told = []
        table = scored_mutations(scorer, mutations_of(region, genome, deletions, scorer), told.append)
        assert sum(told) == len(table)
        return table

    return score


def llr_by_hand(text, site, removed, put, horizon):
    """The definition on strings: as many bases of both from the anchor on, each after the one before it."""
    edited = text[:site] + put + text[site + removed :]
    start = site if len(put) == removed or not site else site - 1
    count = min(horizon, len(text) - start, len(edited) - start)

    def terms(whole):
        first = [math.log(0.25)] + [math.log(AFTER[a]["ACGT".index(b)]) for a, b in pairwise(whole)]
        return sum(first[start : start + count])

    return terms(edited) - terms(text)


@pytest.mark.parametrize("horizon", [8, 64])
def test_scores_by_hand(score, horizon):
    text = "GATTACAGGCT"
    table = score(text, "one", (1, 3), horizon=horizon)
    assert len(table) == 11 * 3 + 11 + 9
    for row in table.itertuples():
        removed = 1 if row.kind == "snv" else len(row.ref) - 1
        expected = llr_by_hand(text, row.site - 1, removed, row.alt if row.kind == "snv" else "", horizon)
        assert row.llr == pytest.approx(expected, abs=1e-5), row
    # T after A, then A after T: 0.4 x 0.3; G in its place 0.3 x 0.25.
    by_change = table.set_index(["site", "ref", "alt"])["llr"]
    alone = score("AT", "one:2")
    assert by_change[4, "T", "G"] == pytest.approx(math.log(0.2 * 0.25 / (0.2 * 0.3)), abs=1e-5)
    assert alone.set_index("alt")["llr"]["G"] == pytest.approx(math.log(0.3 / 0.4), abs=1e-5)


def test_the_table_has_its_columns_and_types(score):
    table = score("GATTACA", "one:3-4")
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
        "chrom": "string", "pos": "int64", "ref": "string", "alt": "string", "kind": "string", "site": "int64",
        "llr": "float64", "llr_lc": "float64", "status": "string",
    }  # fmt: skip
    assert table["pos"].tolist() == [2, 3, 3, 3, 3, 4, 4, 4]
    assert table["site"].tolist() == [3, 3, 3, 3, 4, 4, 4, 4]
    assert table["kind"].tolist() == ["deletion", "snv", "snv", "snv"] * 2
    assert table["chrom"].unique().tolist() == ["one"]
    assert table["status"].unique().tolist() == ["OK"]
    empty = score("ANNA", "one:2-3")
    assert len(empty) == 0
    assert empty.dtypes.equals(table.dtypes)


def test_a_base_with_n_on_either_side_can_be_replaced_but_not_deleted(score):
    table = score("ACNGNAC", "one:4-4")
    assert table["status"].tolist() == ["AMBIGUOUS", "OK", "OK", "OK"]
    assert table["llr"].isna().tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("region", "kind", "message"),
    [
        ("one:5-8", DataError, "one has 7 bases; stay within it"),
        ("two", DataError, "no sequence 'two'; it has 'one'"),
        ("one:4-2", ConfigError, "one:4-2"),
        (Interval("one", 3, 9), DataError, "one has 7 bases; stay within it"),
        (Interval("one", 3, 3), DataError, "one has 7 bases; stay within it"),
    ],
)
def test_a_region_that_is_not_there_is_told(score, region, kind, message):
    with pytest.raises(kind, match=message):
        score("GATTACA", region)


def test_a_region_of_too_many_bases_is_told(score):
    with pytest.raises(ConfigError, match=r"region is one:1-250,001, 250,001 bases; it may have 250,000"):
        score("ACGTACGTAC" * 25_001, "one:1-250,001")


@pytest.mark.parametrize(
    ("given", "message"),
    [((0, 1), "has 0; a deletion has 1 to 7 bases"), ((3, -1), "has -1"), ((8,), "has 8; a deletion has 1 to 7 bases")],
)
def test_deletions_that_cannot_be_are_told(score, given, message):
    with pytest.raises(ConfigError, match=message):
        score("GATTACA" * 9, "one:3-9", given, horizon=16)


def test_deletions_are_of_scores_that_have_them(make_genome, make_model):
    genome = make_genome({"one": "GATTACA"})
    torch.manual_seed(0)
    model = make_model(direction="bidirectional")

    def chosen(given, *scores):
        scorer = choose_scorer(model, "made", genome, Scoring(scores=scores, context=32), None)
        return choose_deletions(given, scorer)

    assert chosen(()) == chosen((), "wt_marginal", "masked_marginal") == chosen((0,), "pseudo_llr") == ()
    assert chosen((), "wt_marginal", "pseudo_llr") == chosen((), "distance") == (1,)
    assert chosen((3, 1, 3), "divergence") == (1, 3)
    with pytest.raises(ConfigError, match="is 2; wt_marginal of deletions is not defined, pseudo_llr is: leave it out"):
        chosen((2,))
