"""Classes worked by hand, and the law of the two strands."""

import pytest

from genomamba.coordinates import Variant
from genomamba.score.variants.classes import Classes, length_bin

TEXT = "TACGGAcgATN"


def at(position, ref, alt):
    return Variant("one", position, ref, alt)


@pytest.mark.parametrize(
    ("variant", "folded", "plain"),
    [
        (at(2, "C", "T"), ["A[C>T]G unmasked", "A[C>T]G", "CpG transition", "snv", "all"], None),
        (
            at(3, "G", "A"),
            ["C[C>T]G unmasked", "C[C>T]G", "CpG transition", "snv", "all"],
            ["C[G>A]G unmasked", "C[G>A]G", "CpG transition", "snv", "all"],
        ),
        (
            at(1, "A", "G"),
            ["G[T>C]A unmasked", "G[T>C]A", "other transition", "snv", "all"],
            ["T[A>G]C unmasked", "T[A>G]C", "other transition", "snv", "all"],
        ),
        (
            at(4, "G", "A"),
            ["T[C>T]C unmasked", "T[C>T]C", "other transition", "snv", "all"],
            ["G[G>A]A unmasked", "G[G>A]A", "other transition", "snv", "all"],
        ),
        (at(2, "C", "A"), ["A[C>A]G unmasked", "A[C>A]G", "transversion", "snv", "all"], None),
        (at(6, "c", "t"), ["A[C>T]G masked", "A[C>T]G", "CpG transition", "snv", "all"], None),
        (at(1, "ACG", "ATG"), ["A[C>T]G unmasked", "A[C>T]G", "CpG transition", "snv", "all"], None),
        # No base before the first, and none that is known before an N.
        (at(0, "T", "C"), ["snv", "all"], None),
        (at(9, "T", "C"), ["snv", "all"], None),
        (at(1, "A", "ATT"), ["insertion 2 unmasked", "insertion 2", "insertion", "all"], None),
        # The base before counts, and in front of the contig the one behind.
        (at(7, "g", "gTTT"), ["insertion 3-5 masked", "insertion 3-5", "insertion", "all"], None),
        (at(5, "A", "AT"), ["insertion 1 unmasked", "insertion 1", "insertion", "all"], None),
        (at(0, "T", "GTT"), ["insertion 2 unmasked", "insertion 2", "insertion", "all"], None),
        (at(5, "Ac", "A"), ["deletion 1 masked", "deletion 1", "deletion", "all"], None),
        (at(1, "ACGGAcg", "A"), ["deletion 6-20 unmasked", "deletion 6-20", "deletion", "all"], None),
        (at(1, "AC", "GT"), ["mnv 2 unmasked", "mnv 2", "mnv", "all"], None),
        (at(1, "AC", "GTT"), ["complex 3-5 unmasked", "complex 3-5", "complex", "all"], None),
        (at(5, "Acg", "T"), ["complex 3-5 unmasked", "complex 3-5", "complex", "all"], None),
    ],
    ids=lambda value: str(value) if isinstance(value, Variant) else "",
)
def test_classes_by_hand(make_genome, variant, folded, plain):
    genome = make_genome({"one": TEXT})
    assert list(Classes(genome, folded=True).of("one", variant)) == folded
    assert list(Classes(genome, folded=False).of("one", variant)) == (plain or folded)


@pytest.mark.parametrize(
    ("length", "name"),
    [
        (1, "1"), (2, "2"), (3, "3-5"), (5, "3-5"), (6, "6-20"), (20, "6-20"), (21, "21-50"), (50, "21-50"),
        (51, "51+"), (5_000, "51+"),
    ],
)  # fmt: skip
def test_bins_of_length(length, name):
    assert length_bin(length) == name


def mirrored(text):
    return text[::-1].translate(str.maketrans("ACGTacgt", "TGCAtgca"))


def test_folded_a_variant_and_its_mirror_are_of_one_class(make_genome, draw_text, draw_variants):
    text = draw_text(2_000)
    folded = Classes(make_genome({"one": text}), folded=True)
    variants = [one for one in draw_variants(text, 1_500) if one.kind in ("snv", "mnv", "complex")]
    chains = [folded.of("one", one) for one in variants]
    mirror = Classes(make_genome({"one": mirrored(text)}), folded=True)
    found = [
        mirror.of("one", Variant("one", len(text) - one.end, mirrored(one.ref), mirrored(one.alt))) for one in variants
    ]
    assert [one for one in found if "snv" in one] == [one for one in chains if "snv" in one]
    # What replaces several bases may have another case at its other end.
    assert [one[1:] for one in found] == [one[1:] for one in chains]
    assert len({one[1] for one in chains if "snv" in one}) > 80


def test_text_of_bytes_has_classes_too(make_genome):
    classes = Classes(make_genome({"one": TEXT}, alphabet="bytes"), folded=False)
    assert classes.of("one", at(2, "C", "T"))[0] == "A[C>T]G unmasked"
    assert classes.of("one", at(6, "c", "t"))[0] == "A[C>T]G masked"
