"""What is done is kept over any way of stopping, and is of use to the same command alone."""

import os

import numpy as np
import pytest

from genomamba.errors import RunError
from genomamba.score.partial import Partial, Sums

PLAN = {"strand": "+", "context": None, "fasta": ["abc"]}


def open_partial(tmp_path, plan=PLAN, bases=100, **options):
    return Partial(tmp_path / "out.partial", plan, bases, **options)


def test_parts_that_are_done_and_their_values_are_there_again(tmp_path):
    values = np.arange(10, dtype=np.float32)
    with open_partial(tmp_path) as partial:
        assert partial.done == {}
        partial.write(20, values)
        partial.finish(3, [Sums(10, -1 / 3), Sums(0, 0.0)])
    with open_partial(tmp_path) as partial:
        assert partial.done == {3: [Sums(10, -1 / 3), Sums(0, 0.0)]}
        assert partial.read(20, 10).tolist() == values.tolist()
        partial.finish(0, [Sums(1, -2.0)])
    with open_partial(tmp_path) as partial:
        assert list(partial.done) == [3, 0]


def test_reversed_values_are_written_in_their_order(tmp_path):
    with open_partial(tmp_path) as partial:
        partial.write(0, np.arange(5, dtype=np.float32)[::-1])
        assert partial.read(0, 5).tolist() == [4, 3, 2, 1, 0]


def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path):
    with open_partial(tmp_path) as partial:
        partial.finish(0, [Sums(1, -2.0)])
        partial.finish(1, [Sums(2, -4.0)])
    log = tmp_path / "out.partial/done.jsonl"
    os.truncate(log, log.stat().st_size - 3)
    with open_partial(tmp_path) as partial:
        assert partial.done == {0: [Sums(1, -2.0)]}
        partial.finish(2, [Sums(3, -6.0)])
    with open_partial(tmp_path) as partial:
        assert partial.done == {0: [Sums(1, -2.0)], 2: [Sums(3, -6.0)]}


def test_another_plan_is_refused_by_name_or_begun_anew(tmp_path):
    with open_partial(tmp_path) as partial:
        partial.finish(0, [Sums(1, -2.0)])
    other = PLAN | {"context": 64}
    with pytest.raises(RunError, match=r"out\.partial: .* with context None where this one has 64; .* --force"):
        open_partial(tmp_path, other)
    with open_partial(tmp_path, other, force=True) as partial:
        assert partial.done == {}
    with open_partial(tmp_path, other) as partial:
        assert partial.done == {}


def cut_values(folder):
    os.truncate(folder / "values.f32", 100)


def no_values(folder):
    (folder / "values.f32").unlink()


def a_plan_that_is_none(folder):
    (folder / "plan.json").write_text("[]")


def a_log_of_something_else(folder):
    (folder / "done.jsonl").write_text("3\n")


def a_log_that_is_no_json(folder):
    (folder / "done.jsonl").write_text("[0, [[\n")


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (cut_values, "values.f32"),
        (no_values, "values.f32"),
        (a_plan_that_is_none, "plan.json"),
        (a_log_of_something_else, "done.jsonl"),
        (a_log_that_is_no_json, "done.jsonl"),
    ],
)
def test_what_is_damaged_is_refused_and_not_gone_on_with(tmp_path, damage, file):
    with open_partial(tmp_path) as partial:
        partial.finish(0, [Sums(1, -2.0)])
    damage(tmp_path / "out.partial")
    with pytest.raises(RunError, match=rf"out\.partial/{file}: damaged; .* --force to begin anew"):
        open_partial(tmp_path)
    with open_partial(tmp_path, force=True) as partial:
        assert partial.done == {}


def test_a_log_without_a_plan_counts_for_nothing(tmp_path):
    with open_partial(tmp_path) as partial:
        partial.finish(0, [Sums(1, -2.0)])
    (tmp_path / "out.partial/plan.json").unlink()
    with open_partial(tmp_path) as partial:
        assert partial.done == {}


def test_where_no_value_is_wanted_none_takes_room(tmp_path):
    with open_partial(tmp_path, bases=0) as partial:
        partial.finish(0, [Sums(1, -2.0)])
    assert (tmp_path / "out.partial/values.f32").stat().st_size == 0


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/out\.partial: cannot be written"):
        open_partial(tmp_path / "file")


def test_it_is_gone_when_it_is_removed(tmp_path):
    with open_partial(tmp_path) as partial:
        partial.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{}, {"force": True}], ids=["goes on", "anew"])
def test_two_at_once_are_refused_and_the_first_is_untouched(tmp_path, options):
    with open_partial(tmp_path) as partial:
        partial.finish(0, [Sums(1, -2.0)])
        with pytest.raises(RunError, match=r"out\.partial: another process is at work on it; start the command once"):
            open_partial(tmp_path, **options)
        partial.finish(1, [Sums(2, -4.0)])
    with open_partial(tmp_path) as partial:
        assert list(partial.done) == [0, 1]
