"""Intervals on a contig (0-based, half-open) and the region strings that people type (1-based, inclusive)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from genomamba.errors import ConfigError

__all__ = ["Interval", "parse_region"]

_REGION = re.compile(r"^(?P<contig>.+?)(?::(?P<start>\d[\d,]*)(?:-(?P<end>\d[\d,]*))?)?$")


@dataclass(frozen=True, order=True, slots=True)
class Interval:
    """A stretch of one contig: `start` inclusive, `end` exclusive, both 0-based."""

    contig: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"interval {self.contig} [{self.start}, {self.end}) is not 0 <= start <= end")

    def __len__(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        """Format as samtools does, 1-based and inclusive: `chr1:1,001-2,000`."""
        return f"{self.contig}:{self.start + 1:,}-{self.end:,}"

    def overlaps(self, other: Interval) -> bool:
        """Whether the two share a base."""
        return self.contig == other.contig and self.start < other.end and other.start < self.end


def parse_region(text: str, length: int | None = None) -> Interval:
    """Read `chr1`, `chr1:1,001` or `chr1:1,001-2,000` (1-based, inclusive, as in samtools).

    A contig whose own name ends like a region, such as `HLA-A*01:01`, has to be looked up before.

    Parameters
    ----------
    text : str
        The region; an end left out is the end of the contig.
    length : int, optional
        Length of the contig in bases, needed where the end is left out.

    Raises
    ------
    ConfigError
        Where the text is no region, starts before 1, or ends before it starts.
    """
    match = _REGION.match(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a region; write it as chr1:1,001-2,000")
    start = int(match["start"].replace(",", "")) if match["start"] else 1
    end = int(match["end"].replace(",", "")) if match["end"] else length
    if end is None:
        raise ConfigError(f"{text!r} has no end, and the length of {match['contig']} is not known")
    if not 1 <= start <= end:
        raise ConfigError(f"{text!r} must run from 1 or more to an end not before its start")
    return Interval(match["contig"], start - 1, end)
