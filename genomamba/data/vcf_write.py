"""Scored records, as VCF with our tags in INFO and every other byte as it was, or as a table.

with VcfReader("calls.vcf") as reader, open_scored("out.vcf.gz", "vcf.gz", reader.header, tags, command) as scored:
    for records in reader.batches():
        scored.write(records, {"GM_LLR": llr, "GM_STATUS": status})
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from genomamba.data.vcf import VcfRecord
from genomamba.data.vcf_header import PREFIX, Tag, VcfHeader
from genomamba.data.vcf_output import ByteSink, write_vcf
from genomamba.data.vcf_tables import open_table
from genomamba.data.vcf_values import MISSING, TagValues, count_alleles, fields_by_record

__all__ = ["ScoredWriter", "open_scored"]

_PREFIX = PREFIX.encode()
_SEMICOLON = ord(";")


class ScoredWriter(Protocol):
    """Takes records in the order of the file."""

    def write(self, records: Sequence[VcfRecord], values: TagValues) -> None:
        """Write records and their values. Raises `ValueError` where a tag has more or fewer than it should."""


@contextmanager
def open_scored(
    out: str | Path, kind: str, header: VcfHeader, tags: Sequence[Tag], command: str
) -> Iterator[ScoredWriter]:
    """Open an output of any kind; it appears under its name when the block ends without an error.

    Parameters
    ----------
    out : str or Path
        A file, or `-` for standard output.
    kind : str
        One of `genomamba.data.vcf_output.KINDS`.
    header : VcfHeader
        That of the input.
    tags : sequence of Tag
        What is written, in this order. In a VCF, they replace those of an earlier run of ours.
    command : str
        Goes into the header of a VCF.

    Raises
    ------
    DataError
        Where the header declares one of the tags, and it is not ours; where BCF cannot hold what is written.
    RunError
        Where the file cannot be written, or the package that writes the kind is not installed.
    """
    if kind not in ("vcf", "vcf.gz", "bcf"):
        with open_table(out, kind, tags) as table:
            yield table
        return
    text = header.annotated(tags, command)
    with write_vcf(out, kind, longest_contig=header.longest_contig()) as sink:
        sink.write(text)
        yield _Annotator(sink, tags, header.own_tags())


class _Annotator:
    """Puts the tags at the end of INFO."""

    def __init__(self, sink: ByteSink, tags: Sequence[Tag], own: frozenset[str]) -> None:
        self._sink = sink
        self._tags = tags
        self._replaced = {name.encode() for name in own | {tag.id for tag in tags}}

    def write(self, records: Sequence[VcfRecord], values: TagValues) -> None:
        counts = count_alleles(records)
        columns = [fields_by_record(tag, values[tag.id], counts) for tag in self._tags]
        parts: list[bytes] = []
        for record, fields in zip(records, zip(*columns, strict=True), strict=True):
            line, info = record.line, record.info
            end = record.info_start + len(info)
            if len(info) < 2 or info[-1] == _SEMICOLON or _PREFIX in info:
                kept = self._kept(info)
                divided = b"".join(fields)
                parts += line[: record.info_start], kept, divided if kept else divided[1:], line[end:]
            else:
                parts += line[:end], *fields, line[end:]
        self._sink.write(b"".join(parts))
        self._sink.reach = max(self._sink.reach, reach_of(records))

    def _kept(self, info: bytes) -> bytes:
        """Return what stays of INFO, without a divider at its end."""
        if _PREFIX in info:
            fields = info.split(b";")
            kept = [field for field in fields if field.partition(b"=")[0] not in self._replaced]
            info = info if len(kept) == len(fields) else b";".join(kept)
        return b"" if info == MISSING else info.removesuffix(b";")


def reach_of(records: Sequence[VcfRecord]) -> int:
    """Return the last base of any REF of some records, 1-based; 0 where there are none."""
    return max((record.pos + len(record.ref) - 1 for record in records), default=0)
