"""bigWig files, written piece by piece in memory that does not grow with the length of a contig.

Values lie in compressed blocks, found through a tree. So do summaries, which a browser shows from afar: over 64 bases,
and over four times as many at each further level. They are kept in temporary files until the values end.

References
----------
Kent et al. 2010, "BigWig and BigBed", Bioinformatics 26:2204, supplementary tables.
"""

from __future__ import annotations

import itertools
import math
import mmap
import struct
import tempfile
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.errors import DataError

__all__ = ["LONGEST", "BigWigReader", "BigWigWriter"]

Float32Array = npt.NDArray[np.float32]
Rows = npt.NDArray[np.void]

LONGEST: Final = 2**32 - 1
"""Bases of the longest contig that the format has room for."""

_VALUES_A_BLOCK, _SUMMARIES_A_BLOCK, _CHILDREN = 4_096, 512, 256
_FIRST_ZOOM, _ZOOM_STEP, _ZOOMS = 64, 4, 8
_SUMMARIES_AT_ONCE: Final = 1 << 15

_HEADER: Final = struct.Struct("<IHHQQQHHQQIQ")
_ZOOM_HEADER: Final = struct.Struct("<IIQQ")
_TOTAL: Final = struct.Struct("<Qdddd")
_BLOCK: Final = struct.Struct("<IIIIIBBH")
_NAMES_HEADER: Final = struct.Struct("<IIIIQQ")
_INDEX_HEADER: Final = struct.Struct("<IIQIIIIQII")
_MAGIC, _NAMES_MAGIC, _INDEX_MAGIC = 0x888FFC26, 0x78CA8C91, 0x2468ACE0
_VERSION, _FIXED_STEP = 4, 3

_BOUNDS: Final = [(name, "<u4") for name in ("contig", "start", "end_contig", "end")]
_COLUMNS: Final = ("contig", "start", "end_contig", "end", "offset", "size")
_LEAF: Final = np.dtype([*_BOUNDS, ("offset", "<u8"), ("size", "<u8")])
_BRANCH: Final = np.dtype([*_BOUNDS, ("child", "<u8")])
_SUMMARY: Final = np.dtype(
    [(name, "<u4") for name in ("contig", "start", "end", "count")]
    + [(name, "<f4") for name in ("least", "most", "total", "squares")]
)


class BigWigWriter:
    """A bigWig under way; the file is whole when the block of `with` ends without an error.

    Parameters
    ----------
    path : Path
        File to write.
    lengths : mapping of str to int
        Length of every contig in bases, at most `LONGEST`; values come in this order.
    """

    def __init__(self, path: Path, lengths: Mapping[str, int]) -> None:
        self._numbers = {contig: number for number, contig in enumerate(lengths)}
        self._blocks = _Blocks()
        self._count, self._least, self._most, self._sum, self._squares = 0, math.inf, -math.inf, 0.0, 0.0
        with ExitStack() as stack:
            self._file: IO[bytes] = stack.enter_context(path.open("wb"))
            self._zooms = [stack.enter_context(tempfile.TemporaryFile(dir=path.parent)) for _ in range(_ZOOMS)]
            self._open = stack.pop_all()
        self._file.write(bytes(_HEADER.size + _ZOOMS * _ZOOM_HEADER.size + _TOTAL.size))
        self._names_at = self._file.tell()
        _write_names(self._file, lengths)
        self._values_at = self._file.tell()
        self._file.write(bytes(8))

    def __enter__(self) -> BigWigWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if kind is None:
                self._finish()

    def add(self, contig: str, start: int, values: Float32Array) -> None:
        """Append values of neighbouring bases, (bases,) float32 without NaN, the first at 0-based `start`."""
        number = self._numbers[contig]
        for at in range(0, values.size, _VALUES_A_BLOCK):
            part = values[at : at + _VALUES_A_BLOCK].astype("<f4")
            first, end = start + at, start + at + part.size
            head = _BLOCK.pack(number, first, end, 1, 1, _FIXED_STEP, 0, part.size)
            self._blocks.write(self._file, head + part.tobytes(), (number, first, number, end))
        if values.size:
            self._summarise(number, start, values)

    def _summarise(self, number: int, start: int, values: Float32Array) -> None:
        wide = values.astype(np.float64)
        edges = np.arange(0, values.size, _FIRST_ZOOM)
        rows = np.empty(edges.size, _SUMMARY)
        rows["contig"], rows["start"] = number, start + edges
        rows["end"] = np.minimum(start + edges + _FIRST_ZOOM, start + values.size)
        rows["count"] = rows["end"] - rows["start"]
        rows["least"], rows["most"] = np.minimum.reduceat(values, edges), np.maximum.reduceat(values, edges)
        rows["total"], rows["squares"] = np.add.reduceat(wide, edges), np.add.reduceat(wide * wide, edges)
        self._zooms[0].write(rows.tobytes())
        self._count += values.size
        self._least, self._most = min(self._least, float(wide.min())), max(self._most, float(wide.max()))
        self._sum, self._squares = self._sum + float(wide.sum()), self._squares + float(np.square(wide).sum())

    def _finish(self) -> None:
        file = self._file
        index_at = file.tell()
        self._blocks.write_index(file, _VALUES_A_BLOCK)
        zoom_headers = b""
        for level, (zoom, above) in enumerate(itertools.zip_longest(self._zooms, self._zooms[1:])):
            reduction = _FIRST_ZOOM * _ZOOM_STEP**level
            zoom_at = file.tell()
            blocks = _write_zoom(file, zoom, above, reduction * _ZOOM_STEP)
            zoom_headers += _ZOOM_HEADER.pack(reduction, 0, zoom_at, file.tell())
            blocks.write_index(file, _SUMMARIES_A_BLOCK)
        file.write(struct.pack("<I", _MAGIC))
        file.seek(self._values_at)
        file.write(struct.pack("<Q", len(self._blocks)))
        total_at = _HEADER.size + len(zoom_headers)
        largest = max(_BLOCK.size + 4 * _VALUES_A_BLOCK, _SUMMARY.itemsize * _SUMMARIES_A_BLOCK)
        places = (self._names_at, self._values_at, index_at)
        file.seek(0)
        file.write(_HEADER.pack(_MAGIC, _VERSION, _ZOOMS, *places, 0, 0, 0, total_at, largest, 0) + zoom_headers)
        least, most = (self._least, self._most) if self._count else (0.0, 0.0)
        file.write(_TOTAL.pack(self._count, least, most, self._sum, self._squares))


class BigWigReader:
    """Values of a bigWig that `BigWigWriter` has written, in the order in which it got them.

    Parameters
    ----------
    path : Path
        File to read.

    Attributes
    ----------
    lengths : dict of str to int
        Length of every contig in bases, in the writer's order.

    Raises
    ------
    DataError
        Where the file is no bigWig, is cut short, or holds values in another form than ours.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            magic, _, _, names_at, _, index_at, *_ = _HEADER.unpack_from(self._bytes)
            (end,) = struct.unpack("<I", self._bytes[-4:])
            if magic != _MAGIC or end != _MAGIC:
                raise ValueError("it is no bigWig, or cut short")
            width = struct.unpack_from("<I", self._bytes, names_at + 8)[0]
            leaf = np.dtype([("name", f"S{width}"), ("number", "<u4"), ("length", "<u4")])
            branch = np.dtype([("name", f"S{width}"), ("child", "<u8")])
            names = np.sort(self._leaves(names_at + _NAMES_HEADER.size, leaf, branch), order="number")
            self.lengths = {row["name"].decode(): int(row["length"]) for row in names}
            self._leaves_at = index_at + _INDEX_HEADER.size
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; check the name") from None
        except (OSError, ValueError, struct.error) as error:
            raise DataError(f"{path}: cannot be read as bigWig ({error}); make it again") from None

    def blocks(self) -> Iterator[tuple[str, int, Float32Array]]:
        """Give contig, 0-based position of the first base, and values (bases,) float32 of neighbouring bases."""
        contigs = list(self.lengths)
        try:
            for row in self._leaves(self._leaves_at, _LEAF, _BRANCH):
                offset, size = int(row["offset"]), int(row["size"])
                data = zlib.decompress(self._bytes[offset : offset + size])
                number, start, _, step, span, kind, _, count = _BLOCK.unpack_from(data)
                if (step, span, kind) != (1, 1, _FIXED_STEP):
                    raise ValueError("its values are not one a base, in fixed steps")
                yield contigs[number], start, np.frombuffer(data, "<f4", count, _BLOCK.size)
        except (ValueError, IndexError, zlib.error, struct.error) as error:
            raise DataError(f"{self._path}: cannot be read as bigWig ({error}); make it again") from None

    def _leaves(self, at: int, leaf: np.dtype[Any], branch: np.dtype[Any]) -> Rows:
        """Return the leaves of the tree whose root lies at a place of the file."""
        is_leaf, _, count = struct.unpack_from("<BBH", self._bytes, at)
        if is_leaf:
            return np.frombuffer(self._bytes, leaf, count, at + 4)
        children = np.frombuffer(self._bytes, branch, count, at + 4)["child"]
        return np.concatenate([self._leaves(int(child), leaf, branch) for child in children])


class _Blocks:
    """Compressed blocks of a file, and where each of them lies."""

    def __init__(self) -> None:
        self._rows = array("Q")

    def __len__(self) -> int:
        return len(self._rows) // len(_COLUMNS)

    def write(self, file: IO[bytes], data: bytes, bounds: tuple[int, int, int, int]) -> None:
        """Append a block whose bases lie between contig and start, and contig and end."""
        packed = zlib.compress(data)
        self._rows.extend((*bounds, file.tell(), len(packed)))
        file.write(packed)

    def write_index(self, file: IO[bytes], items: int) -> None:
        """Append the tree through which the blocks, of so many items at most, are found."""
        leaves, numbers = np.empty(len(self), _LEAF), np.array(self._rows, np.uint64).reshape(-1, len(_COLUMNS))
        for position, name in enumerate(_COLUMNS):
            leaves[name] = numbers[:, position]
        whole = _parents(leaves, len(leaves)) if len(leaves) else np.zeros(1, _BRANCH)
        bounds = whole[0].tolist()[:4]
        file.write(_INDEX_HEADER.pack(_INDEX_MAGIC, _CHILDREN, len(leaves), *bounds, file.tell(), items, 0))
        _write_tree(file, leaves, lambda rows: _parents(rows, _CHILDREN))


def _parents(rows: Rows, children: int) -> Rows:
    """Return an entry for each group of so many blocks or entries that follow each other."""
    firsts = np.arange(0, len(rows), children)
    lasts = np.minimum(firsts + children, len(rows)) - 1
    parents = np.zeros(len(firsts), _BRANCH)
    for name, chosen in (("contig", firsts), ("start", firsts), ("end_contig", lasts), ("end", lasts)):
        parents[name] = rows[name][chosen]
    return parents


def _write_names(file: IO[bytes], lengths: Mapping[str, int]) -> None:
    """Write the tree of the contigs, by name."""
    names = [contig.encode() for contig in lengths]
    width = max(map(len, names), default=1)
    leaf = np.dtype([("name", f"S{width}"), ("number", "<u4"), ("length", "<u4")])
    branch = np.dtype([("name", f"S{width}"), ("child", "<u8")])
    leaves = np.array(list(zip(names, range(len(names)), lengths.values(), strict=True)), leaf)
    file.write(_NAMES_HEADER.pack(_NAMES_MAGIC, _CHILDREN, width, 8, len(names), 0))

    def parents(rows: Rows) -> Rows:
        made = np.zeros(-(-len(rows) // _CHILDREN), branch)
        made["name"] = rows["name"][::_CHILDREN]
        return made

    _write_tree(file, np.sort(leaves, order="name"), parents)


def _write_tree(file: IO[bytes], leaves: Rows, parents: Callable[[Rows], Rows]) -> None:
    """Write a tree level by level, the root first; `parents` gives the level above, whose places are filled in here."""
    levels = [leaves]
    while len(levels[0]) > _CHILDREN:
        levels.insert(0, parents(levels[0]))
    for level, below in itertools.zip_longest(levels, levels[1:]):
        starts = range(0, max(len(level), 1), _CHILDREN)
        if below is not None:
            sizes = [4 + len(below[start : start + _CHILDREN].tobytes()) for start in range(0, len(below), _CHILDREN)]
            first = file.tell() + 4 * len(starts) + level.nbytes
            level["child"] = list(itertools.accumulate(sizes[:-1], initial=first))
        for start in starts:
            node = level[start : start + _CHILDREN]
            file.write(struct.pack("<BBH", below is None, 0, len(node)) + node.tobytes())


def _write_zoom(file: IO[bytes], zoom: IO[bytes], above: IO[bytes] | None, reduction: int) -> _Blocks:
    """Write the summaries of one level, and those over `reduction` bases into the file of the level above."""
    blocks = _Blocks()
    file.write(struct.pack("<I", zoom.tell() // _SUMMARY.itemsize))
    zoom.seek(0)
    while data := zoom.read(_SUMMARIES_AT_ONCE * _SUMMARY.itemsize):
        rows = np.frombuffer(data, _SUMMARY)
        for part in _by_contig(rows):
            number = int(part[0]["contig"])
            blocks.write(file, part.tobytes(), (number, int(part[0]["start"]), number, int(part[-1]["end"])))
        if above is not None:
            above.write(_coarser(rows, reduction).tobytes())
    return blocks


def _by_contig(rows: Rows) -> Iterator[Rows]:
    for same in np.split(rows, np.flatnonzero(np.diff(rows["contig"])) + 1):
        for start in range(0, len(same), _SUMMARIES_A_BLOCK):
            yield same[start : start + _SUMMARIES_A_BLOCK]


def _coarser(rows: Rows, reduction: int) -> Rows:
    """Join summaries that begin within the same `reduction` bases."""
    place = rows["start"] // reduction
    changes = (np.diff(place) != 0) | (np.diff(rows["contig"]) != 0)
    edges = np.concatenate([[0], np.flatnonzero(changes) + 1])
    ends = np.concatenate([edges[1:], [len(rows)]]) - 1
    joined: Rows = rows[edges].copy()
    joined["end"] = rows["end"][ends]
    operations: dict[str, Any] = {
        "count": np.add,
        "least": np.minimum,
        "most": np.maximum,
        "total": np.add,
        "squares": np.add,
    }
    for name, operation in operations.items():
        joined[name] = operation.reduceat(rows[name], edges)
    return joined
