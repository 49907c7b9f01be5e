"""BED: stretches of contigs, 0-based and half-open as in the file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.data.source import DamagedSourceError, Source
from genomamba.errors import DataError

__all__ = ["BedLine", "intersect", "merge", "read_bed", "read_intervals", "read_lines", "read_weighted", "subtract"]


@dataclass(frozen=True, slots=True)
class BedLine:
    """One line: its number from 1, its columns as text, the stretch that they name, and the columns' own names, if any.

    A comment of as many columns as the first stretch has, before it, names them.
    """

    number: int
    columns: list[str]
    interval: Interval
    header: list[str] | None


def read_bed(path: str | Path, genome: Genome) -> list[Interval]:
    """Read a BED file as `read_intervals` does; overlapping and touching stretches are joined."""
    return merge(read_intervals(path, genome))


def read_intervals(path: str | Path, genome: Genome) -> list[Interval]:
    """Read the first three columns of a BED file, plain or gzip, line by line.

    Raises
    ------
    DataError
        With the line: fewer than three columns, positions that are no numbers, empty or past the contig's
        end, a contig that is not there. Without one: a file without stretches.
    """
    return [line.interval for line in read_lines(path, genome)]


def read_weighted(path: str | Path, genome: Genome) -> dict[float, list[Interval]]:
    """Read a BED file whose fourth column may be a weight above 0, as in bedGraph: stretches by weight, each joined.

    Lines of three columns, and an empty fourth one or `.`, weigh 1. Raises as `read_intervals`, and `DataError` for
    another weight.
    """
    weighted: dict[float, list[Interval]] = {}
    for line in read_lines(path, genome):
        text = line.columns[3].strip() if len(line.columns) > 3 else ""
        try:
            weight = float(text) if text not in ("", ".") else 1.0
        except ValueError:
            weight = math.nan
        if not 0 < weight < math.inf:
            raise DataError(
                f"{path}:{line.number}: the fourth column is {text!r}, expected a weight above 0, or no fourth column"
            )
        weighted.setdefault(weight, []).append(line.interval)
    return {weight: merge(intervals) for weight, intervals in weighted.items()}


def subtract(intervals: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """Return what of some stretches lies in none of others, in the order of the stretches."""
    by_contig = _by_contig(others)
    left = []
    for interval in intervals:
        start = interval.start
        for other in by_contig.get(interval.contig, []):
            if other.end <= start or other.start >= interval.end:
                continue
            if other.start > start:
                left.append(Interval(interval.contig, start, other.start))
            start = other.end
        if start < interval.end:
            left.append(Interval(interval.contig, start, interval.end))
    return left


def intersect(intervals: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """Return what of some stretches lies in others, in the order of the stretches."""
    by_contig = _by_contig(others)
    return [
        Interval(interval.contig, max(interval.start, other.start), min(interval.end, other.end))
        for interval in intervals
        for other in by_contig.get(interval.contig, [])
        if interval.overlaps(other)
    ]


def _by_contig(intervals: Iterable[Interval]) -> dict[str, list[Interval]]:
    found: dict[str, list[Interval]] = {}
    for interval in merge(intervals):
        found.setdefault(interval.contig, []).append(interval)
    return found


def read_lines(path: str | Path, genome: Genome, *, absent: Counter[str] | None = None) -> Iterator[BedLine]:
    """Read a BED file with all its columns; raises as `read_intervals` does.

    Where `absent` is given, lines of contigs that the genome does not have are counted there and left out.
    """
    path = Path(path)
    comment: list[str] = []
    header: list[str] | None = None
    found = False
    try:
        with Source(path) as source:
            lines = b"".join(source.blocks()).decode("utf-8", "replace").split("\n")
    except DamagedSourceError as error:
        raise DataError(f"{path}:1: {error}; copy or download it again") from None
    for number, line in enumerate(lines, 1):
        columns = _columns(line)
        if line.startswith("#"):
            comment = [column.strip() for column in _columns(line.lstrip("# "))]
        elif line.strip() and not line.startswith(("track", "browser")):
            if not found:
                header = comment if len(comment) == len(columns) >= 4 else None
            found = True
            if absent is not None and genome.find(columns[0]) is None:
                absent[columns[0]] += 1
                continue
            yield BedLine(number, columns, _interval(columns, f"{path}:{number}", genome), header)
    if not found:
        raise DataError(f"{path}: no stretch in it; a line is a contig, a start and an end, divided by tabs")


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Sort by contig name and start, and join stretches that overlap or touch."""
    joined: list[Interval] = []
    for interval in sorted(intervals):
        last = joined[-1] if joined else None
        if last is not None and last.contig == interval.contig and interval.start <= last.end:
            joined[-1] = Interval(last.contig, last.start, max(last.end, interval.end))
        else:
            joined.append(interval)
    return joined


def _columns(line: str) -> list[str]:
    return line.rstrip("\r").split("\t") if "\t" in line else line.split()


def _interval(columns: list[str], where: str, genome: Genome) -> Interval:
    if len(columns) < 3:
        raise DataError(f"{where}: {len(columns)} columns, expected at least 3: contig, start, end")
    if not (columns[1].strip().isdecimal() and columns[2].strip().isdecimal()):
        raise DataError(f"{where}: {columns[1]!r} to {columns[2]!r}, expected two numbers, start and end")
    try:
        contig = genome.resolve(columns[0])
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    start, end, length = int(columns[1]), int(columns[2]), genome.length(contig)
    if not start < end <= length:
        raise DataError(f"{where}: [{start}, {end}) is not a stretch within {contig}, which has {length:,} bases")
    return Interval(contig, start, end)
