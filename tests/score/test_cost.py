"""What is measured is told from what is extrapolated, and what a stream holds is what the law says."""

import pytest

from genomamba.model.streaming import bytes_per_base
from genomamba.score import cost
from genomamba.score.cost import measure_costs


@pytest.fixture
def timed(monkeypatch):
    """A millisecond a thousand tokens on a clock of its own; gives the lengths that were run, warm-up included."""
    clock, run = [0.0], []

    def time_one(model, length):
        run.append(length)
        clock[0] += length * 1e-6
        return length * 1e-6

    monkeypatch.setattr(cost, "_time", time_one)
    monkeypatch.setattr("genomamba.score.cost.time.perf_counter", lambda: clock[0])
    monkeypatch.setattr(cost, "peak_memory_mib", lambda _: 100.0)
    return run


def test_lengths_within_the_time_are_measured_and_others_extrapolated(make_model, timed):
    model = make_model(direction="bidirectional", equivariant=True)
    a_base = bytes_per_base(model)
    found = measure_costs(model, [500, 200_000, 10_000_000], max_seconds=1)
    assert [one.length for one in found] == [500, 1_024, 16_384, 200_000, 10_000_000]
    assert [one.extrapolated_from for one in found] == [None, None, None, None, 200_000]
    assert set(timed[1:]) == {500, 1_024, 16_384, 200_000}
    assert found[-1].seconds == pytest.approx(10.0)
    assert found[-1].tokens_per_s == pytest.approx(1e6)
    assert found[-1].memory_mib == pytest.approx(100 + a_base * 9_800_000 / 2**20)


def test_without_time_the_shortest_is_measured_alone(make_model, timed):
    found = measure_costs(make_model(), [100], max_seconds=0)
    assert [one.extrapolated_from for one in found] == [None, 100, 100]
    assert [one.memory_mib for one in found] == [100.0] * 3


@pytest.mark.parametrize("shape", [{}, {"alphabet": "bytes"}, {"alphabet": "tokens", "vocab_rows": 50}], ids=str)
def test_a_real_pass_takes_time_and_memory(make_model, shape):
    found = measure_costs(make_model(**shape).float(), [300], max_seconds=0)
    assert found[0].extrapolated_from is None
    assert found[0].seconds > 0
    assert found[0].memory_mib > 10


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({}, 0),
        # Tokens as pieces and whole, and two streams of 8 channels of 8 bytes; doubled for two strands but the pieces.
        ({"direction": "bidirectional"}, 8 + 8 + 2 * 8 * 8),
        ({"direction": "bidirectional", "equivariant": True}, 8 + 16 + 2 * 8 * 8 * 2),
    ],
    ids=["causal", "bidirectional", "equivariant"],
)
def test_bytes_a_base_by_hand(make_model, shape, expected):
    assert bytes_per_base(make_model(**shape)) == expected
