"""The cache: all symbols of one FASTA file in one flat file, so that any window is one read.

Layout: a preamble of 64 bytes (magic, format version, where the index lies, its CRC-32), the symbols (uint8,
one per base, contig after contig), and the index, which is JSON: alphabet, contigs, lengths and offsets, and
path, size, time and SHA-256 of the source. The index comes last because it is known last. The file is written
under a temporary name, synced and renamed, so that a reader sees a whole cache or none, and two processes may
build at once.

Windows are read with `pread` rather than through a memory map: it is as fast from the page cache, shares no
file position between threads or forked processes, and does not count pages of the file as the process's
memory.
"""

from __future__ import annotations

import json
import os
import struct
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from genomamba.alphabet import Alphabet
from genomamba.data.folders import cache_folders, log_once, source_key, writable_folder
from genomamba.data.parse import Header, read_sequences
from genomamba.data.source import Source, checksum, open_input
from genomamba.errors import DataError

__all__ = ["CachedContig", "CachedFasta", "build_cache", "cache_path"]

UInt8Array = npt.NDArray[np.uint8]

FORMAT_VERSION: Final = 1
_MAGIC: Final = b"genomamba cache\n"
# Small enough that the piece stays in the processor's cache until it is copied.
_LARGEST_READ: Final = 1 << 16
_PREAMBLE: Final = struct.Struct("<16sIIQQ24x")


@dataclass(frozen=True, slots=True)
class CachedContig:
    """One contig of a cache: its name and description, its length in bases, and where its symbols start."""

    name: str
    description: str
    length: int
    offset: int


class CachedFasta:
    """An open cache. It holds no symbols, may be shared by threads, survives a fork, and can be pickled.

    Attributes
    ----------
    path : Path
        The cache file.
    source : dict
        `path`, `bytes`, `mtime_ns` and `sha256` of the FASTA it was made from, and its `alphabet`.
    contigs : dict of str to CachedContig
        In the order of the FASTA.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        index = self._open()
        self.source: dict[str, Any] = index["source"]
        rows = (CachedContig(*row) for row in index["contigs"])
        self.contigs = {contig.name: contig for contig in rows}

    def _open(self) -> dict[str, Any]:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, descriptor)
        index = _read_index(descriptor, self.path)
        self._descriptor = descriptor
        return index

    def read(self, contig: str, start: int, end: int) -> UInt8Array:
        """Return symbols [start, end) of a contig, uint8; the caller sees to it that they exist."""
        found = self.contigs[contig]
        assert 0 <= start <= end <= found.length
        if self._descriptor is None:
            self._reopen()
        assert self._descriptor is not None
        return _read_at(self._descriptor, found.offset + start, end - start, self.path)

    def _reopen(self) -> None:
        try:
            index = self._open()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror}); start the command again") from None
        if index["source"]["sha256"] != self.source["sha256"]:
            raise DataError(f"{self.path}: was made anew from another file while in use; start the command again")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptor": None}


def build_cache(
    path: str | Path,
    alphabet: Alphabet,
    *,
    cache_dir: str | Path | None = None,
    rebuild: bool = False,
    progress: bool = True,
) -> CachedFasta:
    """Open the cache of a FASTA; make it where it is missing or damaged, or where the FASTA has changed.

    Parameters
    ----------
    path : str or Path
        Plain, gzip or BGZF FASTA; for the `bytes` alphabet any file.
    cache_dir : str or Path, optional
        Folder of the cache. Default: `GENOMAMBA_CACHE_DIR`, else the user's cache folder, else, where that
        cannot be written, a folder of the user's own among the temporary files.
    rebuild : bool
        Make it anew in any case.
    progress : bool
        Show a progress bar where standard error is a terminal.

    Raises
    ------
    DataError
        Where the FASTA is missing or malformed, or the cache cannot be written.
    """
    path = Path(path)
    open_input(path).close()
    folders = cache_folders(cache_dir)
    if not rebuild:
        for folder in folders:
            if cached := _open_fresh(cache_path(path, alphabet, folder), path, alphabet):
                return cached
    target = cache_path(path, alphabet, writable_folder(folders))
    _write(target, path, alphabet, progress)
    return CachedFasta(target)


def cache_path(path: str | Path, alphabet: Alphabet, folder: str | Path) -> Path:
    """Return the cache's place in a folder: the file's name, a hash of its full path, and `dna` or `bytes`."""
    return Path(folder) / f"{source_key(path)}.{alphabet.letters}.cache"


def _open_fresh(target: Path, path: Path, alphabet: Alphabet) -> CachedFasta | None:
    if not target.exists():
        return None
    try:
        cached = CachedFasta(target)
    except DataError as error:
        log_once(f"{error}; it is made anew")
        return None
    except OSError as error:
        log_once(f"{target}: cannot be read ({error.strerror}); it is made anew")
        return None
    stat = path.stat()
    source = cached.source
    if (source["bytes"], source["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns):
        return cached
    if source["bytes"] == stat.st_size and source["sha256"] == checksum(path):
        return cached
    log_once(f"{path}: has changed since its cache was made; the cache is made anew")
    return None


def _write(target: Path, path: Path, alphabet: Alphabet, progress: bool) -> None:
    try:
        with _temporary(target) as file, Source(path) as source:
            stat = path.stat()
            file.write(bytes(_PREAMBLE.size))
            contigs = _write_symbols(file, source, alphabet, stat.st_size, progress)
            origin = {
                "path": str(path.resolve()),
                "bytes": stat.st_size,
                "mtime_ns": stat.st_mtime_ns,
                "sha256": source.sha256(),
                "alphabet": alphabet.letters,
            }
            rows = [[c.name, c.description, c.length, c.offset] for c in contigs]
            index = json.dumps({"source": origin, "contigs": rows}).encode()
            start = file.tell()
            file.write(index)
            file.seek(0)
            file.write(_PREAMBLE.pack(_MAGIC, FORMAT_VERSION, zlib.crc32(index), start, len(index)))
    except OSError as error:
        raise DataError(
            f"{target}: the cache cannot be written ({error.strerror}); "
            "free some space or name another folder by --cache-dir"
        ) from None


@contextmanager
def _temporary(target: Path) -> Iterator[BinaryIO]:
    """Give a file that takes the target's place when the block ends well, and vanishes when it does not."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_symbols(file: BinaryIO, source: Source, alphabet: Alphabet, size: int, progress: bool) -> list[CachedContig]:
    contigs: list[CachedContig] = []
    header: Header | None = None
    begin = _PREAMBLE.size

    def close() -> None:
        if header is not None:
            contigs.append(CachedContig(header.name, header.description, file.tell() - begin, begin))

    with tqdm(
        total=size,
        unit="B",
        unit_scale=True,
        desc=f"indexing {source.path.name}",
        disable=None if progress else True,
        leave=False,
    ) as bar:
        for piece in read_sequences(source, alphabet):
            if isinstance(piece, Header):
                close()
                header, begin = piece, file.tell()
                continue
            file.write(piece.data)
            bar.set_postfix_str(f"{file.tell() / 1e6:,.0f} Mb", refresh=False)
            bar.update(source.raw_bytes - bar.n)
        close()
    return contigs


def _read_index(descriptor: int, path: Path) -> dict[str, Any]:
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, _PREAMBLE.size, 0)
    if len(head) < _PREAMBLE.size or not head.startswith(_MAGIC):
        raise DataError(f"{path}: no cache of genomamba, or damaged")
    _, version, crc, start, length = _PREAMBLE.unpack(head)
    if version != FORMAT_VERSION:
        raise DataError(f"{path}: a cache of format {version}, where this version reads {FORMAT_VERSION}")
    if start + length != size:
        raise DataError(f"{path}: the cache has {size:,} bytes and should have {start + length:,}; it is damaged")
    raw = _read_at(descriptor, start, length, path)
    if zlib.crc32(raw.data) != crc:
        raise DataError(f"{path}: the cache's index is damaged")
    index: dict[str, Any] = json.loads(raw.tobytes())
    return index


def _read_at(descriptor: int, offset: int, size: int, path: Path) -> UInt8Array:
    """Read bytes of a file at a place, in as many calls as it takes."""
    data = np.empty(size, np.uint8)
    done = 0
    while done < size:
        piece = np.frombuffer(os.pread(descriptor, min(size - done, _LARGEST_READ), offset + done), np.uint8)
        if not piece.size:
            raise DataError(f"{path}: the cache has been cut short while in use; start the command again")
        data[done : done + piece.size] = piece
        done += piece.size
    return data
