"""Variants of one contig as they come, and the blocks that they make."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.errors import DataError
from genomamba.score.reading import Strand
from genomamba.score.variants.blocks import Block, Site
from genomamba.score.variants.grid import Grid
from genomamba.score.variants.haplotype import StrandOfContig
from genomamba.score.variants.lanes import Lanes
from genomamba.score.variants.settings import CausalScore, CausalSettings
from genomamba.score.variants.spool import Spool
from genomamba.score.variants.status import Status, status_of

__all__ = ["Record", "Source"]


@dataclass(slots=True, eq=False)
class Record:
    """A variant whose score is on its way."""

    variant: Variant
    status: Status
    strands: int
    awaited: int
    llr: float = 0.0
    corrected: float = 0.0

    def add(self, llr: float, corrected: float) -> None:
        self.llr, self.corrected, self.awaited = self.llr + llr, self.corrected + corrected, self.awaited - 1

    def score(self) -> CausalScore:
        if not self.strands:
            return CausalScore(self.variant, self.status, math.nan, math.nan)
        return CausalScore(self.variant, self.status, self.llr / self.strands, self.corrected / self.strands)


class Source:
    """Variants, taken as blocks are asked for.

    Attributes
    ----------
    records : deque of Record
        Of the variants taken, in their order.
    """

    def __init__(
        self, lanes: Lanes, genome: Genome, contig: str, variants: Iterable[Variant], settings: CausalSettings
    ) -> None:
        self.records: deque[Record] = deque()
        self.lanes, self.settings = lanes, settings
        self._genome, self._contig, self._variants = genome, contig, variants
        self._grid, self._length = Grid(settings.context), genome.length(contig)
        self._sequences = {strand: StrandOfContig(genome, contig, strand) for strand in settings.strands}
        # Sites by block, of the blocks that more variants may lie in.
        self._open: dict[Strand, dict[int, list[Site]]] = {strand: {} for strand in settings.strands}

    def blocks(self) -> Iterator[Block]:
        """Give blocks when all their variants are there; where there is one alone, give that at once."""
        if self.settings.context is None:
            (strand,) = self.settings.strands
            yield self.block(strand, 0, (self._site(strand, one) for one in self._noted() if one.awaited))
            return
        for record in self._noted():
            yield from self._closed(record.variant.start)
            for strand in self.settings.strands[: record.strands]:
                site = self._site(strand, record)
                self._open[strand].setdefault(self._grid.block(site.edit.start), []).append(site)
        yield from self._closed(None)

    def block(self, strand: Strand, number: int, sites: Iterator[Site]) -> Block:
        """Make a block of variants by ascending start along its strand."""
        alphabet, state = self.lanes.alphabet, self.lanes.start()
        first, start = self._grid.first(number), self._grid.start(number)
        return Block(self._sequences[strand], first, start, sites, state, alphabet.bos, alphabet.unknown)

    def taken(self) -> Iterator[Record]:
        """Give the variants with their statuses.

        Raises
        ------
        DataError
            Where a variant starts before the one before it.
        """
        last: int | None = None
        settings = self.settings
        for variant in self._variants:
            if last is not None and variant.start < last:
                raise DataError(f"{variant}: stands behind a variant at {last + 1:,}; sort variants by their positions")
            last = variant.start
            status = status_of(variant, self._genome, self._contig, settings.longest, settings.strands)
            count = len(settings.strands) if self.is_scored(status) else 0
            yield Record(variant, status, count, count)

    def is_scored(self, status: Status) -> bool:
        """Whether variants of a status are scored."""
        return status is Status.OK or (status is Status.REF_MISMATCH and self.settings.keep_mismatches)

    def spooled(self, spool: Spool, strand: Strand) -> Iterator[Site]:
        """Give the sites of variants that were spooled, by ascending start along a strand."""
        order = range(len(spool)) if strand == "+" else range(len(spool) - 1, -1, -1)
        # Along the minus strand it is their ends that count, which may come in another order than their starts.
        waiting: list[tuple[int, int, Site]] = []
        for number in order:
            variant, status = spool.read(number)
            if not self.is_scored(status):
                continue
            edit = self._sequences[strand].edit(variant)
            site = Site.of(edit, self._length, self.settings.horizon, partial(spool.add, number))
            earliest = edit.start if strand == "+" else self._length - variant.start - self.settings.longest
            while waiting and waiting[0][0] <= earliest:
                yield heapq.heappop(waiting)[2]
            heapq.heappush(waiting, (edit.start, number, site))
        while waiting:
            yield heapq.heappop(waiting)[2]

    def _noted(self) -> Iterator[Record]:
        for record in self.taken():
            self.records.append(record)
            yield record

    def _site(self, strand: Strand, record: Record) -> Site:
        edit = self._sequences[strand].edit(record.variant)
        return Site.of(edit, self._length, self.settings.horizon, record.add)

    def _closed(self, start: int | None) -> Iterator[Block]:
        """Give the blocks that no variant from `start` on can lie in, or where there is none any more, all."""
        for strand, blocks in self._open.items():
            for number in list(blocks):
                if start is None or self._is_closed(strand, number, start):
                    sites = sorted(blocks.pop(number), key=lambda site: site.edit.start)
                    yield self.block(strand, number, iter(sites))

    def _is_closed(self, strand: Strand, number: int, start: int) -> bool:
        end = self._grid.start(number + 1)
        # Along the minus strand, the block ends where the one before it begins on the plus strand.
        return start >= end if strand == "+" else start > self._length - self._grid.start(number)
