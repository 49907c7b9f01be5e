"""Where the sequence begins that a variant is scored in: a grid on the contig that knows nothing of other variants.

Along a strand, positions are cut into blocks of half the context. The sequence of a block begins one block earlier, so
that a variant has between half a context and a whole one to its left, or all there is. Before the block it is read in
pieces of `RUN_UP` bases as far as they go, then in pieces of `PIECE`; what an allele changes is read from the border of
a piece on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["PIECE", "RUN_UP", "Grid"]

PIECE: Final = 64
"""Bases of a piece: what the CPU kernels walk at a time. A variant's sequence is read again from up to so many before
it."""
RUN_UP: Final = 64 * PIECE
"""Bases read at once where no variant of the block can lie."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Blocks of one strand of a contig. Positions count from the strand's first base.

    Attributes
    ----------
    context : int, optional
        Most bases to the left of a variant, even. None: all there are, in one block.
    """

    context: int | None

    def block(self, position: int) -> int:
        """Return the number of the block that a position lies in."""
        return 0 if self.context is None else position // (self.context // 2)

    def start(self, block: int) -> int:
        """Return the first position of a block."""
        return 0 if self.context is None else block * (self.context // 2)

    def first(self, block: int) -> int:
        """Return the first base of the sequence in which variants of a block are scored."""
        return self.start(max(0, block - 1))
