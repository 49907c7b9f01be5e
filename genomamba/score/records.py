"""Tables with one row a sequence: how long it is, and how likely."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from genomamba.score.tracks import open_parquet, open_text

__all__ = ["RECORDS", "Record", "write_records"]

RECORDS: Final = (".parquet", ".tsv", ".tsv.gz")


class Record(NamedTuple):
    """One row."""

    contig: str
    """Name of the sequence; of a region, as in chr1:1001-2000."""
    length: int
    """In bases."""
    scored: int
    """Bases that were scored: all but N."""
    log2_likelihood: float
    """Sum over the scored bases, in bits, 0 or below."""

    @property
    def bits_per_base(self) -> float | None:
        """What a scored base costs, 0 or above; None where none was scored."""
        return -self.log2_likelihood / self.scored if self.scored else None


COLUMNS: Final = (*Record._fields, "bits_per_base")


def write_records(path: Path, suffix: str, records: Iterable[Record]) -> None:
    """Write a table.

    Parameters
    ----------
    path : Path
        File to write.
    suffix : str
        One of `RECORDS`; the texts have four decimals, and nothing where no base was scored.
    """
    rows = [(*record, record.bits_per_base) for record in records]
    if suffix == ".parquet":
        names = dict(zip(COLUMNS, ("string", "int64", "int64", "float64", "float64"), strict=True))
        with open_parquet(path, names) as write:
            write(dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))
        return
    with open_text(path, suffix) as put:
        put("\t".join(COLUMNS) + "\n")
        for contig, length, scored, bits, per_base in rows:
            cost = "" if per_base is None else f"{per_base:z.4f}"
            put(f"{contig}\t{length}\t{scored}\t{bits:z.4f}\t{cost}\n")
