"""Labelled sequences, wherever they came from: what each is, where it stood, and which part it belongs to."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import Alphabet
from genomamba.classify.labels import Kind, Labels, read_labels
from genomamba.classify.sequences import SequenceList, SequenceListBuilder, UInt8Array
from genomamba.errors import DataError

__all__ = ["SPLITS", "Categories", "Collector", "Labelled", "Split", "read_split"]

Split = Literal["train", "valid", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "valid", "test")
"""In the order of their codes. A sequence that two of them share is taken from the one that comes first."""

_SPLIT_NAMES: Final[dict[str, Split]] = {
    "train": "train", "training": "train",
    "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip

Int64Array = npt.NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Categories:
    """A name for each sequence, of few that repeat themselves.

    Attributes
    ----------
    names : tuple of str
    codes : (sequences,), int32
        Index of the name.
    """

    names: tuple[str, ...]
    codes: npt.NDArray[np.int32]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Categories:
        """Make them of a text a sequence; names in the order in which they come."""
        index: dict[str, int] = {}
        codes = np.fromiter((index.setdefault(text, len(index)) for text in texts), np.int32)
        return cls(tuple(index), codes)

    def select(self, rows: Int64Array) -> Categories:
        """Return those of some sequences."""
        return Categories(self.names, self.codes[rows])


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """Sequences and what is known of each.

    Attributes
    ----------
    origin : str
        The file or folder, for messages.
    sequences : SequenceList
    labels : Labels or None
        None where the data has none, which is enough to embed it.
    files : Categories
        File of each.
    lines : (sequences,), int64
        Its line there, from 1; in Parquet its row.
    names : tuple of str, or None
    splits : (sequences,), int8, or None
        Index into `SPLITS`.
    groups, contigs : Categories or None
        What must not be in two splits, and where it lies.
    weights : (sequences,), float32, or None
    """

    origin: str
    sequences: SequenceList
    labels: Labels | None
    files: Categories
    lines: Int64Array
    names: tuple[str, ...] | None = None
    splits: npt.NDArray[np.int8] | None = None
    groups: Categories | None = None
    contigs: Categories | None = None
    weights: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def where(self, row: int) -> str:
        """Return `file:line` of a sequence."""
        return _place(self.files.names[self.files.codes[row]], int(self.lines[row]))

    def name(self, row: int) -> str:
        """Return the name of a sequence; its line where it has none."""
        return self.names[row] if self.names is not None else f"line_{self.lines[row]}"

    def select(self, rows: Int64Array) -> Labelled:
        """Return some of the sequences, in the order given."""
        labels = self.labels
        if labels is not None:
            values = labels.values
            if labels.kind == "per-base":
                borders = self.sequences.borders
                pieces = [values[borders[row] : borders[row + 1]] for row in rows]
                chosen = np.concatenate(pieces) if pieces else values[:0]
            else:
                chosen = values[rows]
            labels = dataclasses.replace(labels, values=chosen)
        return dataclasses.replace(
            self,
            sequences=self.sequences.select(rows),
            labels=labels,
            files=self.files.select(rows),
            lines=self.lines[rows],
            names=None if self.names is None else tuple(self.names[row] for row in rows),
            splits=None if self.splits is None else self.splits[rows],
            groups=None if self.groups is None else self.groups.select(rows),
            contigs=None if self.contigs is None else self.contigs.select(rows),
            weights=None if self.weights is None else self.weights[rows],
        )


def read_split(text: str) -> Split:
    """Return which part of the data a name means. Raises `DataError` for any other."""
    if (split := _SPLIT_NAMES.get(text.strip().lower())) is None:
        raise DataError(f"the split is {text!r}; it must be train, valid or test")
    return split


class Collector:
    """Takes labelled sequences one by one, and tells of a bad one where it stands.

    Parameters
    ----------
    origin : str
        The file or folder.
    alphabet : Alphabet
        Of the sequences.
    """

    def __init__(self, origin: str, alphabet: Alphabet) -> None:
        self._origin = origin
        self._sequences = SequenceListBuilder(alphabet)
        self._files: list[str] = []
        self._lines: list[int] = []
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("label", "name", "split", "group", "contig", "weight")
        }

    def add(
        self,
        sequence: str | UInt8Array,
        file: str,
        line: int,
        *,
        label: str | None = None,
        name: str | None = None,
        split: str | None = None,
        group: str | None = None,
        contig: str | None = None,
        weight: str | None = None,
    ) -> None:
        """Add a sequence, as text or as symbols, and what stands beside it as text.

        Raises
        ------
        DataError
            With `file:line`, where it cannot be used.
        """
        try:
            if isinstance(sequence, str):
                self._sequences.add(sequence)
            else:
                self._sequences.add_symbols(sequence)
            given = {
                "label": None if label is None else sys.intern(label.strip()),
                "name": name,
                "split": None if split is None else read_split(split),
                "group": None if group is None else sys.intern(group),
                "contig": None if contig is None else sys.intern(contig),
                "weight": None if weight is None else _weight(weight),
            }
        except DataError as error:
            raise DataError(f"{_place(file, line)}: {error}") from None
        self._files.append(file)
        self._lines.append(line)
        for key, value in given.items():
            if value is not None:
                self._columns[key].append(value)

    def finish(
        self, kind: Kind | None = None, classes: Sequence[str] | None = None, labels: Labels | None = None
    ) -> Labelled:
        """Return all that was added.

        Parameters
        ----------
        kind, classes
            See `genomamba.classify.labels.read_labels`.
        labels : Labels, optional
            Where they did not come one by one.

        Raises
        ------
        DataError
            Where nothing was added, or a label cannot be read.
        """
        if not len(self._sequences):
            raise DataError(f"{self._origin}: no sequence in it")
        for key, column in self._columns.items():
            assert len(column) in (0, len(self._lines)), f"{key} of some sequences alone"
        files, lines = self._files, self._lines

        def where(row: int) -> str:
            return _place(files[row], lines[row])

        given = self._columns
        if given["label"]:
            labels = read_labels(given["label"], kind, where, classes)
        return Labelled(
            origin=self._origin,
            sequences=self._sequences.build(),
            labels=labels,
            files=Categories.of(files),
            lines=np.array(lines, np.int64),
            names=tuple(given["name"]) or None,
            splits=_or_none(given["split"], lambda some: np.array([SPLITS.index(split) for split in some], np.int8)),
            groups=_or_none(given["group"], Categories.of),
            contigs=_or_none(given["contig"], Categories.of),
            weights=_or_none(given["weight"], lambda some: np.array(some, np.float32)),
        )


def _or_none(column: list[Any], make: Callable[[list[Any]], T]) -> T | None:
    return make(column) if column else None


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise DataError(f"the weight is {text!r}; it must be a number, 0 or above")
    return weight


def _place(file: str, line: int) -> str:
    return f"{file}: row {line}" if Path(file).suffix.lower() == ".parquet" else f"{file}:{line}"
