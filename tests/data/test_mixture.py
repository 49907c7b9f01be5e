"""Which stream a sample is of is a pure function of (seed, i), and each stream is read whole and in its own order."""

import pickle
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from genomamba.coordinates import Interval
from genomamba.data.mixture import BLOCK, MixedStream, Part, places
from genomamba.data.stream import Sample
from genomamba.errors import ConfigError


@dataclass(frozen=True)
class Counted:
    """A stream whose sample i is at base i of a contig of its own."""

    name: str

    def __getitem__(self, index):
        tokens = np.zeros(1, np.int64)
        return Sample(index, Interval(self.name, index, index + 1), "+", tokens, tokens.astype(np.float32))


def make(shares=(3, 1), tokens=(None, None), seed=0):
    parts = [
        Part(Counted("abcdef"[k]), share, token) for k, (share, token) in enumerate(zip(shares, tokens, strict=True))
    ]
    return MixedStream(parts, seed=seed)


def test_every_sample_of_every_stream_comes_once_and_none_is_left_out():
    stream = make((5, 2, 1), (None,) * 3)
    seen = {"a": [], "b": [], "c": []}
    for i in range(2 * BLOCK):
        number, own = stream.place(i)
        seen["abc"[number]].append(own)
    for name, share in (("a", 5), ("b", 2), ("c", 1)):
        assert sorted(seen[name]) == list(range(2 * BLOCK * share // 8))


def test_shares_hold_in_short_runs_too_but_for_chance():
    counts = Counter(make().place(i)[0] for i in range(4_000))
    # Without replacement, so within five standard errors of 4,000 draws of one in four.
    assert abs(counts[1] - 1_000) < 5 * (4_000 * 0.25 * 0.75) ** 0.5


def test_a_sample_depends_on_seed_and_number_alone():
    stream, again, other = make(), pickle.loads(pickle.dumps(make())), make(seed=1)
    numbers = [7, 0, BLOCK, 2**40]
    for i in numbers:
        assert again[i].interval == stream[i].interval
        assert stream[i].index == i
    assert [other.place(i) for i in range(50)] != [stream.place(i) for i in range(50)]


def test_nine_of_ten_samples_are_read_with_their_species():
    stream = make((1, 1), (12, 13))
    samples = [stream[i] for i in range(5_000)]
    named = [sample for sample in samples if sample.species is not None]
    assert {(sample.interval.contig, sample.species) for sample in named} == {("a", 12), ("b", 13)}
    assert len(named) == pytest.approx(4_500, abs=5 * (5_000 * 0.09) ** 0.5)
    assert all(sample.species is None for sample in (make((1, 1), (12, None))[i] for i in range(500)
                                                     ) if sample.interval.contig == "b")  # fmt: skip


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((1,), [BLOCK]),
        ((3, 1), [49_152, 16_384]),
        ((1, 1, 1), [21_846, 21_845, 21_845]),
        ((1e9, 1), [65_535, 1]),
        ((1e9, 1, 1, 1), [65_533, 1, 1, 1]),
    ],
)
def test_places_by_hand(shares, expected):
    assert places(shares) == expected


def test_more_parts_than_can_be_mixed_are_refused():
    with pytest.raises(ConfigError, match="1,025 parts are mixed, and at most 1,024"):
        places([1.0] * 1_025)
