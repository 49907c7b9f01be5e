"""Random access to the text of a FASTA file, plain or BGZF, by the index that samtools uses (.fai, .gzi).

For bulk reading use `genomamba.data.genome.Genome`; this is for a look at single places of the original file.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyfaidx

from genomamba.alphabet import get_alphabet
from genomamba.data.folders import cache_folders, log_once, source_key, writable_folder
from genomamba.data.names import ContigNames
from genomamba.data.parse import read_sequences
from genomamba.data.source import Compression, DamagedSourceError, Source, compression
from genomamba.errors import DataError

__all__ = ["Fasta", "read_headers"]

_GZIP_SUFFIXES = (".gz", ".bgz")


class Fasta:
    """Text of any stretch of any record. Each process reads through a handle of its own, which threads may share.

    The index lies beside the FASTA, or beside the caches where that folder cannot be written. It is made
    where it is missing or older than the FASTA; the FASTA is then checked whole.

    Parameters
    ----------
    path : str or Path
        Plain or BGZF FASTA.
    cache_dir : str or Path, optional
        See `genomamba.data.cache.build_cache`.

    Attributes
    ----------
    path : Path
        The FASTA.
    lengths : dict of str to int
        Length in bases of each record, in the order of the file.

    Raises
    ------
    DataError
        Where the file is missing, malformed, or compressed other than by bgzip, or its index is of another
        file.
    """

    def __init__(self, path: str | Path, *, cache_dir: str | Path | None = None) -> None:
        self.path = Path(path)
        self._is_bgzf = _check_kind(self.path)
        self._index = self._find_index(cache_dir)
        self._opened: tuple[int, Any] | None = None
        handle = self._handle()
        self.lengths: dict[str, int] = {name: record.rlen for name, record in handle.index.items()}
        self._names = ContigNames(dict.fromkeys(self.lengths, ""), str(self.path))
        self._check_index(handle)

    def fetch(self, contig: str, start: int, end: int, *, pad: bool = False) -> str:
        """Return the letters of [start, end), 0-based, as they are in the file.

        Parameters
        ----------
        pad : bool
            Fill what lies past the record's end with N.

        Raises
        ------
        DataError
            Where there is no such record, or where the stretch passes its end and `pad` is False.
        ValueError
            Where not 0 <= start <= end.
        """
        if not 0 <= start <= end:
            raise ValueError(f"[{start}, {end}) of {contig} is not 0 <= start <= end")
        name = self._names.resolve(contig)
        length = self.lengths[name]
        if end > length and not pad:
            raise DataError(
                f"{self.path}: {name} has {length:,} bases, and 0-based [{start:,}, {end:,}) was asked; "
                "stay within it, or ask for padding"
            )
        stop = min(end, length)
        text = self._read(name, start, stop) if start < stop else ""
        return text.ljust(end - start, "N")

    def _read(self, name: str, start: int, stop: int) -> str:
        try:
            text: str = self._handle().fetch(name, start + 1, stop)
        except (OSError, ValueError, zlib.error, pyfaidx.FetchError) as error:
            raise DataError(f"{self.path}: {name}:{start + 1:,}-{stop:,} cannot be read ({error})") from None
        if len(text) != stop - start:
            raise DataError(f"{self.path}: ends before {name}:{stop:,}; it has changed since {self._index} was made")
        return text

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def _handle(self) -> Any:
        # A handle that is shared over a fork shares its file position too, and then reads wrong places. Threads may
        # share one, for pyfaidx holds a lock from the seek to the end of the read.
        process = os.getpid()
        if self._opened is None or self._opened[0] != process:
            if not _is_current(self.path, self._index, is_bgzf=self._is_bgzf):
                raise DataError(f"{self.path}: has changed since it was opened; start the command again")
            self._opened = (process, _open_indexed(self.path, self._index, build=False))
        return self._opened[1]

    def _find_index(self, cache_dir: str | Path | None) -> Path:
        beside = self.path.with_name(f"{self.path.name}.fai")
        folders = cache_folders(cache_dir)
        places = [beside, *(folder / f"{source_key(self.path)}.fai" for folder in folders)]
        for place in places:
            if _is_current(self.path, place, is_bgzf=self._is_bgzf):
                return place
        target = beside
        if not os.access(beside.parent, os.W_OK):
            target = writable_folder(folders) / places[-1].name
        if target.exists():
            log_once(f"{target}: older than {self.path.name}; it is made anew")
        self._make_index(target)
        return target

    def _make_index(self, target: Path) -> None:
        with Source(self.path) as source:
            for _ in read_sequences(source, get_alphabet("dna")):
                pass
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
            made = Path(folder) / target.name
            _open_indexed(self.path, made, build=True).close()
            if self._is_bgzf:
                os.replace(_gzi(made), _gzi(target))
            os.replace(made, target)

    def _check_index(self, handle: Any) -> None:
        """Look whether the index's last record is where it says, for a newer index may be another file's."""
        name = next(reversed(self.lengths), "")
        header = last = ""
        try:
            if name:
                header = handle.get_long_name(name).strip(">\r\n")
                last = handle.fetch(name, self.lengths[name], self.lengths[name])
        except (OSError, ValueError, pyfaidx.FetchError):
            last = ""
        if len(last) != 1 or "\n" in header or header.split()[:1] != [name]:
            what = f"says that {name!r} is where the FASTA has none" if name else "is empty"
            raise DataError(
                f"{self._index}:{max(1, len(self.lengths))}: {what}; it is of another file: delete it, "
                "and it is made anew"
            )


def read_headers(path: Path, most_bytes: Mapping[Compression, int]) -> dict[str, str] | None:
    """Return the rest of the header of every record by its name, where they are to be had quickly, and None else.

    Parameters
    ----------
    path : Path
        Plain, gzip or BGZF.
    most_bytes : mapping
        Sizes of files up to which one without an index beside it is read, by compression.

    Raises
    ------
    DataError
        Where the file is missing, or BGZF that is cut short.
    """
    kind = compression(path)
    lines = _indexed_headers(path, kind)
    if lines is None and path.stat().st_size <= most_bytes[kind]:
        try:
            with Source(path) as source:
                lines = [line.decode("utf-8", "replace").strip() for line in _header_lines(source)]
        except DamagedSourceError:
            return None
    if lines is None:
        return None
    parts = [line.replace("\t", " ").partition(" ") for line in lines]
    return {name: description.strip() for name, _, description in parts}


def _indexed_headers(path: Path, kind: Compression) -> list[str] | None:
    """Return the headers that an index beside the file leads to; None where it is absent, old, or of another file."""
    index = path.with_name(f"{path.name}.fai")
    if kind == "gzip" or not _is_current(path, index, is_bgzf=kind == "bgzf"):
        return None
    try:
        with contextlib.closing(_open_indexed(path, index, build=False)) as handle:
            names = list(handle.index)
            lines = [handle.get_long_name(name).strip(">\r\n") for name in names]
    except (DataError, OSError, ValueError, zlib.error, pyfaidx.FetchError):
        return None
    return lines if [line.split()[:1] for line in lines] == [[name] for name in names] else None


def _header_lines(source: Source) -> Iterator[bytes]:
    rest = b"\n"
    for block in source.blocks():
        text = rest + block
        start = text.find(b"\n>")
        while start >= 0 and (end := text.find(b"\n", start + 2)) >= 0:
            yield text[start + 2 : end]
            start = text.find(b"\n>", end)
        rest = text[start:] if start >= 0 else text[-1:]
    if rest.startswith(b"\n>"):
        yield rest[2:]


def _is_current(path: Path, index: Path, *, is_bgzf: bool) -> bool:
    files = [index, _gzi(index)] if is_bgzf else [index]
    written = path.stat().st_mtime_ns
    return all(file.exists() and file.stat().st_mtime_ns >= written for file in files)


def _check_kind(path: Path) -> bool:
    """Return whether the file is BGZF. Raises `DataError` for what has no random access or a misleading name."""
    kind = compression(path)
    if kind == "gzip":
        raise DataError(
            f"{path}: plain gzip has no random access; recompress it with bgzip, or read it through a Genome"
        )
    named_gzip = path.name.lower().endswith(_GZIP_SUFFIXES)
    if (kind == "bgzf") != named_gzip:
        is_what, name = ("BGZF", f"{path.name}.gz") if kind == "bgzf" else ("not compressed", path.stem)
        raise DataError(f"{path}: {is_what}, against its name; rename it {name}")
    return kind == "bgzf"


def _gzi(index: Path) -> Path:
    return index.with_suffix(".gzi")


def _open_indexed(path: Path, index: Path, *, build: bool) -> Any:
    try:
        return pyfaidx.Faidx(
            str(path),
            indexname=str(index),
            gzi_indexname=str(_gzi(index)),
            as_raw=True,
            strict_bounds=True,
            build_index=build,
            rebuild=build,
        )
    except (pyfaidx.FastaIndexingError, OSError, ValueError) as error:
        what = " ".join(str(error).split())
        if build:
            raise DataError(f"{path}: cannot be indexed: {what}") from None
        raise DataError(f"{index}: the index cannot be read ({what}); delete it, and it is made anew") from None
