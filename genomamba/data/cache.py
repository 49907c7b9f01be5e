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

import hashlib
import json
import logging
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
from platformdirs import user_cache_path
from tqdm import tqdm

from genomamba.alphabet import Alphabet
from genomamba.data.parse import Header, read_sequences
from genomamba.data.source import Source, checksum, open_input
from genomamba.errors import DataError

__all__ = ["CachedContig", "CachedFasta", "build_cache", "cache_folders", "cache_path"]

UInt8Array = npt.NDArray[np.uint8]

FORMAT_VERSION: Final = 1
_MAGIC: Final = b"genomamba cache\n"
_PREAMBLE: Final = struct.Struct("<16sIIQQ24x")

_log = logging.getLogger("genomamba")


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
        self._open()

    def _open(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, descriptor)
        self._descriptor = descriptor
        index = _read_index(descriptor, self.path)
        self.source: dict[str, Any] = index["source"]
        rows = (CachedContig(*row) for row in index["contigs"])
        self.contigs = {contig.name: contig for contig in rows}

    def read(self, contig: str, start: int, end: int) -> UInt8Array:
        """Return symbols [start, end) of a contig, uint8; the caller sees to it that they exist."""
        found = self.contigs[contig]
        assert 0 <= start <= end <= found.length
        symbols = np.empty(end - start, np.uint8)
        _read_into(self._descriptor, symbols, found.offset + start, self.path)
        return symbols

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "sha256": self.source["sha256"]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._open()
        if self.source["sha256"] != state["sha256"]:
            raise DataError(
                f"{self.path}: was made anew from another FASTA while in use; start the command again"
            )


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
    target = cache_path(path, alphabet, _writable(folders))
    _write(target, path, alphabet, progress)
    return CachedFasta(target)


def cache_path(path: str | Path, alphabet: Alphabet, folder: str | Path) -> Path:
    """Return the cache's place in a folder: the file's name, a hash of its full path, and the alphabet."""
    full = Path(path).resolve()
    key = hashlib.sha256(os.fsencode(full)).hexdigest()[:12]
    return Path(folder) / f"{full.name[:120]}.{key}.{alphabet.name}.cache"


def cache_folders(cache_dir: str | Path | None = None) -> list[Path]:
    """Return the folders in which caches are sought: the one named, else the user's and a temporary one."""
    if named := cache_dir or os.environ.get("GENOMAMBA_CACHE_DIR"):
        return [Path(named).expanduser()]
    return [user_cache_path("genomamba"), Path(tempfile.gettempdir()) / f"genomamba-{os.getuid()}"]


def _writable(folders: list[Path]) -> Path:
    reason = ""
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            if folder.stat().st_uid != os.getuid() and len(folders) > 1:
                raise OSError(None, "it belongs to someone else")
        except OSError as error:
            reason = reason or str(error.strerror)
            continue
        if folder != folders[0]:
            _log.warning("%s: cannot be written (%s); caches go to %s", folders[0], reason, folder)
        return folder
    raise DataError(
        f"{folders[0]}: the cache cannot be written there ({reason}); name another folder by --cache-dir"
    )


def _open_fresh(target: Path, path: Path, alphabet: Alphabet) -> CachedFasta | None:
    if not target.exists():
        return None
    try:
        cached = CachedFasta(target)
    except DataError as error:
        _log.info("%s; it is made anew", error)
        return None
    except OSError as error:
        _log.info("%s: cannot be read (%s); it is made anew", target, error.strerror)
        return None
    stat = path.stat()
    source = cached.source
    if (source["bytes"], source["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns):
        return cached
    if source["bytes"] == stat.st_size and source["sha256"] == checksum(path):
        return cached
    _log.info("%s: has changed since its cache was made; the cache is made anew", path)
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
                "alphabet": alphabet.name,
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


def _write_symbols(
    file: BinaryIO, source: Source, alphabet: Alphabet, size: int, progress: bool
) -> list[CachedContig]:
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
        raise DataError(
            f"{path}: the cache has {size:,} bytes and should have {start + length:,}; it is damaged"
        )
    raw = np.empty(length, np.uint8)
    _read_into(descriptor, raw, start, path)
    if zlib.crc32(raw.data) != crc:
        raise DataError(f"{path}: the cache's index is damaged")
    index: dict[str, Any] = json.loads(raw.tobytes())
    return index


def _read_into(descriptor: int, buffer: UInt8Array, offset: int, path: Path) -> None:
    """Fill a buffer from a file; one call reads at most 2 GiB, so that it may take several."""
    view = buffer.data
    while view:
        count = os.preadv(descriptor, [view], offset)
        if count == 0:
            raise DataError(f"{path}: the cache has been cut short while in use; start the command again")
        view, offset = view[count:], offset + count
