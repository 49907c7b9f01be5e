"""Places on a contig (0-based, half-open): intervals, variants, and the region strings that people type (1-based)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from genomamba.errors import ConfigError

__all__ = ["Interval", "Kind", "Variant", "parse_region"]

Kind = Literal["snv", "mnv", "insertion", "deletion", "complex", "none", "symbolic"]

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


@dataclass(frozen=True, slots=True)
class Variant:
    """One allele that takes the place of a stretch of one contig.

    Attributes
    ----------
    contig : str
        Name of the contig, as given.
    start : int
        First base of `ref`, 0-based. Not checked: a file may hold any number.
    ref, alt : str
        What stands there, and what takes its place, as given: letters of either case, empty where nothing does, or what
        VCF writes that is no sequence (`<DEL>`, `*`, `.`, breakends).
    """

    contig: str
    start: int
    ref: str
    alt: str

    @property
    def end(self) -> int:
        """Position behind the last base of `ref`, 0-based."""
        return self.start + len(self.ref)

    @property
    def is_sequence(self) -> bool:
        """Whether both alleles are letters alone, or empty."""
        return all(not allele or (allele.isascii() and allele.isalpha()) for allele in (self.ref, self.alt))

    @property
    def kind(self) -> Kind:
        """What it is once the bases that both alleles share are taken off; none where the alleles are the same."""
        if not self.is_sequence:
            return "symbolic"
        least = self.trimmed()
        removed, put = len(least.ref), len(least.alt)
        if removed == put:
            return "none" if not removed else "snv" if removed == 1 else "mnv"
        return "insertion" if not removed else "deletion" if not put else "complex"

    def trimmed(self) -> Variant:
        """Return it without the bases that both alleles end with, and of the rest without those they begin with.

        Case does not count. What is left may be empty on one side, which VCF does not allow, or on both.
        """
        if not self.is_sequence:
            return self
        ref, alt = self.ref.upper(), self.alt.upper()
        last = _shared(ref[::-1], alt[::-1])
        first = _shared(ref[: len(ref) - last], alt[: len(alt) - last])
        kept = slice(first, len(ref) - last), slice(first, len(alt) - last)
        return Variant(self.contig, self.start + first, self.ref[kept[0]], self.alt[kept[1]])

    def __str__(self) -> str:
        """Format 1-based: `chr1:1,001 A>G`."""
        return f"{self.contig}:{self.start + 1:,} {self.ref or '-'}>{self.alt or '-'}"


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


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
