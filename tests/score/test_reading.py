"""Stretches are read base by base along their strand, and cut so that each base is scored once."""

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Interval
from genomamba.score.reading import Reading, packs, windows

DNA = get_alphabet("dna")


@pytest.fixture
def genome(make_genome):
    return make_genome({"one": "ACGTTGCANC"})


def text(reading, start, end):
    return DNA.decode(reading.tokens(start, end)[0].numpy()).decode()


@pytest.mark.parametrize(
    ("strand", "lead", "expected"),
    [
        ("+", 0, "TTGC"),
        ("+", 2, "CGTTGC"),
        ("+", 9, "ACGTTGC"),
        ("-", 0, "GCAA"),
        ("-", 1, "TGCAA"),
        ("-", 9, "GNTGCAA"),
    ],
)
def test_bases_come_in_the_order_of_reading_with_those_before_as_far_as_there_are(genome, strand, lead, expected):
    reading = Reading(genome, Interval("one", 3, 7), strand, lead)
    assert len(reading) == len(expected)
    assert text(reading, 0, len(reading)) == expected
    assert text(reading, 1, 3) == expected[1:3]
    assert reading.scored == len(expected) - 4


@pytest.mark.parametrize("lead", [0, 2])
@pytest.mark.parametrize("strand", ["+", "-"])
def test_values_go_back_to_where_their_bases_are(genome, strand, lead):
    reading = Reading(genome, Interval("one", 3, 7), strand, lead)
    bases = "TTGC" if strand == "+" else "AACG"
    for start in range(reading.scored, len(reading)):
        for end in range(start + 1, len(reading) + 1):
            tokens = reading.tokens(start, end)[0].numpy()
            place, values = reading.place(start, tokens.astype(np.float32))
            assert DNA.decode(values.astype(int)).decode() == bases[place - 3 : place - 3 + end - start]


@pytest.mark.parametrize("context", [None, 1, 2, 3, 4, 7, 30])
@pytest.mark.parametrize("lead", [0, 1, 3])
@pytest.mark.parametrize("length", [0, 1, 4, 7])
def test_windows_score_each_base_once_and_in_order(genome, length, lead, context):
    reading = Reading(genome, Interval("one", 3, 3 + length), "+", lead)
    scored = []
    for window in windows(reading, context):
        assert window.start <= window.scored < window.end <= len(reading)
        assert context is None or len(window) <= context
        scored += range(window.scored, window.end)
    assert scored == (list(range(reading.scored, len(reading))) if length else [])


def test_windows_overlap_by_half():
    reading = "x" * 13

    class Stub(str):
        interval = Interval("one", 0, 13)
        scored = 0

    found = [(w.start, w.scored, w.end) for w in windows(Stub(reading), 4)]
    assert found == [(0, 0, 4), (2, 4, 6), (4, 6, 8), (6, 8, 10), (8, 10, 12), (10, 12, 13)]


def test_packs_follow_each_other_and_a_long_piece_is_alone():
    pieces = ["aa", "bbb", "c", "dddddddd", "", "ee", "fff"]
    assert list(packs(pieces, 5)) == [["aa", "bbb"], ["c"], ["dddddddd"], ["", "ee", "fff"]]
    assert list(packs([], 5)) == []
