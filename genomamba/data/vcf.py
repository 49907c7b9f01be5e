"""VCF, read as a stream: every record with the bytes of its line, and what a scorer needs to know of it.

What other people's files really have passes: CRLF, a last line without an end, contigs that are not declared, INFO
that breaks its own declaration or is no UTF-8. What cannot be understood is refused, with its line.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, NoReturn

from genomamba.data.source import DamagedSourceError
from genomamba.data.vcf_header import VcfHeader, parse_header, shown
from genomamba.data.vcf_input import STANDARD_INPUT, VcfText
from genomamba.errors import DataError

__all__ = ["VcfReader", "VcfRecord"]

NUM_FIXED: Final = 8
"""Columns that every record has: CHROM to INFO."""

# Text whose lines make one batch. The fewer records live at a time, the rarer does Python look for garbage everywhere.
_BATCH_BYTES = 1 << 15
_FILE_FORMAT = b"##fileformat=VCF"
_POS_DIGITS = 18
# The contig before the first record: a name that no line can have.
_NO_CONTIG = b"\n"
_ONE_BASE = {base.encode(): base for base in "ACGTNacgtn"}
_ONE_BASE_ALTS = {base.encode(): (base,) for base in "ACGTNacgtn."}
_REF = re.compile(rb"[A-Za-z]+|\.")
# Bases; *; missing; <symbolic>; breakends, with a mate or single.
_ALT = re.compile(rb"[A-Za-z]+|[*.]|<[^<>\s]+>|[A-Za-z.]*([\[\]])[^\[\]\s]+\1[A-Za-z.]*|\.[A-Za-z]+|[A-Za-z]+\.")
_OTHER_FORMATS = {
    b"\xef\xbb\xbf": "a byte-order mark, which VCF must not have; save the file as UTF-8 without it",
    b"\xff\xfe": "UTF-16; save the file as UTF-8",
    b"\xfe\xff": "UTF-16; save the file as UTF-8",
    b">": "FASTA; give the VCF here, and the FASTA to --fasta",
    b"##gff": "GFF; give a VCF",
    b"##gvf": "GVF; convert it to VCF",
    b"PK\3\4": "a zip archive; unpack it",
    b"BZh": "compressed with bzip2; recompress it with bgzip",
    b"\xfd7zXZ": "compressed with xz; recompress it with bgzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; recompress it with bgzip",
}


class VcfRecord(NamedTuple):
    """One line of a VCF."""

    line: bytes
    """The whole line, with its end."""
    number: int
    """Number of the line, from 1; for BCF, in its text."""
    chrom: str
    """CHROM as written."""
    pos: int
    """POS as written, 1-based; 0 is the telomere before the first base."""
    id: bytes
    """ID as written, `.` where missing."""
    ref: str
    """REF as written."""
    alts: tuple[str, ...]
    """The alleles of ALT as written; one `.` where there is none."""
    info: bytes
    """INFO as written."""
    info_start: int
    """Where INFO begins in the line, in bytes."""

    @property
    def start(self) -> int:
        """First base of REF, 0-based; -1 for the telomere."""
        return self.pos - 1


class VcfReader:
    """Records of a VCF or BCF in the order of the file, in constant memory; they can be read once.

    Parameters
    ----------
    name : str or Path
        The file, or `-` for standard input. Text, gzip, BGZF and BCF are told apart by their bytes.
    after : VcfReader, optional
        A reader that has come to its end, and whose records this file's are to follow in order.

    Attributes
    ----------
    name : str
        As given.
    header : VcfHeader
        The lines before the first record.

    Raises
    ------
    DataError
        At the first fault, with its line; the tests list them all. Records that are not sorted (by contig, each in
        one piece, and by POS) are refused with the command that sorts them.
    """

    def __init__(self, name: str | Path, *, after: VcfReader | None = None) -> None:
        self.name = str(name)
        self._text = VcfText(name)
        self._number = 0
        self._after = after
        self._contigs_seen: dict[bytes, str] = {} if after is None else after._contigs_seen
        self._last: tuple[bytes, int] = (_NO_CONTIG, 0) if after is None else after._last
        try:
            self._chunks = self._read_chunks()
            self.header = self._read_header()
        except BaseException:
            self._text.__exit__(None, None, None)
            raise

    def __enter__(self) -> VcfReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[VcfRecord]:
        """Yield the records one by one."""
        for batch in self.batches():
            yield from batch

    @property
    def fraction_read(self) -> float | None:
        """How much of the file has been read, from 0 to 1; None where its size is not known, or it is BCF."""
        return self._text.fraction_read

    def batches(self) -> Iterator[list[VcfRecord]]:
        """Yield the records in lists of about 32 KiB of lines, none of them empty."""
        for chunk in self._chunks:
            yield self._records(chunk)

    def _records(self, chunk: bytes) -> list[VcfRecord]:
        """Read whole lines. This is where the time goes: one pass, and words for a fault are found elsewhere."""
        records = []
        number, (name, last) = self._number, self._last
        chrom = self._contigs_seen.get(name, "")
        num_tabs = self.header.num_columns - 1
        has_samples = num_tabs >= NUM_FIXED
        num_parts = NUM_FIXED + has_samples
        new, one_base, one_base_alts = tuple.__new__, _ONE_BASE.get, _ONE_BASE_ALTS.get
        for line in io.BytesIO(chunk):
            number += 1
            fields = line.split(b"\t", NUM_FIXED)
            if len(fields) != num_parts or (has_samples and line.count(b"\t") != num_tabs):
                self._refuse(line, number)
            named, digits, record_id, ref_text, alt_text, _, _, info = fields[:NUM_FIXED] if has_samples else fields
            if not digits.isdigit() or len(digits) > _POS_DIGITS:
                self._refuse(line, number)
            pos = int(digits)
            if named != name:
                chrom = self._new_contig(named, pos, number, f"{chrom}:{last:,}")
                name, last = named, 0
            if pos < last:
                self._refuse_order(f"{chrom}:{pos:,}", f"{chrom}:{last:,}", number)
            last = pos
            ref = one_base(ref_text) or self._ref(ref_text, number)
            alts = one_base_alts(alt_text) or self._alts(alt_text, number)
            if has_samples:
                info_start = len(line) - len(fields[NUM_FIXED]) - len(info) - 1
            else:
                info_start = len(line) - len(info)
                info = info.rstrip(b"\r\n")
            records.append(new(VcfRecord, (line, number, chrom, pos, record_id, ref, alts, info, info_start)))
        self._number, self._last = number, (name, last)
        return records

    def _read_chunks(self) -> Iterator[bytes]:
        """Yield whole lines, many at a time; the first are those of the header."""
        held: list[bytes] = []
        try:
            for block in self._text.blocks():
                for at in range(0, len(block), _BATCH_BYTES):
                    piece = block[at : at + _BATCH_BYTES]
                    if b"\0" in piece:
                        self._refuse_nul(b"".join(held) + piece)
                    end = piece.rfind(b"\n") + 1
                    if end:
                        yield b"".join([*held, piece[:end]])
                        held = []
                    held.append(piece[end:])
        except DamagedSourceError as error:
            self._fail(max(self._number, 1), f"{error}; copy or download it again")
        if rest := b"".join(held):
            yield rest

    def _read_header(self) -> VcfHeader:
        lines: list[bytes] = []
        for chunk in self._chunks:
            if not lines:
                self._check_start(chunk)
            stream = io.BytesIO(chunk)
            for line in stream:
                self._number += 1
                lines.append(line)
                if not line.startswith(b"##"):
                    self._check_header_end(line)
                    self._chunks = self._put_back(chunk[stream.tell() :], self._chunks)
                    return parse_header(self.name, lines)
        if lines:
            self._fail(self._number, "the file ends before the line #CHROM; it is cut short: copy or download it again")
        raise DataError(f"{self.name}: empty; a VCF starts with a line such as '##fileformat=VCFv4.2'")

    @staticmethod
    def _put_back(chunk: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        if chunk:
            yield chunk
        yield from rest

    def _check_start(self, chunk: bytes) -> None:
        self._number = 1
        first = chunk[: chunk.find(b"\n") + 1] or chunk
        for magic, what in _OTHER_FORMATS.items():
            if chunk.startswith(magic):
                self._fail(1, f"no VCF but {what}")
        if b"\0" in chunk and not first.startswith(_FILE_FORMAT):
            self._fail(1, "binary data, no VCF, whose first line is such as '##fileformat=VCFv4.2'; check the name")
        if b"\r" in first.rstrip(b"\r\n"):
            self._fail(1, "a carriage return inside the line; give lines newlines: tr '\\r' '\\n'")
        if not first.startswith(_FILE_FORMAT):
            what = "it starts with" if first.startswith(b"#") else "no header: it starts with"
            self._fail(1, f"{what} {shown(first.rstrip())}, expected '##fileformat=VCFv4.2', then #CHROM; add them")
        self._number = 0

    def _check_header_end(self, line: bytes) -> None:
        if line.startswith(b"#CHROM"):
            return
        if not line.strip():
            self._fail(self._number, "a blank line in the header; remove it")
        if line.startswith(b"#"):
            self._fail(self._number, f"{shown(line.rstrip())} in the header, expected ## or #CHROM; remove it")
        self._fail(
            self._number,
            f"a record, {shown(line.rstrip())}, before the line #CHROM; add it: #CHROM, POS, ID, REF, ALT, QUAL, "
            "FILTER, INFO, divided by tabs",
        )

    def _new_contig(self, name: bytes, pos: int, number: int, before: str) -> str:
        if name in self._contigs_seen:
            self._refuse_order(f"{self._contigs_seen[name]}:{pos:,}", before, number)
        try:
            chrom = name.decode()
        except UnicodeDecodeError:
            self._fail(number, f"CHROM is {shown(name)}, which is no UTF-8; rename the contig")
        if not chrom or chrom != "".join(chrom.split()):
            self._fail(number, f"CHROM is {shown(name)}; expected the name of a contig, without spaces")
        self._contigs_seen[name] = chrom
        return chrom

    def _ref(self, text: bytes, number: int) -> str:
        if not _REF.fullmatch(text):
            self._fail(number, f"REF is {shown(text)}; expected the bases at POS, such as 'A' or 'ACGT'{_hint(text)}")
        return text.decode()

    def _alts(self, text: bytes, number: int) -> tuple[str, ...]:
        for allele in text.split(b","):
            if not _ALT.fullmatch(allele):
                of = "" if allele == text else f" in {shown(text)}"
                self._fail(
                    number,
                    f"ALT is {shown(allele)}{of}; expected bases, '*', '.', <NAME> or a breakend{_hint(allele)}",
                )
        return tuple(text.decode().split(","))

    def _refuse(self, line: bytes, number: int) -> NoReturn:
        """Tell why a line is no record: it has other columns than the header, or POS is no number."""
        expected = self.header.num_columns
        text = line.rstrip(b"\r\n")
        columns = text.split(b"\t", NUM_FIXED)
        found = text.count(b"\t") + 1
        if not text.strip():
            self._fail(number, "a blank line; remove it, such as by grep -v '^$'")
        if text.startswith(b"#"):
            self._fail(number, "a line of a header after the first record; join files by bcftools concat instead")
        if found == 1 and len(text.split()) > 1:
            self._fail(number, f"the columns of {shown(text)} are divided by spaces; VCF divides them by tabs")
        if found != expected:
            hint = "" if line.endswith(b"\n") else "; the file is perhaps cut short"
            self._fail(number, f"{found} columns, expected {expected} as in the line #CHROM{hint}")
        self._fail(number, f"POS is {shown(columns[1])}; expected a whole number such as 1, the first base")

    def _refuse_order(self, place: str, before: str, number: int) -> NoReturn:
        if self._after is not None:
            self._fail(number, f"{place} comes after {before}; give the files in their order, each once")
        given = "-" if self.name == STANDARD_INPUT else shlex.quote(self.name)
        self._fail(
            number,
            f"{place} comes after {before}, so the file is not sorted; "
            f"sort it: bcftools sort -O z -o sorted.vcf.gz {given}",
        )

    def _refuse_nul(self, text: bytes) -> NoReturn:
        if self._number == 0:
            self._check_start(text)
        line = self._number + 1 + text[: text.index(b"\0")].count(b"\n")
        self._fail(line, "a NUL byte; the file is damaged or binary")

    def _fail(self, number: int, what: str) -> NoReturn:
        raise DataError(f"{self.name}:{number}: {what}")


def _hint(allele: bytes) -> str:
    if allele == b"-":
        return "; VCF writes a deletion or insertion with the base before it"
    return "" if allele else "; it is empty"
