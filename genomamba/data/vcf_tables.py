"""Tables of scored alleles, a row an allele: text divided by tabs, or Parquet.

The columns are chrom, pos (1-based, as in VCF), id, ref, alt, and one for each tag.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np

from genomamba.data.vcf import VcfRecord
from genomamba.data.vcf_header import Tag
from genomamba.data.vcf_output import ByteSink, is_stream, open_bytes
from genomamba.data.vcf_values import TagValues, count_alleles, texts_by_allele, values_by_allele
from genomamba.errors import RunError
from genomamba.files import atomic_file

__all__ = ["FIXED_COLUMNS", "open_parquet_table", "open_table"]

FIXED_COLUMNS: Final = {"chrom": "string", "pos": "int64", "id": "string", "ref": "string", "alt": "string"}
"""What every table begins with, and pyarrow's names of the types."""

_ARROW_TYPES = {"Float": "float64", "Integer": "int64", "String": "string"}
_MISSING = b"NA"
# A row group of Parquet ends with the batch that brings it to one of the two.
_GROUP_ROWS = 1 << 16
_GROUP_BYTES = 1 << 26


@contextmanager
def open_table(out: str | Path, kind: str, tags: Sequence[Tag]) -> Iterator[TsvTable | ParquetTable]:
    """Open a table, `tsv`, `tsv.gz` or `parquet`; it appears under its name when the block ends without an error.

    In text, numbers have six digits and what is missing is `NA`; in Parquet, numbers are float64 or int64 and what is
    missing is null.

    Raises
    ------
    RunError
        Where the file cannot be written, or pyarrow is not installed.
    """
    if kind == "parquet":
        columns = FIXED_COLUMNS | {tag.column: _ARROW_TYPES[tag.type] for tag in tags}
        with open_parquet_table(out, columns) as write:
            table = ParquetTable(write, tags)
            yield table
            table.flush()
    else:
        with open_bytes(out, blocked=kind == "tsv.gz") as sink:
            yield TsvTable(sink, tags)


@contextmanager
def open_parquet_table(out: str | Path, columns: dict[str, str]) -> Iterator[Any]:
    """Open a Parquet file of these columns and types; what is given back is a `pyarrow.parquet.ParquetWriter`."""
    if importlib.util.find_spec("pyarrow") is None:
        raise RunError(
            f"{out}: Parquet is written by pyarrow, which is not installed; pip install 'genomamba[tracks]',"
            " or give another ending, such as .tsv.gz"
        )
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(list(columns.items()))
    opened = nullcontext(Path(out)) if is_stream(out) else atomic_file(Path(out))
    with opened as path, path.open("wb") as file, pq.ParquetWriter(file, schema) as writer:
        yield writer


class TsvTable:
    """Writes rows as text."""

    def __init__(self, sink: ByteSink, tags: Sequence[Tag]) -> None:
        self._sink = sink
        self._tags = tags
        sink.write("\t".join([*FIXED_COLUMNS, *(tag.column for tag in tags)]).encode() + b"\n")

    def write(self, records: Sequence[VcfRecord], values: TagValues) -> None:
        """Write a row for each allele of each record."""
        counts = count_alleles(records)
        columns = [texts_by_allele(tag, values[tag.id], counts, _MISSING) for tag in self._tags]
        starts = [
            b"%b\t%d\t%b\t%b\t%b" % (record.chrom.encode(), record.pos, record.id, record.ref.encode(), alt.encode())
            for record in records
            for alt in record.alts
        ]
        self._sink.write(b"".join(b"\t".join(row) + b"\n" for row in zip(starts, *columns, strict=True)))


class ParquetTable:
    """Writes rows in groups of some ten thousands."""

    def __init__(self, writer: Any, tags: Sequence[Tag]) -> None:
        self._writer = writer
        self._tags = tags
        self._held: list[Any] = []
        self._rows = self._bytes = 0

    def write(self, records: Sequence[VcfRecord], values: TagValues) -> None:
        """Take a row for each allele of each record."""
        import pyarrow as pa

        counts = count_alleles(records)
        columns: dict[str, Any] = {
            "chrom": [record.chrom for record in records for _ in record.alts],
            "pos": [record.pos for record in records for _ in record.alts],
            "id": [record.id.decode("utf-8", "backslashreplace") for record in records for _ in record.alts],
            "ref": [record.ref for record in records for _ in record.alts],
            "alt": [alt for record in records for alt in record.alts],
        }
        for tag in self._tags:
            column = values_by_allele(tag, values[tag.id], counts)
            if tag.type != "String":
                numbers = np.asarray(column, np.float64)
                missing = np.isnan(numbers)
                column = np.where(missing, 0, numbers).astype(_ARROW_TYPES[tag.type])
                columns[tag.column] = pa.array(column, mask=missing)
            else:
                columns[tag.column] = list(column)
        table = pa.table(columns, schema=self._writer.schema)
        self._held.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        import pyarrow as pa

        if self._held:
            self._writer.write_table(pa.concat_tables(self._held))
            self._held = []
            self._rows = self._bytes = 0
