"""Lines in the log of a job that has no terminal: what is done, how fast, and how long it will take."""

import logging

import pytest

from genomamba.score import progress
from genomamba.score.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_a_minute_tells_the_time_left(clock, caplog):
    caplog.set_level(logging.INFO, "genomamba")
    with Progress("scoring", "alleles", 100_000, 20_000) as shown:
        clock[0] += 61
        shown.add(1)
        clock[0] += 30
        shown.add(100)
        clock[0] += 31
        shown.add(6_000)
    first, second = (record.getMessage() for record in caplog.records)
    assert first == "scoring: 20% of 100,000 alleles, 0.016 alleles/s, time left not known yet"
    assert second == "scoring: 26% of 100,000 alleles, 50 alleles/s, time left 24 min 38 s"


def test_one_result_of_many_tells_no_time(clock, caplog):
    caplog.set_level(logging.INFO, "genomamba")
    with Progress("scoring", "alleles", 4_000) as shown:
        clock[0] += 125
        shown.add(1)
    assert [record.getMessage() for record in caplog.records] == [
        "scoring: 0% of 4,000 alleles, 0.008 alleles/s, time left not known yet"
    ]
