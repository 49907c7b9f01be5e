"""Sequences of one part of the data that another part has too: the same, on either strand, or nearly the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import SOFTMASK_BIT
from genomamba.classify.labelled import SPLITS, Labelled
from genomamba.classify.sequences import SequenceList, complement_table
from genomamba.classify.sketch import choose_k, find_near
from genomamba.errors import ConfigError
from genomamba.files import atomic_file

__all__ = ["Leaks", "drop_leaks", "find_leaks", "write_leaks"]

LeakKind = Literal["same", "reverse_complement", "near"]
KINDS: Final[tuple[LeakKind, ...]] = ("same", "reverse_complement", "near")
SAME, OTHER_STRAND, NEAR = range(len(KINDS))

_EXAMPLES: Final = 3
_DIGEST_BYTES: Final = 16

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaks:
    """What two parts share: one entry for each sequence and other part, with the first like it there.

    Attributes
    ----------
    parts : tuple of str
        Names of the parts.
    part : (sequences,), int8
        Part of each sequence.
    row, other : (leaks,), int64
        The sequence, and the one like it.
    kind : (leaks,), int8
        Index into same, reverse_complement, near.
    likeness : (leaks,), float64
        Jaccard index of their canonical k-mers; 1 where they are the same.
    k : int
        Length of the k-mers.
    least : float
        From which likeness on sequences are near.
    """

    parts: tuple[str, ...]
    part: npt.NDArray[np.int8]
    row: Int64Array
    other: Int64Array
    kind: npt.NDArray[np.int8]
    likeness: npt.NDArray[np.float64]
    k: int
    least: float

    def count(self, part: str, other: str, *, near: bool = False) -> int:
        """Return how many sequences of a part are in another, too: the same on either strand, or (alone) nearly."""
        chosen = self.part[self.row] == self.parts.index(part)
        chosen &= self.part[self.other] == self.parts.index(other)
        return int((chosen & ((self.kind == NEAR) == near)).sum())

    def in_words(self, data: Labelled) -> list[str]:
        """Return lines that say what was found, with examples: rows of the data that was looked through."""
        told = self._told()
        told = told[np.argsort(np.minimum(self.row, self.other)[told], kind="stable")]
        lines = [f"{data.origin}: {line}" for line in self.counts_in_words()]
        for place in told[np.unique(self.kind[told], return_index=True)[1][:_EXAMPLES]].tolist():
            pair = sorted((int(self.row[place]), int(self.other[place])))
            kind = KINDS[self.kind[place]].replace("_", " ")
            first, second = (data.where(one) if data.names is None else data.name(one) for one in pair)
            lines.append(f"  for example {first} and {second}: {kind}, {self.likeness[place]:.2f}")
        return lines

    def _told(self) -> Int64Array:
        """What train has of test is what test has of train: the later part is the one that is told."""
        return np.flatnonzero(self.part[self.row] > self.part[self.other])

    def counts_in_words(self) -> list[str]:
        """Return a line for each two parts that share something, or the one that none do."""
        rule = f"nearly the same: half or more of their {self.k}-mers" if self.least == 0.5 else (
            f"nearly the same: {self.least:g} or more of their {self.k}-mers, Jaccard"
        )  # fmt: skip
        if not self._told().size:
            return [f"no sequence is in two parts, the same on either strand or {rule}"]
        lines = []
        for one, name in enumerate(self.parts):
            for other in self.parts[:one]:
                same, near = self.count(name, other), self.count(name, other, near=True)
                if same or near:
                    total = int((self.part == one).sum())
                    lines.append(
                        f"of {total:,} sequences of {name}, {same:,} are in {other} too, on either strand, and"
                        f" {near:,} more {rule}"
                    )
        return lines


def find_leaks(
    data: Labelled, least: float = 0.5, *, part: npt.NDArray[np.int8] | None = None, parts: Sequence[str] = SPLITS
) -> Leaks:
    """Look for sequences that two parts share.

    Parameters
    ----------
    data : Labelled
        With its splits, where `part` is not given.
    least : float
        Likeness from which on two sequences are nearly the same; see `genomamba.classify.sketch`.
    part : (sequences,), int8, optional
        Index into `parts`, such as folds.
    parts : sequence of str
        Their names.

    Raises
    ------
    ConfigError
        Where `least` is not above 0 and at most 1.
    """
    if not 0 < least <= 1:
        raise ConfigError(f"--near is {least}; it must be above 0, and 1 at most")
    if part is None:
        assert data.splits is not None, "the data has no parts yet"
        part = data.splits
    same_as, strand = _classes(data.sequences)
    count = int(same_as.max()) + 1
    # For each class and part its first sequence.
    first = np.full((count, len(parts)), -1, np.int64)
    for number in range(len(parts)):
        rows = np.flatnonzero(part == number)[::-1]
        first[same_as[rows], number] = rows
    found = [_exact(number, part, same_as, strand, first) for number in range(len(parts))]
    k = choose_k(data.sequences.lengths)
    found += _near(data.sequences, part, len(parts), same_as, first, k, least)
    row, other, kind, likeness = (np.concatenate(columns) for columns in zip(*found, strict=True))
    order = np.lexsort((other, row))
    return Leaks(
        parts=tuple(parts), part=part, row=row[order], other=other[order], kind=kind[order].astype(np.int8),
        likeness=likeness[order], k=k, least=least,
    )  # fmt: skip


def drop_leaks(data: Labelled, leaks: Leaks) -> tuple[Labelled, Int64Array]:
    """Leave out what is in a part that comes later, too: of train and of valid. What tests stays as it is.

    Returns
    -------
    data : Labelled
        What is left.
    dropped : (sequences,), int64
        Rows of what is left out.
    """
    part = leaks.part[leaks.row]
    earlier = (part < leaks.part[leaks.other]) & (part < SPLITS.index("test"))
    dropped = np.unique(leaks.row[earlier])
    kept = np.ones(len(data), np.bool_)
    kept[dropped] = False
    return data.select(np.flatnonzero(kept)), dropped


def write_leaks(path: Path, data: Labelled, leaks: Leaks) -> None:
    """Write a line a leak, TSV: both sequences with part, place and name, what they share, and whether labels agree."""
    labels = data.labels if data.labels is not None and data.labels.kind != "per-base" else None
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write("split\tplace\tname\tother_split\tother_place\tother_name\tkind\tlikeness\tsame_label\n")
        columns = (leaks.row, leaks.other, leaks.kind, leaks.likeness)
        for row, other, kind, likeness in zip(*(column.tolist() for column in columns), strict=True):
            agree = "" if labels is None else str(bool(np.all(labels.values[row] == labels.values[other]))).lower()
            ends = [(leaks.parts[leaks.part[one]], data.where(one), data.name(one)) for one in (row, other)]
            file.write("\t".join((*ends[0], *ends[1], KINDS[kind], f"{likeness:.4f}", agree)) + "\n")


def _classes(sequences: SequenceList) -> tuple[Int64Array, npt.NDArray[np.bool_]]:
    """Number sequences so that those that are the same on either strand share a number, and tell their strands."""
    complement = None
    if sequences.alphabet.has_complement:
        complement = complement_table(sequences.alphabet).tobytes()
    plain = (np.arange(256) & ~SOFTMASK_BIT).astype(np.uint8).tobytes() if complement else bytes(range(256))
    index: dict[bytes, int] = {}
    same_as = np.empty(len(sequences), np.int64)
    strand = np.zeros(len(sequences), np.bool_)
    for row in range(len(sequences)):
        given = sequences[row].tobytes().translate(plain)
        if complement is not None and (other := given[::-1].translate(complement)) < given:
            given, strand[row] = other, True
        key = hashlib.blake2b(given, digest_size=_DIGEST_BYTES).digest()
        same_as[row] = index.setdefault(key, len(index))
    return same_as, strand


_Found = tuple[Int64Array, Int64Array, npt.NDArray[np.int8], npt.NDArray[np.float64]]


def _exact(
    number: int, part: npt.NDArray[np.int8], same_as: Int64Array, strand: npt.NDArray[np.bool_], first: Int64Array
) -> _Found:
    """Return the sequences of other parts that one part has, too."""
    rows = np.flatnonzero((part != number) & (first[same_as, number] >= 0))
    others = first[same_as[rows], number]
    kinds = np.where(strand[rows] == strand[others], SAME, OTHER_STRAND).astype(np.int8)
    return rows, others, kinds, np.ones(rows.size)


def _near(
    sequences: SequenceList, part: npt.NDArray[np.int8], parts: int, same_as: Int64Array, first: Int64Array, k: int,
    least: float,
) -> list[_Found]:  # fmt: skip
    """Return the sequences that are in no other part, or not in that one, but nearly."""
    # One sequence stands for those of its part that are the same.
    rows = np.unique(first[first >= 0])
    twin = np.full((rows.size, parts), -1, np.int64)
    likeness = np.zeros((rows.size, parts))
    of = part[rows]

    # What is the same in another part needs no other one.
    in_part = first[same_as[rows]] >= 0
    twin[in_part] = rows.size
    find_near(sequences, rows, of, k, least, twin, likeness)
    place_of = np.full(len(sequences), -1, np.int64)
    place_of[rows] = np.arange(rows.size)
    representative = place_of[first[same_as, part]]
    found: list[_Found] = []
    for number in range(parts):
        nearest = twin[representative, number]
        chosen = np.flatnonzero((nearest >= 0) & (nearest < rows.size) & (part != number))
        kinds = np.full(chosen.size, NEAR, np.int8)
        found.append((chosen, rows[nearest[chosen]], kinds, likeness[representative[chosen], number]))
    return found
