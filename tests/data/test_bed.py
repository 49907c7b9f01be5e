"""Stretches of BED files: weights, differences and intersections, beside counting base by base."""

import numpy as np
import pytest

from genomamba.coordinates import Interval
from genomamba.data.bed import intersect, merge, read_weighted, subtract
from genomamba.errors import DataError


def mask(intervals):
    covered = np.zeros(200, bool)
    for interval in intervals:
        covered[interval.start : interval.end] = True
    return covered


def draw(generator, count):
    starts = generator.integers(0, 190, count)
    return [Interval("a", int(s), int(s + generator.integers(1, 10))) for s in starts]


@pytest.mark.parametrize("seed", range(20))
def test_differences_and_intersections_are_those_of_the_bases(seed):
    generator = np.random.default_rng(seed)
    ours, others = merge(draw(generator, 8)), draw(generator, 12)
    left, both = subtract(ours, others), intersect(ours, others)
    np.testing.assert_array_equal(mask(left), mask(ours) & ~mask(others))
    np.testing.assert_array_equal(mask(both), mask(ours) & mask(others))
    assert sum(map(len, left)) + sum(map(len, both)) == sum(map(len, ours))
    assert subtract(ours, [Interval("b", 0, 200)]) == ours
    assert intersect(ours, [Interval("b", 0, 200)]) == []


def test_weights_by_hand(made_genome, tmp_path):
    genome, path = made_genome({"one": "ACGT" * 10}), tmp_path / "regions.bed"
    path.write_text("one\t0\t4\none\t8\t12\t2.5\none\t12\t16\t2.5\tx\none\t20\t24\t.\n")
    assert read_weighted(path, genome) == {
        1.0: [Interval("one", 0, 4), Interval("one", 20, 24)],
        2.5: [Interval("one", 8, 16)],
    }


@pytest.mark.parametrize("weight", ["0", "-1", "inf", "nan", "exon"])
def test_other_weights_are_refused_with_their_line(made_genome, tmp_path, weight):
    path = tmp_path / "regions.bed"
    path.write_text(f"one\t0\t4\none\t0\t4\t{weight}\n")
    with pytest.raises(DataError, match=f":2: the fourth column is '{weight}', expected a weight above 0"):
        read_weighted(path, made_genome({"one": "ACGT" * 10}))
