"""Labelled sequences in tables: TSV and CSV, plain or gzip, and Parquet."""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from genomamba.alphabet import Alphabet
from genomamba.classify.labelled import Collector, Labelled
from genomamba.classify.labels import JOINT, Kind
from genomamba.data.source import DamagedSourceError, Source, open_input
from genomamba.errors import DataError, RunError
from genomamba.settings import did_you_mean

__all__ = ["TABLES", "Columns", "read_table"]

TABLES: Final = (".tsv", ".txt", ".csv", ".tsv.gz", ".txt.gz", ".csv.gz", ".parquet")

_BY_DEFAULT: Final = {
    "sequence": ("sequence", "seq"), "label": ("label", "class"), "split": ("split",), "group": ("group",),
    "weight": ("weight",), "name": ("name", "id"), "contig": ("contig", "chrom"),
}  # fmt: skip
_LONGEST_FIELD: Final = 2**31 - 1
_field_limit = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Names of columns, where a file has others than those looked for; several of labels hold 0 or 1 each."""

    sequence: str | None = None
    label: tuple[str, ...] = ()
    split: str | None = None
    group: str | None = None
    weight: str | None = None
    name: str | None = None
    contig: str | None = None


def read_table(
    path: Path,
    alphabet: Alphabet,
    columns: Columns | None = None,
    *,
    kind: Kind | None = None,
    labels_needed: bool = True,
) -> Labelled:
    """Read a table with one row a sequence.

    Parameters
    ----------
    path : Path
        A file with one of the endings in `TABLES`.
    alphabet : Alphabet
        Of the sequences.
    columns : Columns, optional
        Where one is not named, `sequence` or `seq`, `label` or `class`, `split`, `group`, `weight`, `name` or `id`, and
        `contig` or `chrom` are looked for; only the sequence and the label must be there.
    kind : {"single", "multi", "regression"}, optional
        See `genomamba.classify.labels.read_labels`.
    labels_needed : bool
        Whether a table without labels is refused.

    Raises
    ------
    DataError
        With the line: a row with more or fewer fields than the header, and whatever is wrong with one.
    RunError
        For Parquet, where pyarrow is not installed.
    """
    columns = columns or Columns()
    with _rows(path) as (header, rows):
        at = _places(path, header, columns, labels_needed)
        (sequence,), labels, flags = at.pop("sequence"), at.pop("label"), len(columns.label) > 1
        others = {name: place for name, (place,) in at.items()}
        collector = Collector(str(path), alphabet)
        for line, row in rows:
            if len(row) != len(header):
                raise DataError(f"{path}:{line}: {len(row)} fields, expected {len(header)}, as in the header")
            given: dict[str, Any] = {name: row[place] for name, place in others.items()}
            if labels:
                given["label"] = _flags(path, line, row, labels, header) if flags else row[labels[0]]
            collector.add(row[sequence], str(path), line, **given)
    return collector.finish("multi" if flags else kind, columns.label if flags else None)


def _places(path: Path, header: Sequence[str], columns: Columns, labels_needed: bool) -> dict[str, list[int]]:
    """Return which fields hold what; of what is absent there is none."""
    found: dict[str, list[int]] = {}
    for what, usual in _BY_DEFAULT.items():
        given = getattr(columns, what)
        asked = [given] if isinstance(given, str) else list(given or ())
        for name in asked:
            if name not in header:
                raise _no_column(path, header, f"{name!r}{did_you_mean(name, header) or _has(header)}")
        if not asked:
            asked = [name for name in usual if name in header][:1]
        if not asked and (what == "sequence" or (what == "label" and labels_needed)):
            raise _no_column(path, header, f"{what!r}{_has(header)}; name it by --{what}-column")
        if asked or what == "label":
            found[what] = [header.index(name) for name in asked]
    return found


def _no_column(path: Path, header: Sequence[str], name: str) -> DataError:
    """Return what says that a column is not there, or why: something else parts the columns than the ending says."""
    for separator in "\t,;| " if len(header) == 1 else "":
        if separator in header[0]:
            return DataError(
                f"{path}:1: its columns seem to be separated by {separator!r}; a .csv has commas there, a .tsv or .txt"
                " tabs; convert it, or rename it"
            )
    return DataError(f"{path}: no column {name}")


def _has(header: Sequence[str]) -> str:
    return f"; it has {', '.join(map(repr, header))}"


def _flags(path: Path, line: int, row: Sequence[str], places: Sequence[int], header: Sequence[str]) -> str:
    """Return the names of the columns that hold 1."""
    for place in places:
        if row[place] not in ("0", "1"):
            raise DataError(f"{path}:{line}: {header[place]} is {row[place]!r}; several label columns hold 0 or 1 each")
    return JOINT.join(header[place] for place in places if row[place] == "1")


@contextmanager
def _rows(path: Path) -> Iterator[tuple[list[str], Iterator[tuple[int, list[str]]]]]:
    """Give the header, and each row behind its number: the line it begins on, or in Parquet the row."""
    name = path.name.lower()
    if name.endswith(".parquet"):
        yield _parquet(path)
        return
    with Source(path) as source, _long_fields():
        text = io.TextIOWrapper(io.BufferedReader(_Blocks(source)), encoding="utf-8-sig", newline="")
        delimiter = "," if ".csv" in Path(name).suffixes else "\t"
        rows = _numbered(path, csv.reader(text, delimiter=delimiter, strict=True))
        _, header = next(rows, (0, None))
        if header is None:
            raise DataError(f"{path}: empty; the first line names the columns, such as sequence and label")
        header = [column.strip().removeprefix("#") for column in header]
        if twice := {column for column in header if header.count(column) > 1}:
            raise DataError(f"{path}:1: the columns {', '.join(sorted(twice))} are there twice; rename them")
        yield header, rows


def _numbered(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{path}:{line}: {error}; is a quotation mark left open?") from None
        except UnicodeDecodeError:
            raise DataError(f"{path}:{line}: is not UTF-8 text, here or soon after; save it as plain text") from None
        except DamagedSourceError as error:
            raise DataError(f"{path}:{line}: {error}; copy or download it again") from None
        if row is None:
            return
        # A blank line is no row.
        if row:
            yield line, row


class _Blocks(io.RawIOBase):
    """The bytes of a source as a file that can be read."""

    def __init__(self, source: Source) -> None:
        self._blocks = source.blocks()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._blocks, b"")
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let a field be as long as a sequence; csv keeps one limit for the whole process."""
    with _field_limit:
        before = csv.field_size_limit(_LONGEST_FIELD)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _parquet(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    if importlib.util.find_spec("pyarrow") is None:
        raise RunError(
            f"{path}: Parquet is read by pyarrow, which is not installed; pip install 'genomamba[tracks]',"
            " or give a table as text, such as .tsv.gz"
        )
    import pyarrow as pa
    import pyarrow.parquet as pq

    open_input(path).close()
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: is not Parquet ({' '.join(str(error).split())})") from None
    header = list(file.schema_arrow.names)
    return header, _parquet_rows(path, file, header)


def _parquet_rows(path: Path, file: Any, header: list[str]) -> Iterator[tuple[int, list[str]]]:
    numbers = itertools.count(1)
    for batch in file.iter_batches(batch_size=4096):
        columns: Mapping[str, list[Any]] = batch.to_pydict()
        for values in zip(*(columns[name] for name in header), strict=True):
            number = next(numbers)
            try:
                yield number, [_as_text(value) for value in values]
            except TypeError as error:
                raise DataError(f"{path}: row {number}: {error}") from None


def _as_text(value: Any) -> str:
    """Return a value of Parquet as a text table would hold it; nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, list | dict):
        raise TypeError("holds a list or a record in one column; keep one value in each")
    return str(value)
