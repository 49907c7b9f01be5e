"""Draws are permutations, differ by key, and never change."""

from collections import Counter

import numpy as np
import pytest

from genomamba.data.draws import derive_key, mix, permute, sample_generator


def test_mix_is_splitmix64():
    # First outputs of SplitMix64 seeded with 1234567, as published with the Java and C reference implementations.
    golden = 0x9E3779B97F4A7C15
    found = [mix(1234567 + i * golden) for i in range(3)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 17, 255, 256, 257, 3000])
def test_each_place_is_visited_once(size):
    for key in (0, 1, 2**64 - 1):
        assert sorted(permute(i, size, key) for i in range(size)) == list(range(size))


def test_orders_are_even_and_differ_by_key():
    assert len({tuple(permute(i, 50, mix(key)) for i in range(50)) for key in range(100)}) == 100
    for position in (0, 6):
        counts = Counter(permute(position, 7, mix(key)) for key in range(7000))
        chi2 = sum((counts[value] - 1000) ** 2 / 1000 for value in range(7))
        assert chi2 < 30


def test_where_one_goes_says_nothing_of_where_another_goes():
    pairs = Counter((permute(0, 16, mix(key)), permute(4, 16, mix(key))) for key in range(24_000))
    assert len(pairs) == 16 * 15
    assert sum((count - 100) ** 2 / 100 for count in pairs.values()) < 330


def test_neighbours_do_not_stay_neighbours():
    places = np.array([permute(i, 10_000, derive_key(0, "order")) for i in range(10_000)])
    assert abs(np.corrcoef(places[1:], places[:-1])[0, 1]) < 0.05
    assert (np.abs(np.diff(places)) < 10).mean() < 0.01


def test_generators_depend_on_seed_sample_and_purpose_alone():
    def draw(*arguments):
        return sample_generator(*arguments).integers(0, 2**63, 64).tolist()

    assert draw(0, 5, "mask") == draw(0, 5, "mask")
    drawn = [draw(*a) for a in ((0, 5, "mask"), (1, 5, "mask"), (0, 6, "mask"), (0, 5, "other"), (0, 2**40, "mask"))]
    assert len({tuple(d) for d in drawn}) == 5
    assert not set(drawn[0]) & {x for d in drawn[1:] for x in d}
