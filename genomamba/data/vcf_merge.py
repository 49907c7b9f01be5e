"""Shards of one scored file, put together again: the records of each after those of the one before."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from genomamba.data.source import DamagedSourceError, Source
from genomamba.data.vcf import VcfReader
from genomamba.data.vcf_header import shown
from genomamba.data.vcf_output import open_bytes, write_vcf
from genomamba.data.vcf_tables import FIXED_COLUMNS, open_parquet_table
from genomamba.data.vcf_write import reach_of
from genomamba.errors import DataError, RunError

__all__ = ["merge_scored"]

_SHOWN = 5


def merge_scored(paths: Sequence[str | Path], out: str | Path, kind: str, command: str) -> int:
    """Write the records of some shards, in the order given, as one file of the same kind; return how many there are.

    Every shard needs the header of the first, but for our command. Rows of tables are checked for their order too.

    Parameters
    ----------
    paths : sequence of str or Path
        Shards: VCF in any container for an output of VCF or BCF, and otherwise tables of the output's kind.
    out : str or Path
        A file, or `-` for standard output.
    kind : str
        One of `genomamba.data.vcf_output.KINDS`.
    command : str
        Replaces the commands in the headers of the shards.

    Raises
    ------
    DataError
        Where a shard is malformed, has another header, or does not follow the one before.
    RunError
        Where the output cannot be written.
    """
    if not paths:
        raise ValueError("no shards to merge")
    match kind:
        case "vcf" | "vcf.gz" | "bcf":
            return _merge_vcf(paths, out, kind, command)
        case "parquet":
            return _merge_parquet(paths, out)
        case _:
            return _merge_tsv(paths, out, blocked=kind == "tsv.gz")


def _merge_vcf(paths: Sequence[str | Path], out: str | Path, kind: str, command: str) -> int:
    number = 0
    _check_whole(paths)
    with VcfReader(paths[0]) as first:
        header = first.header
    with write_vcf(out, kind, longest_contig=header.longest_contig()) as sink:
        sink.write(header.with_command(command))
        before: VcfReader | None = None
        for path in paths:
            with VcfReader(path, after=before) as reader:
                if reader.header.without_command() != header.without_command():
                    raise DataError(
                        f"{path}: its header is not that of {paths[0]}; give the shards of one run, scored alike"
                    )
                for records in reader.batches():
                    text = b"".join([record.line for record in records])
                    sink.write(text if text.endswith(b"\n") or path == paths[-1] else text + b"\n")
                    sink.reach = max(sink.reach, reach_of(records))
                    number += len(records)
            before = reader
    return number


def _check_whole(paths: Sequence[str | Path]) -> None:
    """Refuse parts of a file that are not all of its parts, each once and in order, where their headers say which."""
    parts = []
    for path in paths:
        with VcfReader(path) as reader:
            parts.append(reader.header.shard)
    counts = {part[1] for part in parts if part is not None}
    if not counts:
        return
    count = max(counts)
    expected = [(number, count) for number in range(1, count + 1)]
    absent = [number for number, _ in expected if (number, count) not in parts]
    if absent:
        names = ", ".join(f"{number}/{count}" for number in absent[:_SHOWN]) + ", ..." * (len(absent) > _SHOWN)
        raise DataError(f"{paths[-1]}: the last of {len(paths):,} shards, and {names} is not among them; give all")
    if parts != expected:
        given = ", ".join("a whole" if part is None else f"{part[0]}/{part[1]}" for part in parts[:_SHOWN])
        raise DataError(
            f"{paths[0]}: the first of shards that come as {given}; give 1/{count} to {count}/{count}, each once"
        )


class _Order:
    """Whether rows of tables come as in a sorted file: contigs in one piece each, and positions that go up."""

    def __init__(self) -> None:
        self._contigs: set[Any] = set()
        self._contig: Any = None
        self._pos = 0

    def follow(self, contig: Any, pos: int, where: str) -> None:
        """Take the next row, or any of those that follow. Raises `DataError` where it belongs before the last."""
        if contig != self._contig:
            is_back = contig in self._contigs
            self._contigs.add(contig)
        else:
            is_back = pos < self._pos
        if is_back:
            before = f"{_text(self._contig)}:{self._pos:,}"
            raise DataError(
                f"{where}: {_text(contig)}:{pos:,} comes after {before}; give the files in their order, each once"
            )
        self._contig, self._pos = contig, pos


def _merge_tsv(paths: Sequence[str | Path], out: str | Path, *, blocked: bool) -> int:
    rows, order = 0, _Order()
    first: bytes | None = None
    with open_bytes(out, blocked=blocked) as sink:
        for path in paths:
            number = 0
            for number, line in enumerate(_lines(path), 1):
                if number > 1:
                    contig, pos, _ = [*line.split(b"\t", 2), b"", b""][:3]
                    if not pos.isdigit():
                        raise DataError(f"{path}:{number}: {shown(line.rstrip())} is no row of a table of scores")
                    order.follow(contig, int(pos), f"{path}:{number}")
                    rows += 1
                elif first is None:
                    _check_columns(path, line)
                    first = line
                elif line != first:
                    raise DataError(f"{path}:1: its columns are not those of {paths[0]}; give the shards of one run")
                if number > 1 or path == paths[0]:
                    sink.write(line)
            if number == 0:
                raise DataError(f"{path}: empty; a table of scores starts with the names of its columns")
    return rows


def _lines(path: str | Path) -> Iterator[bytes]:
    """Yield the lines of a text, plain or compressed, with their ends."""
    held, number = b"", 0
    try:
        with Source(Path(path)) as source:
            for block in source.blocks():
                *lines, held = (held + block).split(b"\n")
                for line in lines:
                    number += 1
                    yield line + b"\n"
    except DamagedSourceError as error:
        raise DataError(f"{path}:{max(number, 1)}: {error}; make it again") from None
    if held:
        raise DataError(f"{path}:{number + 1}: the last line has no end, so the file is cut short; make it again")


def _check_columns(path: str | Path, line: bytes) -> None:
    if line.rstrip(b"\r\n").decode("utf-8", "replace").split("\t")[: len(FIXED_COLUMNS)] != list(FIXED_COLUMNS):
        raise DataError(f"{path}:1: no table of scores, whose columns are {', '.join(FIXED_COLUMNS)} and the scores")


def _merge_parquet(paths: Sequence[str | Path], out: str | Path) -> int:
    rows, order = 0, _Order()
    files = [_open_parquet(path) for path in paths]
    columns = {field.name: str(field.type) for field in files[0].schema_arrow}
    if list(columns)[: len(FIXED_COLUMNS)] != list(FIXED_COLUMNS):
        raise DataError(f"{paths[0]}: no table of scores, whose columns are {', '.join(FIXED_COLUMNS)} and the scores")
    with open_parquet_table(out, columns) as writer:
        for path, file in zip(paths, files, strict=True):
            if file.schema_arrow != files[0].schema_arrow:
                raise DataError(f"{path}: its columns are not those of {paths[0]}; give the shards of one run")
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                for contig, pos in zip(table["chrom"].to_pylist(), table["pos"].to_pylist(), strict=True):
                    order.follow(contig, pos, str(path))
                writer.write_table(table)
                rows += table.num_rows
    return rows


def _open_parquet(path: str | Path) -> Any:
    if importlib.util.find_spec("pyarrow") is None:
        raise RunError(f"{path}: Parquet is read by pyarrow, which is not installed; pip install 'genomamba[tracks]'")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the name") from None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())}); make it again") from None


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
