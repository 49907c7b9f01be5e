"""A sequence whose letters are as high as a number of their base; bars where letters would be too narrow to read."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

__all__ = ["LETTER_COLORS", "draw_bars", "draw_letters"]

LETTER_COLORS: Final = {"A": "#15803d", "C": "#1d4ed8", "G": "#d97706", "T": "#b91c1c"}
_UP: Final = "#475569"
_DOWN: Final = "#cbd5e1"
_GAP: Final = 0.05


def draw_letters(axes: Axes, start: int, sequence: str, heights: npt.NDArray[np.float64]) -> None:
    """Draw a letter over each base, from 0 to its height; those below 0 hang upside down.

    Parameters
    ----------
    axes : Axes
        Base i of the contig lies between i and i + 1.
    start : int
        First base, 0-based.
    sequence : str
        Letters, (bases,); others than A, C, G and T are not drawn.
    heights : (bases,), float64
        NaN where there is none.
    """
    for letter, color in LETTER_COLORS.items():
        at = [i for i, base in enumerate(sequence) if base == letter and np.isfinite(heights[i]) and heights[i]]
        if at:
            placed = [_placed(letter, start + i, float(heights[i])) for i in at]
            axes.add_patch(
                PathPatch(Path.make_compound_path(*placed), facecolor=color, linewidth=0, gid=f"logo {letter}")
            )


def draw_bars(axes: Axes, start: int, heights: npt.NDArray[np.float64]) -> None:
    """Draw a bar over each base, from 0 to its height; parameters as of `draw_letters`."""
    known = np.nan_to_num(heights)
    edges = start + np.arange(known.size + 1)
    for part, color, name in ((known.clip(0), _UP, "up"), (known.clip(max=0), _DOWN, "down")):
        axes.stairs(part, edges, fill=True, color=color, linewidth=0, gid=f"bars {name}")


def _placed(letter: str, at: int, height: float) -> Path:
    return _glyph(letter).transformed(Affine2D().scale(1 - 2 * _GAP, height).translate(at + _GAP, 0))


@cache
def _glyph(letter: str) -> Path:
    """Return the outline of a letter that fills the square from 0 to 1; its font comes with matplotlib."""
    outline = TextPath((0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = outline.get_extents()
    return outline.transformed(Affine2D().translate(-box.x0, -box.y0).scale(1 / box.width, 1 / box.height))
