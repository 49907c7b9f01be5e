"""Lanes read consecutive windows: which, is a pure function of (seed, i)."""

import pickle
from itertools import pairwise

import numpy as np
import pytest

from genomamba.coordinates import Interval
from genomamba.data.lanes import LaneStream
from genomamba.errors import ConfigError


@pytest.fixture
def genome(made_genome, random_records):
    return made_genome(random_records({"a": 3_000, "b": 1_000, "short": 40}))


def make_stream(genome, regions=None, **options):
    regions = regions or [Interval(c.name, 0, c.length) for c in genome.contigs]
    return LaneStream(genome, regions, **({"context": 64, "seed": 0, "lanes": 3} | options))


def text(genome, sample):
    return genome.alphabet.decode(sample.tokens).decode()


def test_one_region_by_hand(made_genome):
    genome = made_genome({"one": "AACCGGTTACGT"})
    stream = make_stream(genome, context=3, lanes=1, strand="forward")
    assert stream.turns == 4
    # Four windows from the first base on; or three from the second or third, and one at an end.
    rows = {
        (0, 3, 6, 9): ("AAC", "CGG", "TTA", "CGT"),
        (1, 4, 7, 0): ("ACC", "GGT", "TAC", "AAC"),
        (1, 4, 7, 9): ("ACC", "GGT", "TAC", "CGT"),
        (2, 5, 8, 0): ("CCG", "GTT", "ACG", "AAC"),
        (2, 5, 8, 9): ("CCG", "GTT", "ACG", "CGT"),
    }
    met = set()
    for epoch in range(60):
        samples = [stream[4 * epoch + i] for i in range(4)]
        starts = [sample.interval.start for sample in samples]
        row = next(row for row in rows if set(row) == set(starts))
        turned = row.index(starts[0])
        assert starts == [*row[turned:], *row[:turned]]
        assert [text(genome, sample) for sample in samples] == [*rows[row][turned:], *rows[row][:turned]]
        befores = [None if s.before is None else genome.alphabet.decode([s.before]).decode() for s in samples]
        follows = [None] + [here == before + 3 for before, here in pairwise(starts)]
        assert befores == [rows[row][row.index(s) - 1][-1] if f else None for s, f in zip(starts, follows, strict=True)]
        met.add(row)
    assert met == set(rows)


@pytest.mark.parametrize("strand", ["random", "forward"])
def test_lanes_are_runs_of_the_sequence(genome, strand):
    stream = make_stream(genome, strand=strand)
    complement = str.maketrans("ACGTN", "TGCAN")
    strands, followed = set(), 0
    for i in range(9 * stream.turns * 3):
        sample = stream[i]
        strands.add(sample.strand)
        if sample.before is None:
            continue
        followed += 1
        before = stream[i - 3]
        assert before.strand == sample.strand
        joined = text(genome, before) + text(genome, sample)
        if sample.strand == "+":
            start, end = before.interval.start, sample.interval.end
        else:
            start, end = sample.interval.start, before.interval.end
        symbols = genome.fetch(sample.interval.contig, start, end)
        expected = genome.alphabet.decode(genome.alphabet.token_of_symbol[symbols]).decode()
        assert joined == (expected if sample.strand == "+" else expected[::-1].translate(complement))
        assert sample.before == before.tokens[-1]
    assert strands == ({"+", "-"} if strand == "random" else {"+"})
    assert followed > 0.8 * 9 * stream.turns * 3 - 9 * 3 * 2


def test_an_epoch_reads_every_window_once_but_for_fewer_than_the_lanes(genome):
    stream = make_stream(genome, [Interval("a", 0, 64 * 46)], strand="forward")
    assert (stream.windows_per_epoch, stream.turns) == (46, 15)
    missed = set()
    for epoch in range(20):
        starts = [stream.interval(45 * epoch + i).start for i in range(45)]
        assert len(set(starts)) == 45
        missed |= set(range(0, 64 * 46, 64)) - set(starts)
    assert len(missed) > 5


def test_a_sample_depends_on_seed_and_number_alone(genome):
    stream, again = make_stream(genome), pickle.loads(pickle.dumps(make_stream(genome)))
    numbers = [5, 0, 10**6, 3, 2**40]
    for i in numbers:
        one, other = stream[i], again[i]
        assert (one.interval, one.strand, one.before, one.index) == (other.interval, other.strand, other.before, i)
        np.testing.assert_array_equal(one.tokens, other.tokens)
    assert [stream.interval(i) for i in range(30)] != [make_stream(genome, seed=1).interval(i) for i in range(30)]


def test_too_many_lanes_are_refused_with_both_numbers(genome):
    with pytest.raises(ConfigError, match="100 lanes, and the training part has 62 windows of 64 bases"):
        make_stream(genome, lanes=100)
