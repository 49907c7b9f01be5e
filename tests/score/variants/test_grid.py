"""The grid is absolute, and gives every position between half a context and a whole one to its left."""

import pytest

from genomamba.score.variants.grid import Grid


@pytest.mark.parametrize(
    ("position", "block", "first"), [(0, 0, 0), (49, 0, 0), (50, 1, 0), (99, 1, 0), (100, 2, 50), (1_000, 20, 950)]
)
def test_by_hand(position, block, first):
    grid = Grid(100)
    assert (grid.block(position), grid.first(block)) == (block, first)
    assert grid.start(block) <= position < grid.start(block + 1)


@pytest.mark.parametrize("context", [2, 6, 128])
def test_left_sequence_is_half_a_context_or_more_and_less_than_a_whole_one(context):
    grid = Grid(context)
    for position in range(4 * context):
        left = position - grid.first(grid.block(position))
        assert left == position if position < context else context // 2 <= left < context


def test_without_a_context_all_is_one_block():
    grid = Grid(None)
    assert (grid.block(10**9), grid.first(0), grid.start(0)) == (0, 0, 0)
