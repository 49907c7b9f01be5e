"""A block of the grid and its variants: the reference is read once, each allele from the border before it on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from genomamba.alphabet import TokenArray
from genomamba.model.state import MambaState
from genomamba.score.variants.grid import PIECE, RUN_UP
from genomamba.score.variants.haplotype import Edit, StrandOfContig, haplotype
from genomamba.score.variants.lanes import Float64Array

__all__ = ["Allele", "Block", "Site"]

_FETCHED: Final = RUN_UP


@dataclass(slots=True, eq=False)
class Site:
    """A variant in its block: what is compared, and who is told.

    Attributes
    ----------
    edit : Edit
        The variant along the block's strand.
    equal : int
        Bases from the edit's start on that are compared one by one in both haplotypes.
    reference : int
        Bases of the reference from the edit's start on that the length-corrected form takes; of the other haplotype it
        takes `edit.longer` more, to the same base of the reference.
    report : callable
        Is given both scores, in nats.
    """

    edit: Edit
    equal: int
    reference: int
    report: Callable[[float, float], None]
    terms: Float64Array | None = None
    """Of the alternative haplotype, from the edit's start on, once they are there."""

    @classmethod
    def of(cls, edit: Edit, length: int, horizon: int, report: Callable[[float, float], None]) -> Site:
        """Make one in a sequence of so many bases."""
        left = length - edit.start
        equal = min(horizon, left, left + edit.longer)
        return cls(edit, equal, min(horizon - max(edit.longer, 0), left), report)

    @property
    def end(self) -> int:
        """Position behind the last base of the reference that is compared."""
        return self.edit.start + max(self.equal, self.reference)

    @property
    def alternative(self) -> int:
        """Bases of the alternative haplotype that are compared."""
        return max(self.equal, self.reference + self.edit.longer)

    def settle(self, reference: Float64Array) -> None:
        """Compare the terms of both haplotypes, and report."""
        assert self.terms is not None
        reference, alternative = np.nan_to_num(reference), np.nan_to_num(self.terms)
        llr = float((alternative[: self.equal] - reference[: self.equal]).sum())
        if not self.edit.longer:
            self.report(llr, llr)
            return
        longer, count = self.edit.longer, self.reference
        total = float(reference[:count].sum())
        self.report(llr, float(alternative[: count + longer].sum()) - total - longer * total / count)


class Block:
    """The reference from the first base of a block's sequence on, read as far as its variants need it.

    Parameters
    ----------
    sequence : StrandOfContig
        What is read.
    first, start : int
        First base that is read, behind [BOS], and first base of the block.
    sites : iterator of Site
        Variants of the block, in the order of their starts; taken as they are met.
    state : MambaState
        Before the first token.
    bos, filler : int
        Tokens before the first base and behind the last one.
    """

    def __init__(
        self,
        sequence: StrandOfContig,
        first: int,
        start: int,
        sites: Iterator[Site],
        state: MambaState,
        bos: int,
        filler: int,
    ) -> None:
        self.state, self.before, self.at, self._start = state, bos, first, start
        self._sequence, self._sites, self._filler = sequence, sites, filler
        self._next = next(sites, None)
        self._open: deque[Site] = deque()
        self._wanted = first
        self._arrived: deque[Float64Array] = deque()
        # Terms of the reference from `_from` on, no more than open sites need.
        self._from, self._terms = first, np.empty(0)
        self._fetched, self._tokens = first, np.empty(0, np.int64)

    @property
    def is_far(self) -> bool:
        """Whether so many bases come before the block that they are read at once, and by themselves."""
        return self.at + RUN_UP <= self._start

    @property
    def is_read(self) -> bool:
        """Whether no more of the reference is needed."""
        return self._next is None and self.at >= self._wanted

    def alleles(self) -> list[Allele]:
        """Return what begins in the coming piece; they start from the present state."""
        met = []
        while self._next is not None and self._next.edit.start < self.at + PIECE:
            site, self._next = self._next, next(self._sites, None)
            assert self.at <= site.edit.start
            self._wanted = max(self._wanted, site.end)
            self._open.append(site)
            met.append(site)
        if not met:
            return []
        self.rest()
        return [Allele(self, site, self.at, self.state, self.before, self._sequence, self._filler) for site in met]

    def rest(self) -> None:
        """Let go of the states of others that went through the last pass, which the state is a part of."""
        if self.state.scan.untyped_storage().nbytes() > self.state.scan.nbytes:
            self.state = MambaState.stack([self.state])

    def targets(self, count: int) -> TokenArray:
        """Return the coming tokens of the reference."""
        end = self.at + count
        if end > self._fetched + self._tokens.size:
            read = self._sequence.tokens(self.at, min(self.at + _FETCHED, len(self._sequence)))
            self._fetched, self._tokens = self.at, np.append(read, np.full(-read.size % count, self._filler))
        return self._tokens[self.at - self._fetched : end - self._fetched]

    def wants_terms(self, count: int) -> bool:
        """Whether the coming piece is compared with that of an allele."""
        return self.at < self._wanted

    def take(self, count: int, terms: Float64Array | None) -> None:
        """Note the terms of a piece; they are looked at by `settle`."""
        self._arrived.append(np.full(count, np.nan) if terms is None else terms)
        self.at += count

    def settle(self) -> None:
        """Report the variants whose terms are all there."""
        while self._arrived:
            self._terms = np.append(self._terms, self._arrived.popleft())
        while self._open and self._open[0].terms is not None and self._open[0].end <= self._from + self._terms.size:
            site = self._open.popleft()
            site.settle(self._terms[site.edit.start - self._from : site.end - self._from])
        kept_from = self._open[0].edit.start if self._open else self.at
        drop = min(self._terms.size, max(0, kept_from - self._from))
        self._from, self._terms = self._from + drop, self._terms[drop:]


@dataclass(slots=True, eq=False)
class Allele:
    """The alternative haplotype from the border before a variant on."""

    block: Block
    site: Site
    first: int
    state: MambaState
    before: int
    sequence: StrandOfContig
    filler: int
    at: int = 0
    tokens: TokenArray = field(default_factory=lambda: np.empty(0, np.int64))
    terms: list[Float64Array] = field(default_factory=list)

    @property
    def lead(self) -> int:
        """Bases before the variant that are read again."""
        return self.site.edit.start - self.first

    @property
    def is_read(self) -> bool:
        """Whether all its terms are there."""
        return self.at >= self.lead + self.site.alternative

    def targets(self, count: int) -> TokenArray:
        """Return the coming tokens of the haplotype."""
        if not self.tokens.size:
            needed = self.lead + self.site.alternative
            read = haplotype(self.sequence, self.site.edit, self.first, needed)
            self.tokens = np.append(read, np.full(-needed % count, self.filler))
        return self.tokens[self.at : self.at + count]

    def wants_terms(self, count: int) -> bool:
        """Whether a base from the variant on comes."""
        return self.at + count > self.lead

    def take(self, count: int, terms: Float64Array | None) -> None:
        """Keep the terms of a piece."""
        assert terms is not None
        self.terms.append(terms)
        self.at += count
        if self.is_read:
            self.site.terms = np.concatenate(self.terms)[self.lead : self.lead + self.site.alternative]
