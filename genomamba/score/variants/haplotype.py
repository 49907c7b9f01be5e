"""A contig along one of its strands, and what becomes of it where a variant stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genomamba.alphabet import TokenArray
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.score.reading import Strand

__all__ = ["Edit", "StrandOfContig", "haplotype"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A variant along one strand. Positions count from the first base read, in reading order.

    Attributes
    ----------
    start : int
        First base that is taken out.
    removed : int
        How many are.
    inserted : (bases,), int64
        Tokens that take their place.
    """

    start: int
    removed: int
    inserted: TokenArray

    @property
    def longer(self) -> int:
        """By how many bases the sequence grows."""
        return len(self.inserted) - self.removed


@dataclass(frozen=True, slots=True)
class StrandOfContig:
    """One contig, read left to right (+) or as its reverse complement (-)."""

    genome: Genome
    contig: str
    strand: Strand

    def __len__(self) -> int:
        return self.genome.length(self.contig)

    def tokens(self, start: int, end: int) -> TokenArray:
        """Return the tokens of [start, end) in reading order, (end - start,), int64."""
        alphabet = self.genome.alphabet
        if self.strand == "+":
            return alphabet.token_of_symbol[self.genome.fetch(self.contig, start, end)]
        length = len(self)
        symbols = self.genome.fetch(self.contig, length - end, length - start)
        return alphabet.reverse_complement(alphabet.token_of_symbol[symbols])

    def edit(self, variant: Variant) -> Edit:
        """Return a variant, which lies within the contig, as it is met along this strand."""
        inserted = self.genome.alphabet.encode(variant.alt)
        if self.strand == "+":
            return Edit(variant.start, len(variant.ref), inserted)
        inserted = self.genome.alphabet.reverse_complement(inserted)
        return Edit(len(self) - variant.end, len(variant.ref), inserted)


def haplotype(sequence: StrandOfContig, edit: Edit, start: int, count: int) -> TokenArray:
    """Return the tokens that stand from `start` on where the edit is made.

    Parameters
    ----------
    sequence : StrandOfContig
        What is edited.
    edit : Edit
        Lies within the sequence.
    start : int
        First base, not behind the edit's.
    count : int
        Tokens to return, at least those before the edit; fewer come where the sequence ends.
    """
    assert start <= edit.start <= start + count
    left = sequence.tokens(start, edit.start)
    rest = max(0, count - left.size - edit.inserted.size)
    after = edit.start + edit.removed
    right = sequence.tokens(after, min(after + rest, len(sequence)))
    return np.concatenate([left, edit.inserted, right])[:count]
