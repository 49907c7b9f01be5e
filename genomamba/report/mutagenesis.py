"""Picture of a mutagenesis in silico: genes, a logo of how much each base matters, and a heat map of every change."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from genomamba.coordinates import Interval
from genomamba.report.gene_track import LANE_INCHES, GeneTrack
from genomamba.report.genes import GeneModel
from genomamba.report.logo import draw_bars, draw_letters
from genomamba.report.plots import INK, METADATA, STYLE

__all__ = ["Mutagenesis", "draw_mutagenesis"]

FloatArray = npt.NDArray[np.float64]
PictureFormat = Literal["svg", "png"]

BASES: Final = "ACGT"
LETTERS_A_ROW: Final = 100
"""Bases of a row in which letters can be read."""
MOST_WITH_LETTERS: Final = 400
BASES_A_ROW: Final = 500
MOST_ROWS: Final = 12

_WIDEST, _NARROWEST, _BASE_INCHES = 9.3, 2.4, 0.155
_LEFT, _RIGHT, _TOP, _BOTTOM, _LEAST_WIDTH = 0.85, 0.25, 0.7, 0.28, 7.2
_LOGO_INCHES, _BARS_INCHES, _ROW_GAP, _TICKS_INCHES = 0.9, 0.68, 0.22, 0.22
_CELL_INCHES, _THIN_CELL_INCHES = 0.17, 0.12
_DIGIT_INCHES: Final = 0.09
# Beyond this share of the numbers colours saturate, lest one number take all colours.
_SATURATES: Final = 0.995
_REFERENCE: Final = "#dfe1e4"
_MUTED: Final = "#64748b"
# An odd number of steps, so that 0 has the middle one.
_COLORS: Final = LinearSegmentedColormap.from_list(
    "amber to teal", ["#7c2d12", "#b45309", "#f0c080", "#fdfcfa", "#8bcfc3", "#0f766e", "#083f3a"], N=257
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutagenesis:
    """What is drawn.

    Attributes
    ----------
    region : Interval
        Where the bases lie.
    sequence : str
        Their letters, (bases,), upper case.
    substitutions : (bases, 4), float64
        Score of A, C, G and T in place of each base; NaN for the base itself and where there is none.
    deletions : mapping of int to (bases,), float64
        For each length, the score of the deletion that begins at each base; NaN where there is none.
    genes : sequence of GeneModel
        By position.
    score, unit : str
        Name of the score, and its unit or nothing.
    is_ratio : bool
        Whether a base matters where changes of it lie below 0, as log-likelihood ratios do; else, where they lie above.
    model : str
        Name of the model.
    """

    region: Interval
    sequence: str
    substitutions: FloatArray
    deletions: Mapping[int, FloatArray]
    genes: Sequence[GeneModel] = ()
    score: str
    unit: str
    is_ratio: bool
    model: str

    @property
    def importance(self) -> FloatArray:
        """Mean of the substitutions of each base, the sign changed where `is_ratio`; NaN where there is none."""
        known = np.isfinite(self.substitutions)
        counts = known.sum(1)
        sums = np.where(known, self.substitutions, 0).sum(1)
        mean = np.where(counts, sums / np.maximum(counts, 1), np.nan)
        return -mean if self.is_ratio else mean


def draw_mutagenesis(scan: Mutagenesis, picture_format: PictureFormat) -> bytes:
    """Draw a picture: the same bytes for the same numbers.

    Up to 400 bases have letters and cells, a hundred a row; more have bars and thin columns, five hundred a row.

    Parameters
    ----------
    scan : Mutagenesis
        What is drawn.
    picture_format : {"svg", "png"}
        PNG has 200 dots an inch, on white.
    """
    style: dict[Any, Any] = {**STYLE, "axes.grid": False, "svg.hashsalt": str(scan.region)}
    with mpl.rc_context(style):
        figure = _Picture(scan).figure
        buffer = io.BytesIO()
        if picture_format == "svg":
            figure.savefig(buffer, format="svg", facecolor="white", metadata=METADATA)
        else:
            figure.savefig(buffer, format="png", dpi=200, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


class _Picture:
    """The figure, whose parts are placed in inches from the upper left corner."""

    def __init__(self, scan: Mutagenesis) -> None:
        self._scan = scan
        count = len(scan.region)
        self._has_letters = count <= MOST_WITH_LETTERS
        rows = min(MOST_ROWS, math.ceil(count / (LETTERS_A_ROW if self._has_letters else BASES_A_ROW)))
        self._per_row = math.ceil(count / rows)
        self._width = min(_WIDEST, max(_NARROWEST, self._per_row * _BASE_INCHES))
        self._scale = self._per_row / self._width
        self._cell = _CELL_INCHES if self._has_letters else _THIN_CELL_INCHES
        self._importance = scan.importance
        self._limit, self._saturates = _limit_of([scan.substitutions, *scan.deletions.values()])
        starts = range(0, count, self._per_row)
        tracks = [self._track(start) for start in starts]
        heights = [self._height_of(track) for track in tracks]
        self._size = (
            max(_LEAST_WIDTH, _LEFT + self._width + _RIGHT),
            _TOP + sum(heights) + _ROW_GAP * (len(heights) - 1) + _BOTTOM,
        )
        self.figure = Figure(figsize=self._size)
        self._draw_header()
        at = _TOP
        for start, track, height in zip(starts, tracks, heights, strict=True):
            self._draw_row(start, track, at, is_last=start + self._per_row >= count)
            at += height + _ROW_GAP

    def _track(self, start: int) -> GeneTrack:
        first = self._scan.region.start + start
        end = min(first + self._per_row, self._scan.region.end)
        return GeneTrack(self._scan.genes, first, end, self._scale)

    def _height_of(self, track: GeneTrack) -> float:
        logo = _LOGO_INCHES if self._has_letters else _BARS_INCHES
        return track.lanes * LANE_INCHES + logo + self._cell * (4 + len(self._scan.deletions)) + _TICKS_INCHES

    def _axes(self, top: float, height: float, *, bases: int, left: float = _LEFT) -> Axes:
        width, whole = self._size
        part = bases / self._scale
        return self.figure.add_axes((left / width, 1 - (top + height) / whole, part / width, height / whole))

    def _draw_header(self) -> None:
        scan, (width, height) = self._scan, self._size
        count = len(scan.region)
        bases = f"{count:,} base{'s' * (count != 1)}"
        left = 0.15 / width
        self.figure.text(left, 1 - 0.2 / height, f"{scan.region}", size=11, weight="bold", va="center")
        self.figure.text(left, 1 - 0.4 / height, f"{bases}, {scan.model}", size=8.5, va="center", color=_MUTED)
        bar = self.figure.add_axes((1 - (_RIGHT + 2.2) / width, 1 - 0.22 / height, 2.2 / width, 0.11 / height))
        bar.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=_COLORS, extent=(-self._limit, self._limit, 0, 1))
        bar.set_yticks([])
        bar.xaxis.set_major_locator(FixedLocator([-self._limit, 0, self._limit]))
        low, high = ("\u2264", "\u2265") if self._saturates else ("", "")
        labels = {-1: f"{low} \u2212{self._limit:.2g}", 0: "0", 1: f"{high} {self._limit:.2g}"}
        bar.xaxis.set_major_formatter(FuncFormatter(lambda value, _: labels[int(np.sign(value))].strip()))
        bar.tick_params(length=2, pad=1.5, labelsize=7.5)
        bar.spines[:].set_visible(False)
        bar.set_xlabel(self._named("change: "), size=7.5, labelpad=1.5)

    def _named(self, what: str) -> str:
        return f"{what}{self._scan.score}{f', {self._scan.unit}' if self._scan.unit else ''}"

    def _draw_row(self, start: int, track: GeneTrack, top: float, *, is_last: bool) -> None:
        scan = self._scan
        end = min(start + self._per_row, len(scan.region))
        first, count = scan.region.start + start, end - start
        if track.lanes:
            genes = self._axes(top, track.lanes * LANE_INCHES, bases=count)
            genes.set_xlim(first, first + count)
            track.draw(genes)
            top += track.lanes * LANE_INCHES
        height = _LOGO_INCHES if self._has_letters else _BARS_INCHES
        self._draw_logo(self._axes(top, height, bases=count), start, end)
        rows = 4 + len(scan.deletions)
        heat = self._axes(top + height, rows * self._cell, bases=count)
        self._draw_heat(heat, start, end)
        heat.set_xlim(first, first + count)
        ticks = _ticks(first + 1, first + count, self._scale * _DIGIT_INCHES * (len(f"{scan.region.end:,}") + 2))
        heat.xaxis.set_major_locator(FixedLocator([tick - 0.5 for tick in ticks]))
        heat.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(value + 0.5):,}"))
        heat.tick_params(axis="x", length=3, pad=2, labelsize=8)
        if is_last:
            heat.set_xlabel(f"position on {scan.region.contig}", size=8.5, labelpad=3)

    def _draw_logo(self, axes: Axes, start: int, end: int) -> None:
        first = self._scan.region.start + start
        heights = self._importance[start:end]
        if self._has_letters:
            draw_letters(axes, first, self._scan.sequence[start:end], heights)
        else:
            draw_bars(axes, first, heights)
        known = np.nan_to_num(self._importance)
        low, high = min(0.0, float(known.min())), max(0.0, float(known.max()))
        room = 0.1 * ((high - low) or 1)
        axes.set_ylim(low - room, high + room)
        axes.set_xlim(first, first + end - start)
        axes.axhline(0, color="#94a3b8", linewidth=0.6, zorder=0.5)
        axes.spines["bottom"].set_visible(False)
        axes.set_xticks([])
        # The lowest label would touch that of the first row of cells.
        ticks = [tick for tick in MaxNLocator(3).tick_values(low, high) if not tick or low + room < tick <= high + room]
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.tick_params(axis="y", length=2, pad=2, labelsize=7)
        sign = "\u2212" if self._scan.is_ratio else ""
        unit = f", {self._scan.unit}" if self._scan.unit else ""
        axes.set_ylabel(f"{sign}mean\n{self._scan.score}{unit}", size=7, labelpad=3)

    def _draw_heat(self, axes: Axes, start: int, end: int) -> None:
        scan = self._scan
        first = scan.region.start + start
        lengths = list(scan.deletions)
        values = np.vstack([scan.substitutions[start:end].T, *(scan.deletions[n][start:end] for n in lengths)])
        letters = scan.sequence[start:end]
        if self._has_letters:
            self._draw_cells(axes, first, values, letters)
        else:
            self._draw_columns(axes, first, values, letters)
        rows = len(values)
        axes.set_ylim(rows, 0)
        names = [*BASES, *("del" if lengths == [1] else f"del {length}" for length in lengths)]
        axes.set_yticks(np.arange(rows) + 0.5, names)
        axes.tick_params(axis="y", length=0, pad=3, labelsize=7.5 if self._has_letters else 6)
        axes.spines[:].set_visible(False)

    def _draw_cells(self, axes: Axes, first: int, values: FloatArray, letters: str) -> None:
        at = [(int(row), int(column)) for row, column in np.argwhere(np.isfinite(values))]
        cells = [Rectangle((first + column, row), 1, 1) for row, column in at]
        drawn = PatchCollection(cells, cmap=_COLORS, norm=self._norm, edgecolor="white", linewidth=0.7, gid="cells")
        drawn.set_array(np.array([values[one] for one in at]))
        axes.add_collection(drawn)
        known = [(first + column, letter) for column, letter in enumerate(letters) if letter in BASES]
        boxes = [Rectangle((place, BASES.index(letter)), 1, 1) for place, letter in known]
        axes.add_collection(PatchCollection(boxes, facecolor=_REFERENCE, edgecolor="white", linewidth=0.7, gid="bases"))
        for place, letter in known:
            middle = (place + 0.5, BASES.index(letter) + 0.54)
            axes.text(*middle, letter, ha="center", va="center", size=6.5, color=INK, weight="bold")

    def _draw_columns(self, axes: Axes, first: int, values: FloatArray, letters: str) -> None:
        pixels = _COLORS(self._norm(np.nan_to_num(values)))
        pixels[~np.isfinite(values)] = 1
        for column, letter in enumerate(letters):
            if letter in BASES:
                pixels[BASES.index(letter), column] = mpl.colors.to_rgba(_REFERENCE)
        extent = (first, first + values.shape[1], len(values), 0)
        axes.imshow(pixels, aspect="auto", interpolation="none", extent=extent, gid="columns")

    @property
    def _norm(self) -> Normalize:
        return Normalize(-self._limit, self._limit, clip=True)


def _limit_of(arrays: Sequence[FloatArray]) -> tuple[float, bool]:
    """Return the largest magnitude that has a colour of its own, and whether there are larger ones."""
    sizes = np.abs(np.concatenate([array[np.isfinite(array)].ravel() for array in arrays]))
    if not sizes.size or not sizes.max():
        return 1.0, False
    limit = float(np.quantile(sizes, _SATURATES, method="higher"))
    return (limit, limit < sizes.max()) if limit else (float(sizes.max()), False)


def _ticks(first: int, last: int, apart: float) -> list[int]:
    """Return round positions, 1-based, no nearer to each other than that; the first where none is round."""
    step = next(digit * 10**power for power in range(20) for digit in (1, 2, 5) if digit * 10**power >= apart)
    return list(range(-(-first // step) * step, last + 1, step)) or [first]
