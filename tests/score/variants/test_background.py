"""Random variants: as many of each class, each of them one that can be scored, and the same for the same seed."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from genomamba.coordinates import Interval, Variant
from genomamba.score.variants import background
from genomamba.score.variants.background import draw_background
from genomamba.score.variants.classes import Classes
from genomamba.score.variants.status import Status, status_of


@pytest.fixture
def text():
    """Draw 60,000 bases in stretches of both cases."""
    generator = random.Random(1)
    bases = "".join(generator.choices("ACGT", k=60_000))
    return "".join(bases[i : i + 500].lower() if i % 1_000 else bases[i : i + 500] for i in range(0, 60_000, 500))


def draw(genome, stretches=None, number=20, seed=0, folded=True, longest=1_024):
    stretches = stretches or [Interval(one.name, 0, one.length) for one in genome.contigs]
    return list(draw_background(genome, stretches, number, seed, folded=folded, longest=longest))


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "plain"])
def test_every_class_has_as_many(make_genome, text, folded):
    genome = make_genome({"one": text})
    classes, found = Classes(genome, folded=folded), draw(genome, folded=folded)
    chains = [classes.of("one", variant) for variant in found]
    narrow = Counter(chain[0] for chain in chains if "snv" in chain)
    assert len(narrow) == (192 if folded else 384)
    assert set(narrow.values()) == {20}
    binned = Counter(chain[1] for chain in chains if "snv" not in chain)
    lengths = ("1", "2", "3-5", "6-20", "21-50", "51+")
    assert binned.keys() == {
        *(f"{kind} {length}" for kind in ("insertion", "deletion") for length in lengths),
        *(f"{kind} {length}" for kind in ("mnv", "complex") for length in lengths[1:4]),
    }
    # Of both cases; a long one may pass the end of the contig.
    assert all(38 <= count <= 40 for count in binned.values())
    assert found == sorted(found, key=lambda one: (one.start, one.ref, one.alt))
    assert len(set(found)) == len(found)
    # Both bases of a pair, as often.
    refs = Counter(one.ref.upper() for one in found if one.kind == "snv")
    assert max(refs.values()) < 1.2 * min(refs.values())


def test_all_can_be_scored(make_genome, text):
    broken = text[:30_000] + "NNN" + text[30_000:50_000] + "N" * 300 + text[50_000:]
    genome = make_genome({"one": broken})
    assert {status_of(one, genome, "one", 1_024) for one in draw(genome)} == {Status.OK}
    short = draw(genome, longest=10)
    assert max(max(len(one.ref), len(one.alt)) for one in short) == 10
    assert {one.kind for one in short} == {"snv", "mnv", "insertion", "deletion", "complex"}


def test_a_draw_belongs_to_its_seed(make_genome, text):
    genome = make_genome({"one": text})
    assert draw(genome, seed=3) == draw(genome, seed=3)
    shared = set(draw(genome, seed=3)) & set(draw(genome, seed=4))
    assert len(shared) < 0.1 * len(draw(genome))


def test_stretches_bound_the_sites(make_genome, text):
    genome = make_genome({"one": text, "two": text[::-1]})
    stretches = [Interval("one", 5_000, 9_000), Interval("two", 100, 300), Interval("two", 7_000, 7_050)]
    found = draw(genome, stretches, number=500)
    order = [(genome_order(one), one.start) for one in found]
    assert order == sorted(order)
    assert all(any(one.contig == s.contig and s.start <= one.start < s.end for s in stretches) for one in found)
    snvs = Counter(one.contig for one in found if one.kind == "snv")
    # Everything that there is, three bases a site.
    assert snvs == {"one": 12_000, "two": 750}


def genome_order(variant):
    return ["one", "two"].index(variant.contig)


def test_few_sites_give_all_that_there_are(make_genome):
    genome = make_genome({"one": "ACGNNA", "two": "NNNNNNNN", "three": "C"})
    assert [one for one in draw(genome) if one.kind == "snv"] == [Variant("one", 1, "C", alt) for alt in "AGT"]
    assert draw(make_genome({"one": "NNNNACNNNN"})) == []


def test_large_genomes_are_drawn_from_in_tiles(make_genome, text, monkeypatch):
    monkeypatch.setattr(background, "_TILE", 1_000)
    monkeypatch.setattr(background, "_MOST_BASES", 5_000)
    genome = make_genome({"one": text, "two": text[::-1], "three": text[:300]})
    found = [{(one.contig, one.start // 1_000) for one in draw(genome, seed=seed)} for seed in range(4)]
    assert all(len(tiles) in (5, 6) for tiles in found)
    assert all(one != other for one, other in pairwise(found))
    variants = draw(genome, number=5)
    assert {status_of(one, genome, one.contig, 1_024) for one in variants} == {Status.OK}
    counts = Counter(Classes(genome, folded=True).of(one.contig, one)[0] for one in variants if one.kind == "snv")
    assert set(counts.values()) == {5}
    assert len(counts) == 192
