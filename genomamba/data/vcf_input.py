"""The text of a VCF, whatever holds it: a plain file, gzip, BGZF, BCF, or standard input."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

import pysam

from genomamba.data.source import DamagedSourceError, Source, open_input
from genomamba.errors import DataError

__all__ = ["STANDARD_INPUT", "VcfText", "quiet_htslib"]

STANDARD_INPUT: Final = "-"

_BCF = b"BCF\x02"
_HEAD_BYTES = 1 << 16
# Text of BCF that is handed on together.
_TEXT_BYTES = 1 << 18


class VcfText:
    """Blocks of the decompressed text of a VCF, in order; a BCF is told by its bytes and written out as text.

    Parameters
    ----------
    name : str or Path
        A file, a pipe, or `-` for standard input.

    Attributes
    ----------
    size : int or None
        Bytes of the file as it lies on the disk; None for a stream.

    Raises
    ------
    DataError
        Where the file cannot be opened, or is BGZF and lacks its closing block.
    """

    def __init__(self, name: str | Path) -> None:
        self.name = str(name)
        self._is_bcf = False
        path = Path(name)
        if self.name == STANDARD_INPUT:
            self.size = None
            self._source = Source(path, _with_long_head(sys.stdin.buffer))
        elif path.is_fifo() or path.is_char_device():
            # What a shell gives for <(command): it can be opened once, and read once.
            self.size = None
            self._source = Source(path, _with_long_head(open_input(path)))
        else:
            self._source = Source(path)
            self.size = path.stat().st_size

    def __enter__(self) -> VcfText:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.name != STANDARD_INPUT:
            self._source.__exit__(kind, error, trace)

    @property
    def fraction_read(self) -> float | None:
        """How much of the file has been read, from 0 to 1; None where that is not known: of a stream, or of BCF."""
        return self._source.raw_bytes / self.size if self.size and not self._is_bcf else None

    def blocks(self) -> Iterator[bytes]:
        """Yield the text in pieces of about 2 MiB. Raises `DamagedSourceError` where it is damaged."""
        blocks = self._source.blocks()
        first = next(blocks, b"")
        if not first.startswith(_BCF):
            yield first
            yield from blocks
            return
        self._is_bcf = True
        if self.size is not None:
            yield from self._text_of_bcf(self.name)
            return
        # htslib opens files only.
        with tempfile.NamedTemporaryFile(prefix="genomamba-", suffix=".bcf") as spool:
            spool.write(first)
            for block in blocks:
                spool.write(block)
            spool.flush()
            yield from self._text_of_bcf(spool.name)

    def _text_of_bcf(self, path: str) -> Iterator[bytes]:
        try:
            with quiet_htslib():
                file = pysam.VariantFile(path)
                text = str(file.header).encode()
        except (OSError, ValueError) as error:
            raise DataError(f"{self.name}: not a readable BCF ({_one_line(error)}); make it again") from None
        number, fault = 0, None
        with file:
            while text or fault is not None:
                number += text.count(b"\n")
                yield text
                if isinstance(fault, UnicodeDecodeError):
                    raise DataError(
                        f"{self.name}:{number + 1}: no UTF-8, which is kept in VCF but not read from BCF; "
                        "convert it: bcftools view -O z"
                    )
                if fault is not None:
                    raise DamagedSourceError(f"the BCF is damaged after this line ({_one_line(fault)})")
                text, fault = _some_lines(file)


def _some_lines(file: pysam.VariantFile) -> tuple[bytes, Exception | None]:
    """Return the lines of the next records, none at the end; and what is wrong with the record that follows them."""
    text = bytearray()
    try:
        with quiet_htslib():
            for record in file:
                text += str(record).encode()
                if len(text) >= _TEXT_BYTES:
                    break
    except (OSError, ValueError) as error:
        return bytes(text), error
    return bytes(text), None


@contextmanager
def quiet_htslib() -> Iterator[None]:
    """Keep htslib from printing: what it would say comes as an error too, or concerns what we pass on unread."""
    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)


class _Rewound(io.RawIOBase):
    """A stream that starts with bytes which were read from it already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest
        self._is_standard = rest is sys.stdin.buffer

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        # Python closes what it collects, and standard input is not ours to close.
        if not self._is_standard:
            self._rest.close()
        super().close()

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._head[: len(view)] if self._head else self._rest.read(len(view))
        self._head = self._head[len(data) :]
        view[: len(data)] = data
        return len(data)


def _with_long_head(stream: BinaryIO) -> io.BufferedReader:
    """Return a reader that can be asked for its first bytes, which a pipe may give in small pieces."""
    head = stream.read(_HEAD_BYTES)
    return io.BufferedReader(_Rewound(head, stream), _HEAD_BYTES)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
