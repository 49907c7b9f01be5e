"""Which sequences go through the model with the next pass."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from genomamba.score.variants.blocks import Allele, Block
from genomamba.score.variants.grid import PIECE, RUN_UP
from genomamba.score.variants.lanes import Lanes

__all__ = ["Schedule"]


class Schedule:
    """Blocks and the alleles in them, taken in passes by one thread or several.

    Alleles go first, those that have begun before the others, then the blocks that have begun, then new ones: no more
    lies in memory than keeps the lanes full. What comes before a block is read by itself.

    Parameters
    ----------
    lanes : Lanes
        The model.
    blocks : iterator of Block
        Asked for one when a lane is free.
    threads : int
        Threads that call `turns`.
    """

    def __init__(self, lanes: Lanes, blocks: Iterator[Block], threads: int = 1) -> None:
        self._lanes, self._blocks, self._threads = lanes, blocks, threads
        self._lock = threading.Lock()
        self._alleles: deque[Allele] = deque()
        # By age: those that have come to their variants, and those that are far from them.
        self._near: dict[int, Block] = {}
        self._far: dict[int, Block] = {}
        self._opened = self._running = 0

    def turns(self, count: int) -> bool:
        """Make so many passes, or fewer where nothing is left to do; say whether there may be more."""
        for _ in range(count):
            with self._lock:
                alleles, blocks, length = self._choose()
            if not alleles and not blocks:
                return self._running > 0
            self._lanes.advance([*alleles, *blocks.values()], length)
            with self._lock:
                self._put_back(alleles, blocks)
        return True

    def _choose(self) -> tuple[list[Allele], dict[int, Block], int]:
        """Return what goes through the model with the next pass, and how many tokens of each."""
        lanes = self._threads * self._lanes.width
        while not self._far and self._under_way() < lanes and (block := next(self._blocks, None)) is not None:
            self._keep(self._opened, block)
            self._opened += 1
        alleles: list[Allele] = []
        if self._far and self._under_way() < lanes:
            age = min(self._far)
            blocks, length = {age: self._far.pop(age)}, RUN_UP
        else:
            share = min(self._lanes.width, -(-self._under_way() // self._threads))
            alleles = [self._alleles.popleft() for _ in range(min(share, len(self._alleles)))]
            blocks = {age: self._near.pop(age) for age in sorted(self._near)[: share - len(alleles)]}
            length = PIECE
            for block in self._near.values():
                block.rest()
            for block in blocks.values():
                self._alleles.extend(block.alleles())
        self._running += len(alleles) + len(blocks)
        return alleles, blocks, length

    def _under_way(self) -> int:
        return len(self._alleles) + len(self._near) + self._running

    def _put_back(self, alleles: list[Allele], blocks: dict[int, Block]) -> None:
        self._running -= len(alleles) + len(blocks)
        self._alleles.extendleft(allele for allele in reversed(alleles) if not allele.is_read)
        for age, block in blocks.items():
            self._keep(age, block)
        for block in dict.fromkeys([*(allele.block for allele in alleles if allele.is_read), *blocks.values()]):
            block.settle()

    def _keep(self, age: int, block: Block) -> None:
        if not block.is_read:
            (self._far if block.is_far else self._near)[age] = block
