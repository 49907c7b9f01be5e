"""Tracks: one number a base, as bedGraph, bigWig, Parquet or TSV. Bases without a number are left out.

Positions are 0-based. The texts have four decimals, bigWig and Parquet the float32 itself.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.errors import ConfigError, DataError, RunError
from genomamba.files import atomic_file
from genomamba.score.bigwig import LONGEST, BigWigReader, BigWigWriter

__all__ = [
    "PIECE",
    "TRACKS",
    "WriteTrack",
    "check_format",
    "format_of",
    "merge_bigwigs",
    "open_parquet",
    "open_text",
    "open_track",
]

Float32Array = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]

WriteTrack = Callable[[str, int, UInt8Array, Float32Array], None]
"""Takes a contig, the 0-based position of its first base, letters (bases,) as text, and their values, NaN for none."""

PIECE: Final = 1 << 17
"""Bases after which a stretch of a contig, from its start on, is cut for writing."""

TRACKS: Final = (".bedgraph", ".bedgraph.gz", ".bw", ".parquet", ".tsv", ".tsv.gz")
# A byte that is not a printable one is shown by its number.
_LETTERS: Final = [chr(byte) if 0x21 <= byte <= 0x7E else f"\\x{byte:02x}" for byte in range(256)]


def format_of(out: Path, formats: tuple[str, ...]) -> str:
    """Return which of the formats the name of a file ends with. Raises `ConfigError` where it is none of them."""
    for suffix in sorted(formats, key=len, reverse=True):
        if out.name.lower().endswith(suffix):
            return suffix
    raise ConfigError(f"--out is {out}; its name must end with {', '.join(formats)}")


def check_format(out: Path, suffix: str, lengths: Mapping[str, int]) -> None:
    """Refuse a format that cannot be written here, before anything is computed.

    Raises
    ------
    RunError
        Where the package that writes it is not installed.
    DataError
        Where a contig is longer than the format has positions for.
    """
    if suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise RunError(
            f"{out}: Parquet is written by pyarrow, which is not installed; pip install 'genomamba[tracks]',"
            " or give another ending, such as .tsv.gz"
        )
    for contig, length in lengths.items() if suffix == ".bw" else ():
        if length > LONGEST:
            raise DataError(
                f"{out}: {contig} has {length:,} bases, and bigWig has room for {LONGEST:,}; write .bedgraph"
            )


@contextmanager
def open_track(path: Path, suffix: str, lengths: Mapping[str, int]) -> Iterator[WriteTrack]:
    """Open a track for writing; pieces are to come in the order of `lengths`, and left to right.

    Parameters
    ----------
    path : Path
        File to write.
    suffix : str
        One of `TRACKS`.
    lengths : mapping of str to int
        Length of every contig in bases, for bigWig's header.
    """
    match suffix:
        case ".bw":
            opened = _bigwig(path, lengths)
        case ".parquet":
            opened = _parquet(path)
        case ".tsv" | ".tsv.gz":
            opened = _tsv(path, suffix)
        case _:
            opened = _bedgraph(path, suffix)
    with opened as write:
        yield write


def merge_bigwigs(paths: Sequence[Path], out: Path) -> int:
    """Write the contigs of some bigWigs of ours, in the order given, as one file; return how many bases have a value.

    The file is, byte for byte, the one that scoring all contigs at once would have given.

    Raises
    ------
    DataError
        Where one of them cannot be read, or has a contig that another has, too.
    RunError
        Where the output cannot be written.
    """
    readers = [BigWigReader(path) for path in paths]
    lengths: dict[str, int] = {}
    for path, reader in zip(paths, readers, strict=True):
        if twice := sorted(set(reader.lengths) & set(lengths)):
            raise DataError(f"{path}: {twice[0]} is in a file before it, too; give each contig once")
        lengths |= reader.lengths
    bases = 0
    with atomic_file(out) as temporary, BigWigWriter(temporary, lengths) as writer:
        for reader in readers:
            for contig, start, values in _pieces(reader.blocks()):
                writer.add(contig, start, values)
                bases += values.size
    return bases


def _pieces(blocks: Iterator[tuple[str, int, Float32Array]]) -> Iterator[tuple[str, int, Float32Array]]:
    """Join blocks to the pieces that were written, for sums over a piece depend on where it ends."""
    held: list[Float32Array] = []
    contig, start, end = "", 0, -1
    for name, at, values in blocks:
        if held and (name != contig or at != end or at % PIECE == 0):
            yield contig, start, np.concatenate(held)
            held = []
        if not held:
            contig, start = name, at
        held.append(values)
        end = at + values.size
    if held:
        yield contig, start, np.concatenate(held)


@contextmanager
def open_text(path: Path, suffix: str) -> Iterator[Callable[[str], Any]]:
    """Open a text file, in blocked gzip (BGZF) where the suffix ends with .gz; what is given back writes to it."""
    if not suffix.endswith(".gz"):
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file.write
        return
    from Bio import bgzf

    with bgzf.BgzfWriter(str(path), "wb") as blocks:
        yield lambda text: blocks.write(text.encode())


@contextmanager
def open_parquet(path: Path, columns: Mapping[str, str]) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Open a Parquet file; what is given back writes a batch of rows, by column.

    Parameters
    ----------
    columns : mapping of str to str
        Name of each column to its type: a name of pyarrow's, or `name` for a text that repeats itself.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([(name, text if kind == "name" else kind) for name, kind in columns.items()])
    with pq.ParquetWriter(str(path), schema) as writer:
        yield lambda batch: writer.write_table(pa.table(dict(batch), schema=schema))


@contextmanager
def _bedgraph(path: Path, suffix: str) -> Iterator[WriteTrack]:
    with open_text(path, suffix) as put:

        def write(contig: str, start: int, letters: UInt8Array, values: Float32Array) -> None:
            places, known = _known(start, values)
            rows = zip(places.tolist(), known.tolist(), strict=True)
            put("".join([f"{contig}\t{at}\t{at + 1}\t{value:z.4f}\n" for at, value in rows]))

        yield write


@contextmanager
def _tsv(path: Path, suffix: str) -> Iterator[WriteTrack]:
    with open_text(path, suffix) as put:
        put("contig\tstart\tbase\tlog2_likelihood\n")

        def write(contig: str, start: int, letters: UInt8Array, values: Float32Array) -> None:
            places, known = _known(start, values)
            rows = zip(places.tolist(), letters[places - start].tolist(), known.tolist(), strict=True)
            put("".join([f"{contig}\t{at}\t{_LETTERS[byte]}\t{value:z.4f}\n" for at, byte, value in rows]))

        yield write


@contextmanager
def _bigwig(path: Path, lengths: Mapping[str, int]) -> Iterator[WriteTrack]:
    with BigWigWriter(path, lengths) as file:

        def write(contig: str, start: int, letters: UInt8Array, values: Float32Array) -> None:
            places, known = _known(start, values)
            breaks = np.flatnonzero(np.diff(places) > 1) + 1
            for run, numbers in zip(np.split(places, breaks), np.split(known, breaks), strict=True):
                if run.size:
                    file.add(contig, int(run[0]), numbers)

        yield write


@contextmanager
def _parquet(path: Path) -> Iterator[WriteTrack]:
    columns = {"contig": "name", "start": "int64", "base": "name", "log2_likelihood": "float32"}
    with open_parquet(path, columns) as write_batch:
        import pyarrow as pa

        def write(contig: str, start: int, letters: UInt8Array, values: Float32Array) -> None:
            places, known = _known(start, values)
            codes = pa.array(letters[places - start].astype(np.int32))
            names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(places.size, np.int32)), [contig])
            bases = pa.DictionaryArray.from_arrays(codes, _LETTERS)
            write_batch({"contig": names, "start": places, "base": bases, "log2_likelihood": known})

        yield write


def _known(start: int, values: Float32Array) -> tuple[npt.NDArray[np.int64], Float32Array]:
    """Return the positions that have a value, and the values."""
    known = np.flatnonzero(~np.isnan(values))
    return known + start, values[known]
