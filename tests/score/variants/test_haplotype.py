"""Haplotypes are what editing the string gives, along both strands."""

import random

import pytest

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Variant
from genomamba.score.variants.haplotype import StrandOfContig, haplotype

DNA = get_alphabet("dna")


def letters(tokens):
    return DNA.decode(tokens).decode()


def test_by_hand(make_genome):
    genome = make_genome({"one": "ACGTTGCaNC"})
    variant = Variant("one", 3, "TT", "cga")
    plus, minus = (StrandOfContig(genome, "one", strand) for strand in "+-")
    assert (letters(plus.tokens(2, 6)), letters(minus.tokens(0, 4))) == ("GTTG", "GNTG")
    assert letters(haplotype(plus, plus.edit(variant), 1, 9)) == "CGCGAGCAN"
    # ACG CGA GCANC turned is GNTGC TCG CGT.
    assert letters(haplotype(minus, minus.edit(variant), 3, 7)) == "GCTCGCG"
    assert letters(haplotype(minus, minus.edit(variant), 3, 99)) == "GCTCGCGT"


@pytest.mark.parametrize("strand", ["+", "-"])
def test_random_edits_are_those_of_the_string(make_genome, draw_text, draw_variants, strand):
    text = draw_text(90)
    sequence = StrandOfContig(make_genome({"one": text}), "one", strand)
    generator = random.Random(0)
    for variant in draw_variants(text, 200):
        edited = (text[: variant.start] + variant.alt + text[variant.end :]).upper()
        if strand == "-":
            edited = edited[::-1].translate(str.maketrans("ACGT", "TGCA"))
        edit = sequence.edit(variant)
        start = generator.randint(0, edit.start)
        count = edit.start - start + generator.randint(0, 120)
        assert letters(haplotype(sequence, edit, start, count)) == edited[start : start + count]
        assert edit.longer == len(edited) - len(text)
