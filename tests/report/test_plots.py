import re
from itertools import combinations, pairwise

import numpy as np
import pytest

from genomamba.report import plots


def polylines(svg: str, color: str) -> list[list[tuple[float, float]]]:
    """Points of every line drawn in a colour, in the units of the figure."""
    drawn = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none[^"]*stroke: {color}', svg)
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path)] for path in drawn]


def test_smooth_by_hand() -> None:
    # 100 rows: the mean of a row and its two neighbours, at the ends of the two rows that there are.
    values = np.zeros(100)
    values[[0, 50]] = 3, 6
    smoothed = plots.smooth(values)
    assert smoothed[:3].tolist() == pytest.approx([1.5, 1.0, 0.0])
    assert smoothed[48:53].tolist() == pytest.approx([0.0, 2.0, 2.0, 2.0, 0.0])
    assert plots.smooth(np.full(7, 1.5)).tolist() == pytest.approx([1.5] * 7)
    assert plots.smooth(np.empty(0)).size == 0


@pytest.mark.parametrize("rows", [1, plots.MAX_POINTS, plots.MAX_POINTS + 1, 100_003])
def test_thin_keeps_the_extremes_of_every_stretch(rows: int) -> None:
    y = np.random.default_rng(0).normal(size=rows)
    x = np.arange(rows, dtype=float)
    thin_x, thin_y = plots.thin(x, y)
    assert thin_x.size == min(rows, plots.MAX_POINTS)
    assert (np.diff(thin_x) >= 0).all()
    assert (y[thin_x.astype(int)] == thin_y).all()
    assert (thin_y.min(), thin_y.max()) == (y.min(), y.max())
    edges = np.linspace(0, rows, plots.MAX_POINTS // 2 + 1).astype(int)
    for first, last in list(pairwise(edges))[:: 1 + len(edges) // 10]:
        part = y[first:last]
        kept = thin_y[(thin_x >= first) & (thin_x < last)]
        assert part.size == 0 or (kept.min(), kept.max()) == (part.min(), part.max())


def test_learning_draws_what_is_known() -> None:
    bases = np.arange(5.0) * 1e6
    bits = np.array([2.0, np.nan, 1.98, 1.96, 1.95])
    svg = plots.draw_learning((bases, bits), (bases[1::2], np.array([1.97, 1.955])), ("Markov, order 3", 1.94))
    assert len(polylines(svg, plots.RAW)[0]) == 4
    assert len(polylines(svg, plots.MODEL)[0]) == 2
    level = polylines(svg, plots.MARKOV)[0]
    assert level[0][1] == level[1][1]
    # SVG counts downwards: the level line lies below every validation point, since it has fewer bits.
    assert level[0][1] > max(y for _, y in polylines(svg, plots.MODEL)[0])
    for text in ("Markov, order 3", "validation", "training, smoothed", "bits per base", "training bases", "4 M"):
        assert f">{text}<" in svg
    assert "Markov" not in plots.draw_learning((bases, bits), (bases[:0], bits[:0]), None)


def test_the_fall_of_the_first_rows_does_not_flatten_the_rest() -> None:
    bases = np.arange(1, 1001.0)
    bits = 1.9 + 0.05 * np.exp(-bases / 300) + 3 * np.exp(-bases / 10)
    svg = plots.draw_learning((bases, bits), (bases[:0], bits[:0]), None)
    heights = [y for _, y in polylines(svg, plots.SMOOTH)[0]][-500:]
    assert max(heights) - min(heights) > 20


def test_bits_by_order_has_a_panel_a_split() -> None:
    svg = plots.draw_bits_by_order({"validation": (1.9, {0: 2.0, 1: 1.95}), "test": (1.97, {0: 2.0, 1: 1.95})})
    models, orders = polylines(svg, plots.MODEL), polylines(svg, plots.MARKOV)
    assert [len(line) for line in orders][:2] == [2, 2]
    assert models[0][0][1] > max(y for _, y in orders[0])
    assert min(y for _, y in orders[1]) < models[1][0][1] < max(y for _, y in orders[1])
    for text in ("validation", "test", "genomamba", "Markov, interpolated"):
        assert f">{text}<" in svg


@pytest.mark.parametrize("values", [[0.0, 0.0], [np.nan, np.nan], [5e6, 6e6]], ids=["zero", "none", "large"])
def test_quantity_begins_at_zero(values: list[float]) -> None:
    svg = plots.draw_quantity(np.array([1.0, 2.0]), np.array(values), "bytes per second", "byte")
    assert ">0<" in svg
    assert ">training bytes<" in svg
    assert ">bytes per second<" in svg


def test_figures_do_not_share_ids_and_are_the_same_each_time() -> None:
    draw = [
        lambda: plots.draw_quantity(np.arange(3.0), np.arange(3.0), "learning rate"),
        lambda: plots.draw_quantity(np.arange(3.0), np.arange(3.0), "bases per second"),
        lambda: plots.draw_bits_by_order({"test": (1.9, {0: 2.0, 1: 1.95})}),
    ]
    svgs = [make() for make in draw]
    assert svgs == [make() for make in draw]
    clips = [set(re.findall(r'<clipPath id="([^"]+)"', svg)) for svg in svgs]
    assert all(clips)
    assert not any(one & other for one, other in combinations(clips, 2))
