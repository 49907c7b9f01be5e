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
    line = polylines(svg, plots.SMOOTH)[0]
    middle = (line[0][0] + line[-1][0]) / 2
    heights = [y for x, y in line if x > middle]
    assert max(heights) - min(heights) > 10


def test_nothing_known_is_an_empty_frame() -> None:
    unknown = np.array([np.nan])
    svg = plots.draw_learning((unknown, unknown), (unknown, unknown), None)
    in_legend = [[len(line) for line in polylines(svg, color)] for color in (plots.RAW, plots.SMOOTH, plots.MODEL)]
    assert in_legend == [[3], [3], [3]]
    assert ">bits per base<" in svg


@pytest.mark.parametrize(("points", "has_markers"), [(plots.MAX_MARKERS, True), (plots.MAX_MARKERS + 1, False)])
def test_many_validations_lose_their_dots(points: int, has_markers: bool) -> None:
    valid = np.arange(1.0, points + 1)
    svg = plots.draw_learning((valid[:0], valid[:0]), (valid, 1 / valid), None)
    assert (svg.count("<use") > points) == has_markers


def test_long_curves_are_thinned() -> None:
    bits = np.random.default_rng(0).normal(size=20 * plots.MAX_POINTS)
    curve = np.arange(bits.size, dtype=float), bits
    svg = plots.draw_learning(curve, curve, None)
    for color in (plots.RAW, plots.SMOOTH, plots.MODEL):
        assert len(polylines(svg, color)[0]) <= plots.MAX_POINTS


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[0.0, 0.0], [np.nan, np.nan], [5e6, 6e6]], ids=["zero", "none", "large"])
def test_quantity_begins_at_zero(values: list[float]) -> None:
    svg = plots.draw_quantity(np.array([1.0, 2.0]), np.array(values), "bytes per second", "byte")
    assert ">0<" in svg
    assert ">-" not in svg
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


def test_the_level_to_beat_lies_within_the_frame() -> None:
    bases, bits = np.arange(1, 101.0), np.full(100, 1.9)
    svg = plots.draw_learning((bases, bits), (bases[:0], bits[:0]), ("Markov, order 3", 1.6))
    height = float(re.search(r'viewBox="0 0 \S+ ([^"]+)"', svg)[1])
    # A line outside the frame is clipped away, and that of the legend is all that stays.
    level, in_legend = polylines(svg, plots.MARKOV)
    assert 0 < level[0][1] < height
    assert level[1][0] - level[0][0] > 10 * (in_legend[-1][0] - in_legend[0][0])


def points(*rows: tuple[float, ...]) -> list[plots.ContextPoint]:
    return [plots.ContextPoint(int(row[0]), *row[1:]) for row in rows]


@pytest.mark.filterwarnings("error")
def test_bits_by_context_draws_means_intervals_and_differences() -> None:
    curve = points(
        (256, 1.98, 1.96, 2.0, 0, 0, 0),
        (1_024, 1.97, 1.95, 1.99, -0.01, -0.015, -0.005),
        (16_384, 1.97, 1.95, 1.99, -0.01, -0.015, -0.005),
    )
    svg, png = plots.draw_bits_by_context(curve, trained_context=1_024, cost="bits per base")
    assert png.startswith(b"\x89PNG")
    lines = [line for line in polylines(svg, plots.MODEL) if len(line) == 3]
    # SVG counts downwards, and both panels fall by one hundredth and then stay; the third line is that of the legend.
    assert len(lines) == 3
    for (x0, y0), (x1, y1), (x2, y2) in lines[:2]:
        assert y0 < y1 == y2
        # 1,024 is four times 256, 16,384 is sixteen times 1,024: on an axis of powers, half as far.
        assert x2 - x1 == pytest.approx(2 * (x1 - x0), rel=1e-3)
    upper = lines[0][1]
    trained = [line for line in polylines(svg, plots.MARKOV) if line[0][0] == line[1][0]]
    assert [line[0][0] for line in trained] == pytest.approx([upper[0]] * 2)
    for text in ("256", "1,024", "16,384", "against 256", "bits per base", "context, bases", "as in training, 1,024"):
        assert f">{text}<" in svg


@pytest.mark.filterwarnings("error")
def test_no_interval_no_training_context_and_one_point_are_drawn() -> None:
    unknown = (float("nan"),) * 2
    curve = points((1_024, 1.98, *unknown, 0.0, *unknown))
    svg, _ = plots.draw_bits_by_context(curve, trained_context=None, cost="bits per byte", unit="byte")
    assert ">context, bytes<" in svg
    assert "interval" not in svg
    assert "training" not in svg


def test_noise_is_not_stretched_into_an_effect() -> None:
    curve = points((256, 1.98, 1.98, 1.98, 0, 0, 0), (512, 1.98001, 1.98, 1.99, 1e-5, -1e-5, 2e-5))
    svg, _ = plots.draw_bits_by_context(curve, trained_context=None, cost="bits per base")
    height = float(re.search(r'viewBox="0 0 \S+ ([^"]+)"', svg)[1])
    across = [line for line in polylines(svg, plots.MODEL) if line[-1][0] - line[0][0] > 100]
    assert len(across) == 2
    for start, end in across:
        assert abs(start[1] - end[1]) < height / 100


def test_many_contexts_are_named_here_and_there() -> None:
    curve = points(*((2**k, 1.98, 1.9, 2.0, 0, -0.1, 0.1) for k in range(8, 21)))
    svg, _ = plots.draw_bits_by_context(curve, trained_context=None, cost="bits per base")
    named = [f"{2**k:,}" for k in range(8, 21) if f">{2**k:,}<" in svg]
    assert named == [f"{2**k:,}" for k in range(8, 21, 2)]
