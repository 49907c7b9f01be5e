"""Which sequences go through the model with the next pass."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from genomamba.score.variants.blocks import Allele, Block
from genomamba.score.variants.lanes import Lanes

__all__ = ["Schedule"]


class Schedule:
    """Blocks and the alleles in them, taken in passes by one thread or several.

    Alleles go first, those that have begun before the others, then the blocks that have begun, then new ones: no more
    lies in memory than keeps the lanes full.

    Parameters
    ----------
    lanes : Lanes
        The model.
    blocks : iterator of Block
        Asked for one when a lane is free.
    """

    def __init__(self, lanes: Lanes, blocks: Iterator[Block]) -> None:
        self._lanes, self._blocks = lanes, blocks
        self._lock = threading.Lock()
        self._ready: deque[Allele] = deque()
        # By age.
        self._begun: dict[int, Block] = {}
        self._count = self._running = 0

    def turns(self, count: int) -> bool:
        """Make so many passes, or fewer where nothing is left to do; say whether there may be more."""
        for _ in range(count):
            with self._lock:
                alleles, blocks = self._choose()
            if not alleles and not blocks:
                return self._running > 0
            self._lanes.advance([*alleles, *blocks.values()])
            with self._lock:
                self._put_back(alleles, blocks)
        return True

    def _choose(self) -> tuple[list[Allele], dict[int, Block]]:
        width = self._lanes.width
        while len(self._ready) + len(self._begun) < width and (block := next(self._blocks, None)) is not None:
            self._begun[self._count] = block
            self._count += 1
        alleles = [self._ready.popleft() for _ in range(min(width, len(self._ready)))]
        blocks = {age: self._begun.pop(age) for age in sorted(self._begun)[: width - len(alleles)]}
        for block in blocks.values():
            self._ready.extend(block.alleles())
        self._running += len(alleles) + len(blocks)
        return alleles, blocks

    def _put_back(self, alleles: list[Allele], blocks: dict[int, Block]) -> None:
        self._running -= len(alleles) + len(blocks)
        self._ready.extendleft(allele for allele in reversed(alleles) if not allele.is_read)
        self._begun |= {age: block for age, block in blocks.items() if not block.is_read}
        for block in dict.fromkeys([*(allele.block for allele in alleles if allele.is_read), *blocks.values()]):
            block.settle()
