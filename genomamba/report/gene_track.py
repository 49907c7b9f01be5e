"""Genes above a picture of a stretch: exons, coding parts, introns with the strand, start codons, names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from genomamba.report.genes import GeneModel, Stretch, introns, lanes_of
from genomamba.report.plots import INK, MODEL, SMOOTH

__all__ = ["LANE_INCHES", "GeneTrack"]

LANE_INCHES: Final = 0.33
MOST_LANES: Final = 5

_EXON: Final = "#94a3b8"
_EXON_HEIGHT: Final = 0.2
_CODING_HEIGHT: Final = 0.4
# Where in a lane the boxes lie, and the names above them: 0 is its upper edge.
_BOXES_AT: Final = 0.72
_NAMES_AT: Final = 0.26
_NAME_POINTS: Final = 7.5
_CHARACTER_INCHES: Final = 0.066
_ARROWS_INCHES: Final = 0.3
_ARROW_INCHES: Final = 0.035
_START: Final = "start"


class GeneTrack:
    """The genes of a stretch in lanes.

    Parameters
    ----------
    genes : sequence of GeneModel
        By position; those that lie elsewhere are left out.
    start, end : int
        The stretch, 0-based and half-open.
    bases_per_inch : float
        Of the picture.

    Attributes
    ----------
    lanes : int
        How many it takes; 0 without genes.
    """

    def __init__(self, genes: Sequence[GeneModel], start: int, end: int, bases_per_inch: float) -> None:
        self._start, self._end, self._scale = start, end, bases_per_inch
        here = [gene for gene in genes if gene.start < end and gene.end > start]
        lanes = lanes_of([self._room(gene) for gene in here])
        self._placed = [(gene, lane) for gene, lane in zip(here, lanes, strict=True) if lane < MOST_LANES]
        self._left_out = len(here) - len(self._placed)
        self.lanes = min(MOST_LANES, max(lanes, default=-1) + 1)

    def draw(self, axes: Axes) -> None:
        """Draw them on axes whose horizontal limits are the stretch."""
        axes.set_ylim(self.lanes, 0)
        axes.axis("off")
        for gene, lane in self._placed:
            self._draw_gene(axes, gene, lane)
        if self._left_out:
            more = f"{self._left_out} more not drawn"
            axes.text(1, 1.0, more, transform=axes.transAxes, ha="right", va="bottom", size=_NAME_POINTS, color=INK)

    def _draw_gene(self, axes: Axes, gene: GeneModel, lane: int) -> None:
        middle = lane + _BOXES_AT
        for start, end in self._inside(introns(gene)):
            axes.plot([start, end], [middle, middle], color=_EXON, linewidth=1, solid_capstyle="butt", gid="intron")
            self._draw_arrows(axes, gene, start, end, middle, SMOOTH)
        for stretches, height, color, name in (
            (gene.exons, _EXON_HEIGHT, _EXON, "exon"),
            (gene.coding, _CODING_HEIGHT, SMOOTH, "coding"),
            (gene.starts, _CODING_HEIGHT, MODEL, "start codon"),
        ):
            for start, end in self._inside(stretches):
                box = Rectangle((start, middle - height / 2), end - start, height, color=color, linewidth=0, gid=name)
                axes.add_patch(box)
        for start, end in self._inside(gene.exons):
            self._draw_arrows(axes, gene, start, end, middle, "white")
        self._draw_names(axes, gene, lane)

    def _draw_arrows(self, axes: Axes, gene: GeneModel, start: float, end: float, middle: float, color: str) -> None:
        """Draw arrow heads along the strand, as far apart in one piece as in another."""
        if gene.strand not in ("+", "-"):
            return
        every, half = _ARROWS_INCHES * self._scale, _ARROW_INCHES * self._scale
        direction = 1 if gene.strand == "+" else -1
        count = max(1, int((end - start) / every))
        if end - start < 4 * half:
            return
        for at in start + (np.arange(count) + 0.5) * (end - start) / count:
            xs = [at - direction * half, at + direction * half, at - direction * half]
            ys = [middle - 0.09, middle, middle + 0.09]
            axes.plot(xs, ys, color=color, linewidth=0.8, solid_joinstyle="miter", gid=f"strand {gene.strand}")

    def _draw_names(self, axes: Axes, gene: GeneModel, lane: int) -> None:
        at, height = float(max(gene.start, self._start)), lane + _NAMES_AT
        width = len(gene.name) * _CHARACTER_INCHES * self._scale
        for start, end in self._inside(gene.starts)[:1]:
            label = len(_START) * _CHARACTER_INCHES * self._scale
            first = min(max((start + end - label) / 2, self._start), self._end - label)
            axes.text(first, height, _START, ha="left", va="center", size=_NAME_POINTS, color=MODEL)
            if at < first + label and first < at + width:
                at = first + 1.2 * label
        at = max(self._start, min(at, self._end - width))
        axes.text(at, height, gene.name, ha="left", va="center", size=_NAME_POINTS, color=INK, style="italic")

    def _room(self, gene: GeneModel) -> Stretch:
        """Return what a gene takes of a lane: its boxes and its name."""
        start, end = max(gene.start, self._start), min(gene.end, self._end)
        characters = len(gene.name) + 1 + 2 * len(_START) * bool(self._inside(gene.starts))
        return start, max(end, start + round(characters * _CHARACTER_INCHES * self._scale))

    def _inside(self, stretches: Sequence[Stretch]) -> list[Stretch]:
        return [
            (max(start, self._start), min(end, self._end))
            for start, end in stretches
            if start < self._end and end > self._start
        ]
