"""Which bases train, validate and test, and how held-out stretches are cut for evaluation.

A set that is named, by contigs or by a BED file, is what was named. A set that is not named is drawn from all
other bases, as blocks: each contig is cut into blocks of one size (a hundredth of these bases, at least 256 and
at most a million), each block gets a hash of (seed, contig, block number), and the blocks with the lowest hashes
make up the share of validation, those that follow the share of the test, as near as whole blocks come and at
least one each. Where these are but ends of contigs, shorter than a block, whole blocks go before them. A share of 0
leaves the set empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from genomamba.coordinates import Interval
from genomamba.data.bed import merge, read_bed
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError

__all__ = ["Split", "Tile", "make_split", "tile", "tiles"]

_BLOCKS: Final = 100
_SMALLEST_BLOCK: Final = 256
_LARGEST_BLOCK: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Split:
    """Stretches of each set, in the order of the genome's contigs; no base is in two of them."""

    train: tuple[Interval, ...]
    valid: tuple[Interval, ...]
    test: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """A window to read, and the part of it whose bases are scored there."""

    window: Interval
    scored: Interval


def make_split(
    genome: Genome,
    *,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    valid_bed: str | Path | None = None,
    test_bed: str | Path | None = None,
    valid_share: float = 0.05,
    test_share: float = 0.05,
    block: int | None = None,
    seed: int = 0,
    may_be_whole: bool = False,
) -> Split:
    """Divide a genome's contigs; the module's text says how.

    Parameters
    ----------
    valid, test : sequence of str
        Contigs, as names or patterns.
    valid_bed, test_bed : str or Path, optional
        BED files; they add to the contigs named.
    valid_share, test_share : float
        Share of the bases, 0 to 1, of a set that is not named.
    block : int, optional
        Size of a block in bases. Default: see the module's text.
    seed : int
        Of the draw of blocks.
    may_be_whole : bool
        Let all be held out: others train.

    Raises
    ------
    DataError
        Where a contig is absent or a BED file malformed.
    ConfigError
        Where validation and test overlap, or nothing is left to train on.
    """
    named = {
        "valid": _named(genome, valid, valid_bed),
        "test": _named(genome, test, test_bed),
    }
    _check_apart(named["valid"], named["test"])
    shares = {
        "valid": 0.0 if named["valid"] else valid_share,
        "test": 0.0 if named["test"] else test_share,
    }
    if any(shares.values()):
        free = _complement(genome, merge(named["valid"] + named["test"]))
        for name, blocks in _draw(free, shares, block, seed).items():
            named[name] += blocks
    held = merge(named["valid"] + named["test"])
    train = _complement(genome, held)
    if not train and not may_be_whole:
        raise ConfigError("no base is left to train on; hold out less with --valid, --test and the like")
    order = {contig.name: i for i, contig in enumerate(genome.contigs)}
    sets = (train, merge(named["valid"]), merge(named["test"]))
    return Split(*(tuple(sorted(s, key=lambda x: (order[x.contig], x.start))) for s in sets))


def tile(intervals: Iterable[Interval], context: int, stride: int | None = None) -> list[Tile]:
    """Cut stretches into windows of at most `context` bases so that each base is scored once.

    The first window of a stretch is scored whole. Each next one starts `stride` bases further and is scored
    where the one before it ended, so that a stride below the context gives later bases at least context -
    stride bases to their left.

    Parameters
    ----------
    intervals : iterable of Interval
        Stretches to score.
    context : int
        Longest window, in bases.
    stride : int, optional
        From window to window, 1 to context. Default: context.

    Raises
    ------
    ValueError
        Where not 1 <= stride <= context.
    """
    stride = context if stride is None else stride
    if not 1 <= stride <= context:
        raise ValueError(f"stride {stride} is not within 1 and the context, {context}")
    return [t for interval in intervals for t in tiles(interval, context, stride)]


def tiles(interval: Interval, context: int, stride: int) -> Iterator[Tile]:
    """Give the windows that `tile` cuts one stretch into, one at a time."""
    start, scored = interval.start, interval.start
    while scored < interval.end:
        end = min(start + context, interval.end)
        yield Tile(Interval(interval.contig, start, end), Interval(interval.contig, scored, end))
        start, scored = start + stride, end


def _named(genome: Genome, contigs: Sequence[str], bed: str | Path | None) -> list[Interval]:
    names = [name for pattern in contigs for name in genome.match(pattern)]
    whole = [Interval(name, 0, genome.length(name)) for name in names]
    return merge(whole + (read_bed(bed, genome) if bed else []))


def _check_apart(valid: list[Interval], test: list[Interval]) -> None:
    for left, right in pairwise(sorted(valid + test)):
        if left.overlaps(right):
            raise ConfigError(f"validation and test overlap: {left} and {right}; a base can be in one of them only")


def _draw(free: list[Interval], shares: dict[str, float], block: int | None, seed: int) -> dict[str, list[Interval]]:
    total = sum(map(len, free))
    size = block or max(_SMALLEST_BLOCK, min(_LARGEST_BLOCK, total // _BLOCKS))
    ranked = sorted((_hash(seed, b.contig, b.start // size), b) for whole in free for b in _grid(whole, size))
    blocks = [b for _, b in ranked]
    drawn: dict[str, list[Interval]] = {}
    for name, share in shares.items():
        count = _count(blocks, share * total)
        if count and all(len(b) < size for b in blocks[:count]):
            blocks.sort(key=lambda b: len(b) < size)
            count = _count(blocks, share * total)
        drawn[name], blocks = blocks[:count], blocks[count:]
    if ranked and not blocks:
        raise ConfigError(
            f"{total:,} bases make {len(ranked)} blocks of {size:,}, too few to hold out "
            f"{shares['valid']:.0%} and {shares['test']:.0%} and train on the rest; "
            "name contigs with --valid and --test, or lower the shares"
        )
    return drawn


def _grid(whole: Interval, size: int) -> Iterator[Interval]:
    """Cut a stretch at the multiples of a size, counted from its contig's start."""
    start = whole.start
    while start < whole.end:
        end = min((start // size + 1) * size, whole.end)
        yield Interval(whole.contig, start, end)
        start = end


def _hash(seed: int, contig: str, number: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{contig}\0{number}".encode(), digest_size=8).digest()


def _count(blocks: list[Interval], wanted: float) -> int:
    """Return how many blocks from the front come nearest to a number of bases; 0 only where it is 0."""
    if wanted <= 0:
        return 0
    bases = 0
    for count, b in enumerate(blocks, 1):
        if bases + len(b) / 2 > wanted:
            return max(1, count - 1)
        bases += len(b)
    return len(blocks)


def _complement(genome: Genome, held: list[Interval]) -> list[Interval]:
    by_contig: dict[str, list[Interval]] = {}
    for interval in held:
        by_contig.setdefault(interval.contig, []).append(interval)
    free = []
    for contig in genome.contigs:
        start = 0
        for interval in by_contig.get(contig.name, []):
            if interval.start > start:
                free.append(Interval(contig.name, start, interval.start))
            start = interval.end
        if start < contig.length:
            free.append(Interval(contig.name, start, contig.length))
    return free
