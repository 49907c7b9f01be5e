"""FASTA text to symbols: one pass, in blocks, with exact line numbers in every error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import Alphabet
from genomamba.data.source import DamagedSourceError, Source
from genomamba.errors import DataError

__all__ = ["Header", "read_sequences"]

UInt8Array = npt.NDArray[np.uint8]

_NEWLINE = ord("\n")
_INVALID = 0xFF
_LONGEST_HEADER = 1 << 20
_PROTEIN_ONLY = frozenset(b"EFILPQXZefilpqxz*")

_OTHER_FORMATS: Final = {
    b"\xef\xbb\xbf": "text with a byte-order mark in front; save it as plain UTF-8",
    b"@": "perhaps FASTQ; convert it to FASTA",
    b"##gff": "GFF, an annotation; give the FASTA of the same genome",
    b"##fileformat=VCF": "VCF; give the FASTA of the reference",
    b"BAM\1": "BAM; give a FASTA",
    b"LOCUS": "GenBank; convert it to FASTA",
    b"ID   ": "EMBL; convert it to FASTA",
    b"PK\3\4": "a zip archive; unpack it",
    b"BZh": "compressed with bzip2; recompress it with bgzip",
    b"\xfd7zXZ": "compressed with xz; recompress it with bgzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; recompress it with bgzip",
    b"\x43\x27\x41\x1a": "2bit; convert it with twoBitToFa",
    b"\x1a\x41\x27\x43": "2bit; convert it with twoBitToFa",
}


@dataclass(frozen=True, slots=True)
class Header:
    """The line that begins a record.

    Attributes
    ----------
    name : str
        Its first word, as samtools takes it.
    description : str
        The rest of the line.
    line : int
        Its number, from 1.
    """

    name: str
    description: str
    line: int


def read_sequences(source: Source, alphabet: Alphabet) -> Iterator[Header | UInt8Array]:
    """Yield each record's header and then its symbols, uint8, in pieces of at most one block.

    For `bytes`, a file that does not start with `>` is one record named after the file, line ends included.

    Raises
    ------
    DataError
        At the first fault, with its line; the module's tests list them all.
    """
    parser = _Parser(source.path, alphabet)
    blocks = source.blocks()
    try:
        first = next(blocks, b"")
        if not alphabet.has_complement and first and first[:1] != b">":
            yield Header(source.path.name, "", 1)
            yield alphabet.symbols(first)
            for block in blocks:
                yield alphabet.symbols(block)
            return
        parser.check_start(first)
        for block in _unix_line_ends(first, blocks):
            yield from parser.feed(block)
        yield from parser.finish()
    except DamagedSourceError as error:
        parser.fail(parser.line, f"{error}; copy or download it again")


def _unix_line_ends(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    held = b""
    for blocks in ((first,), rest):
        for block in blocks:
            block = held + block
            held = b"\r" if block.endswith(b"\r") else b""
            block = block[:-1] if held else block
            yield block.replace(b"\r\n", b"\n") if b"\r" in block else block
    if held:
        yield held


class _Parser:
    """State between blocks: where in the file, in which record, and how long its lines are."""

    def __init__(self, path: Path, alphabet: Alphabet) -> None:
        self.path = path
        self.line = 1
        self._alphabet = alphabet
        self._table = alphabet.symbol_of_text.tobytes()
        self._first_lines: dict[str, int] = {}
        self._header: bytes | None = None
        self._record: Header | None = None
        self._length = 0
        # Letters so far of the line that goes on in the next block; the width of full lines; the first other
        # line.
        self._column = 0
        self._width: int | None = None
        self._odd: tuple[int, int] | None = None

    def fail(self, line: int, what: str) -> NoReturn:
        raise DataError(f"{self.path}:{line:d}: {what}")

    def check_start(self, block: bytes) -> None:
        if not block:
            raise DataError(f"{self.path}: empty; a FASTA file starts with a line such as '>chr1'")
        if block.startswith(b">"):
            return
        for magic, what in _OTHER_FORMATS.items():
            if block.startswith(magic):
                self.fail(1, f"no FASTA header but {what}")
        if b"\0" in block[:4096]:
            self.fail(1, "binary data, not FASTA, whose first line is such as '>chr1'; check the file's name")
        text = block[:20].split(b"\n")[0].decode("ascii", "replace").rstrip("\r")
        self.fail(1, f"no header: the line starts with {text!r}; put a line such as '>chr1' before the sequence")

    def feed(self, block: bytes) -> Iterator[Header | UInt8Array]:
        at = 0
        while at < len(block):
            if self._header is not None:
                end = block.find(b"\n", at)
                self._header += block[at:] if end < 0 else block[at:end]
                if len(self._header) > _LONGEST_HEADER:
                    self.fail(self.line, "a header of more than a megabyte; is this FASTA?")
                if end < 0:
                    return
                yield self._begin_record()
                at = end + 1
            elif self._column == 0 and block[at : at + 1] == b">":
                self._end_record()
                self._header = b""
                at += 1
            else:
                end = block.find(b"\n>", at)
                stop = len(block) if end < 0 else end + 1
                yield self._sequence(block[at:stop])
                at = stop

    def finish(self) -> Iterator[Header | UInt8Array]:
        if self._header is not None:
            yield self._begin_record()
        if self._column:
            self._check_lines(np.array([self._column]))
            self._column = 0
        self._end_record()

    def _begin_record(self) -> Header:
        assert self._header is not None
        text = self._header.decode("utf-8", "replace")
        self._header = None
        if "\0" in text:
            self.fail(self.line, "a NUL byte in a header; the file is damaged or binary")
        name, _, description = text.replace("\t", " ").partition(" ")
        if not name:
            self.fail(self.line, "a header without a name; write the name right after '>', such as '>chr1'")
        if name in self._first_lines:
            self.fail(
                self.line,
                f"the name {name!r} is used already in line {self._first_lines[name]}; rename one of the two",
            )
        self._first_lines[name] = self.line
        self._record = Header(name, description.strip(), self.line)
        self._length, self._width, self._odd = 0, None, None
        self.line += 1
        return self._record

    def _end_record(self) -> None:
        if self._record is not None and self._length == 0:
            self.fail(
                self._record.line,
                f"{self._record.name!r} has no sequence; remove the header or add its bases",
            )

    def _sequence(self, chunk: bytes) -> UInt8Array:
        symbols = np.frombuffer(chunk.translate(self._table, b"\n"), np.uint8)
        if self._alphabet.has_complement and bool((symbols == _INVALID).any()):
            self._fail_at_letter(chunk)
        ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == _NEWLINE)
        if ends.size:
            lengths = ends.copy()
            lengths[1:] -= ends[:-1] + 1
            lengths[0] += self._column
            self._check_lines(lengths)
            self._column = len(chunk) - int(ends[-1]) - 1
        else:
            self._column += len(chunk)
        self._length += symbols.size
        self.line += ends.size
        return symbols

    def _check_lines(self, lengths: npt.NDArray[np.int64]) -> None:
        """Check that lines are of one length, but for a shorter last one and blank ones after it."""
        if self._width is None:
            self._width = int(lengths[0])
        odd = np.flatnonzero((lengths != self._width) | (lengths == 0))
        if self._odd is None and odd.size:
            first = int(odd[0])
            self._odd = (self.line + first, int(lengths[first]))
            if lengths[first] > self._width:
                self.fail(
                    self.line + first,
                    f"{lengths[first]} letters where the lines above have {self._width}; "
                    "give all lines of a record one length (seqkit seq -w 60)",
                )
            lengths = lengths[first + 1 :]
        if self._odd is not None and lengths.any():
            self._fail_at_odd_line()

    def _fail_at_odd_line(self) -> NoReturn:
        assert self._odd is not None
        line, length = self._odd
        if length == 0:
            self.fail(line, "a blank line inside a record; remove it")
        self.fail(
            line,
            f"{length} letters where the lines above have {self._width}, and more lines follow; "
            "give all lines of a record one length (seqkit seq -w 60)",
        )

    def _fail_at_letter(self, chunk: bytes) -> NoReturn:
        raw = np.frombuffer(chunk, np.uint8)
        bad = (self._alphabet.symbol_of_text[raw] == _INVALID) & (raw != _NEWLINE)
        first = int(np.flatnonzero(bad)[0])
        line = self.line + chunk.count(b"\n", 0, first)
        begin = chunk.rfind(b"\n", 0, first) + 1
        column = first - begin + 1 + (self._column if begin == 0 else 0)
        byte = chunk[first]
        letters = set(chunk[begin:].split(b"\n", 1)[0]) & _PROTEIN_ONLY
        if byte == 0:
            self.fail(line, f"a NUL byte in column {column}; the file is damaged or binary")
        if byte == ord("\r"):
            self.fail(line, "a carriage return without a newline; convert the line ends (mac2unix)")
        if len(letters) > 1:
            found = "".join(map(chr, sorted(letters)))
            self.fail(
                line,
                f"{found!r} are no nucleotides: this looks like protein; give DNA (or use --alphabet bytes)",
            )
        self.fail(
            line,
            f"{chr(byte)!r} in column {column} is no nucleotide; "
            "use A C G T U N or an IUPAC code (or --alphabet bytes)",
        )
