"""Input files: which ones a user means, and their bytes, decompressed, as a stream of bounded memory."""

from __future__ import annotations

import glob
import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader, RawIOBase
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

from genomamba.errors import DataError

__all__ = ["FASTA_SUFFIXES", "Source", "checksum", "compression", "expand_paths", "open_input"]

FASTA_SUFFIXES: Final = (".fa", ".fasta", ".fna", ".fsa", ".fas", ".ffn", ".frn", ".mfa", ".seq")
BLOCK_BYTES: Final = 1 << 21

_COMPRESSED_SUFFIXES = ("", ".gz", ".bgz")
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

Compression = Literal["none", "gzip", "bgzf"]


def expand_paths(paths: Iterable[str | Path]) -> list[Path]:
    """Turn files, directories and globs into files: in the order given, sorted within each, each file once.

    Raises
    ------
    DataError
        For `-`, for a path or a glob that leads to no file, and for a directory without FASTA files.
    """
    found: dict[Path, Path] = {}
    for given in paths:
        for path in _expand(str(given)):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _expand(given: str) -> list[Path]:
    if given == "-":
        raise DataError(
            "-: a genome cannot be read from standard input, because it is read more than once; "
            "write it to a file and give its name"
        )
    path = Path(given).expanduser()
    if path.is_dir():
        wanted = tuple(stem + end for stem in FASTA_SUFFIXES for end in _COMPRESSED_SUFFIXES)
        if files := sorted(p for p in path.iterdir() if p.name.lower().endswith(wanted) and p.is_file()):
            return files
        raise DataError(
            f"{given}: a directory without FASTA files; names must end with {', '.join(FASTA_SUFFIXES)}, "
            "with or without .gz; give the file itself otherwise"
        )
    if glob.has_magic(given) and not path.exists():
        if files := [p for p in map(Path, sorted(glob.glob(str(path)))) if p.is_file()]:
            return files
        raise DataError(f"{given}: no file has such a name; quote the pattern, and check the folder")
    return [path]


def open_input(path: Path) -> BufferedReader:
    """Open a file for reading bytes. Raises `DataError` that tells why it cannot be read."""
    try:
        return open(path, "rb")
    except FileNotFoundError:
        target = "a link to a file that does not exist" if path.is_symlink() else "no such file"
        raise DataError(f"{path}: {target}; check the name") from None
    except IsADirectoryError:
        raise DataError(f"{path}: a directory, where a file is expected") from None
    except PermissionError:
        raise DataError(f"{path}: permission denied; ask its owner for the right to read it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def compression(path: Path) -> Compression:
    """Tell by the first bytes whether a file is plain, gzip, or gzip in blocks (BGZF). Raises `DataError`."""
    with open_input(path) as file:
        return _compression_of(file.read(18))


def _compression_of(head: bytes) -> Compression:
    if head[:2] != b"\x1f\x8b":
        return "none"
    is_bgzf = len(head) == 18 and bool(head[3] & 4) and head[12:16] == b"BC\x02\x00"
    return "bgzf" if is_bgzf else "gzip"


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal. Raises `DataError` where it cannot be read."""
    with open_input(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Source:
    """The bytes of one input file, plain, gzip or BGZF, in blocks of 2 MiB; counts and hashes what it reads.

    Parameters
    ----------
    path : Path
        The file.
    stream : BufferedReader, optional
        Read instead of the file, such as standard input; `path` is then its name.

    Attributes
    ----------
    path : Path
        The file.
    raw_bytes : int
        Bytes of the file read so far, as they lie on the disk.

    Raises
    ------
    DataError
        Where the file cannot be opened, or is BGZF and lacks its closing block.
    """

    def __init__(self, path: Path, stream: BufferedReader | None = None) -> None:
        self.path = path
        self.raw_bytes = 0
        self._hash = hashlib.sha256()
        # The last bytes of a stream that is to end with a closing block, which a file is asked for beforehand.
        self._tail: bytes | None = None
        if stream is None:
            kind = compression(path)
            if kind == "bgzf":
                _check_bgzf_end(path)
            self._file = open_input(path)
        else:
            kind = _compression_of(stream.peek(18)[:18])
            self._file = stream
            self._tail = b"" if kind == "bgzf" else None
        tap = _Tap(self)
        self._text = tap if kind == "none" else gzip.GzipFile(fileobj=tap, mode="rb")

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def blocks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes in order. Raises `DamagedSourceError` where they are damaged."""
        while True:
            try:
                block = self._text.read(BLOCK_BYTES)
            except EOFError:
                raise DamagedSourceError(
                    "the gzip data ends inside a block, after this line; the file is cut short"
                ) from None
            except (zlib.error, gzip.BadGzipFile) as error:
                raise DamagedSourceError(f"the gzip data is damaged after this line ({error})") from None
            except OSError as error:
                raise DamagedSourceError(f"the file cannot be read on after this line ({error.strerror})") from None
            if not block:
                if self._tail is not None and self._tail != _BGZF_END:
                    raise DamagedSourceError("BGZF without its closing block; the data is cut short after this line")
                return
            yield block

    def sha256(self) -> str:
        """Return the SHA-256 of the file as read so far, in hexadecimal."""
        return self._hash.hexdigest()

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.raw_bytes += len(data)
        self._hash.update(data)
        if self._tail is not None:
            self._tail = (self._tail + data)[-len(_BGZF_END) :]
        return data


class DamagedSourceError(Exception):
    """The bytes end early or are damaged; whoever counts lines turns it into a `DataError` with the line."""


class _Tap(RawIOBase):
    """A readable that passes everything through its `Source`."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        return self._source._read(size)


def _check_bgzf_end(path: Path) -> None:
    with open_input(path) as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - len(_BGZF_END)))
        if file.read() == _BGZF_END:
            return
    raise DataError(
        f"{path}: BGZF without its closing block, so the file is cut short; copy or download it again "
        "(a file known to be whole: recompress it with bgzip)"
    )
