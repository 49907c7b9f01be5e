"""Samples drawn from several streams by fixed shares: which, and which sample of it, is a pure function of (seed, i).

The numbers are cut into blocks of 65,536. In each block every stream has as many places as its share asks for, one at
least, in an order of the block's own. A stream's places are numbered through all blocks, and the number is that of its
sample: so every stream is read in its own order, each of its samples once, whatever stands beside it.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from genomamba.data.draws import derive_key, mix, permute
from genomamba.data.stream import Sample, Stream
from genomamba.errors import ConfigError

__all__ = ["MixedStream", "Part", "places"]

BLOCK: Final = 65_536
UNNAMED: Final = 10
"""One sample in so many is read without the token of its species."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stream of the mixture.

    Attributes
    ----------
    stream : Stream
    share : float
        Of the windows, above 0; those of all parts need not add up to 1.
    species : int or None
        Token that nine of ten samples are read with.
    """

    stream: Stream
    share: float
    species: int | None = None


class MixedStream:
    """Samples by number, without end; the module's text says which.

    Parameters
    ----------
    parts : sequence of Part
        At most 1,024.
    seed : int
        Of the order within blocks, and of which samples are read without a species.
    """

    def __init__(self, parts: Sequence[Part], *, seed: int) -> None:
        self._parts = tuple(parts)
        self._ends = list(accumulate(places([part.share for part in parts])))
        self._order, self._unnamed = derive_key(seed, "mixture"), derive_key(seed, "unnamed")

    def __getitem__(self, index: int) -> Sample:
        """Return sample `index`."""
        number, own = self.place(index)
        part = self._parts[number]
        is_unnamed = mix(self._unnamed + index) % UNNAMED == 0
        return dataclasses.replace(part.stream[own], index=index, species=None if is_unnamed else part.species)

    def place(self, index: int) -> tuple[int, int]:
        """Return the number of the stream that a sample is of, and its number there."""
        block, position = divmod(index, BLOCK)
        place = permute(position, BLOCK, mix(self._order ^ mix(block)))
        number = bisect_right(self._ends, place)
        start = self._ends[number - 1] if number else 0
        return number, block * (self._ends[number] - start) + place - start


def places(shares: Sequence[float]) -> list[int]:
    """Return how many places of a block each share has: one at least, all together a block, the nearest such numbers.

    Raises
    ------
    ConfigError
        For more than 1,024 shares.
    """
    if len(shares) > 1_024:
        raise ConfigError(f"{len(shares):,} parts are mixed, and at most 1,024 can be; give fewer genomes or weights")
    total = sum(shares)
    wanted = [share / total * BLOCK for share in shares]
    counts = [max(1, int(one)) for one in wanted]
    # What rounding down left goes to those that lost most by it; what the least ones took, from the largest.
    for number in sorted(range(len(shares)), key=lambda k: counts[k] - wanted[k])[: max(0, BLOCK - sum(counts))]:
        counts[number] += 1
    while (excess := sum(counts) - BLOCK) > 0:
        counts[counts.index(max(counts))] -= excess
    return counts
