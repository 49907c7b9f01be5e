"""Stretches of a genome in the order in which a model reads them, and how they are cut for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.data.windows import tiles

__all__ = ["Reading", "Strand", "Window", "packs", "windows"]

Strand = Literal["+", "-"]
Float32Array = npt.NDArray[np.float32]
Piece = TypeVar("Piece", bound=Sized)


@dataclass(frozen=True, slots=True)
class Reading:
    """A stretch of one contig, read along one strand. Offsets count from the first base read, in reading order.

    Attributes
    ----------
    genome : Genome
        Where the bases come from.
    interval : Interval
        Bases to be scored.
    strand : {"+", "-"}
        +, left to right as in the file; -, the reverse complement.
    lead : int
        Bases read before the first scored one, as far as the contig has them.
    """

    genome: Genome
    interval: Interval
    strand: Strand = "+"
    lead: int = 0

    @property
    def scored(self) -> int:
        """Offset of the first scored base."""
        interval = self.interval
        reserve = interval.start if self.strand == "+" else self.genome.length(interval.contig) - interval.end
        return min(self.lead, reserve)

    def __len__(self) -> int:
        return self.scored + len(self.interval)

    def tokens(self, start: int, end: int) -> Tensor:
        """Return the tokens at offsets [start, end): (1, end - start), int64."""
        contig, alphabet = self.interval.contig, self.genome.alphabet
        if self.strand == "+":
            first = self.interval.start - self.scored
            tokens = alphabet.token_of_symbol[self.genome.fetch(contig, first + start, first + end)]
        else:
            first = self.interval.end + self.scored
            symbols = self.genome.fetch(contig, first - end, first - start)
            tokens = alphabet.reverse_complement(alphabet.token_of_symbol[symbols])
        return torch.from_numpy(np.ascontiguousarray(tokens))[None]

    def place(self, start: int, values: Float32Array) -> tuple[int, Float32Array]:
        """Return where values from offset `start` on lie in the contig (0-based), and the values left to right."""
        assert start >= self.scored
        done = start - self.scored
        if self.strand == "+":
            return self.interval.start + done, values
        return self.interval.end - done - values.size, values[::-1]


@dataclass(frozen=True, slots=True)
class Window:
    """Offsets [start, end) of a reading that a model sees by themselves; those from `scored` on are scored."""

    reading: Reading
    start: int
    end: int
    scored: int

    def __len__(self) -> int:
        return self.end - self.start


def windows(reading: Reading, context: int | None = None) -> Iterator[Window]:
    """Cut a reading into windows so that each of its scored bases is scored in one of them.

    Parameters
    ----------
    reading : Reading
        The bases; where there are none, there is no window.
    context : int, optional
        Longest window, in bases. Windows overlap by half, and each is scored where the one before it ended: a base is
        predicted from between half a context and a whole one. Default: one window for all.
    """
    if not len(reading.interval):
        return
    if context is None:
        yield Window(reading, 0, len(reading), reading.scored)
        return
    for tile in tiles(Interval(reading.interval.contig, 0, len(reading)), context, max(1, context // 2)):
        if tile.scored.end > reading.scored:
            yield Window(reading, tile.window.start, tile.window.end, max(tile.scored.start, reading.scored))


def packs(pieces: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    """Group pieces that follow each other; lengths in a group add up to `size` at most, and a longer piece is alone."""
    pack: list[Piece] = []
    taken = 0
    for piece in pieces:
        if pack and taken + len(piece) > size:
            yield pack
            pack, taken = [], 0
        pack.append(piece)
        taken += len(piece)
    if pack:
        yield pack
