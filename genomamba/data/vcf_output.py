"""Where annotated records go: VCF, BGZF with its index, or BCF, whole under their name or not there at all."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import pysam

from genomamba.data.vcf_bgzf import BgzfWriter
from genomamba.data.vcf_input import quiet_htslib
from genomamba.errors import ConfigError, DataError, RunError
from genomamba.files import atomic_file

__all__ = [
    "KINDS", "STANDARD_OUTPUT", "ByteSink", "check_outputs", "is_stream", "open_bytes", "output_kind", "write_vcf",
]  # fmt: skip

STANDARD_OUTPUT: Final = "-"
KINDS: Final = ("vcf", "vcf.gz", "bcf", "tsv", "tsv.gz", "parquet")
"""What an output can be; also the ends of names that ask for it."""

_OPTIONS = {"v": "vcf", "z": "vcf.gz", "b": "bcf"}
# Bases that the bins of a .tbi reach, and those that positions in BCF do.
_TBI_REACH = 1 << 29
_BCF_REACH = (1 << 31) - 1
_CSI_MIN_SHIFT = 14
_BUFFER_BYTES = 1 << 20

_log = logging.getLogger("genomamba")


class ByteSink(Protocol):
    """Takes bytes. `reach` is to be set to the last base that any record reaches, 1-based, before the end."""

    reach: int

    def write(self, data: bytes, /) -> object:
        """Take some bytes."""


def output_kind(out: str | Path, option: str | None = None) -> str:
    """Return which of `KINDS` an output is, by its name or by the letter of `-O` (v, z, b, as in bcftools).

    Raises
    ------
    ConfigError
        Where the letter is another, or contradicts the name, or the name ends with none of `KINDS`.
    """
    name = str(out)
    by_name = next((kind for kind in sorted(KINDS, key=len, reverse=True) if name.lower().endswith(f".{kind}")), None)
    if option is None:
        if by_name is None and is_stream(name):
            return "vcf"
        if by_name is None:
            ends = ", ".join(f".{kind}" for kind in KINDS)
            raise ConfigError(f"--out is {name}; its name must end with {ends}, or give -O v, z or b")
        return by_name
    if option not in _OPTIONS:
        raise ConfigError(f"-O is {option!r}; it must be v (VCF), z (VCF in BGZF) or b (BCF)")
    if by_name not in (None, _OPTIONS[option]):
        raise ConfigError(f"-O {option} writes .{_OPTIONS[option]}, but --out is {name}; leave out -O, or rename it")
    return _OPTIONS[option]


def is_stream(out: str | Path) -> bool:
    """Whether an output is standard output, a pipe or a device, which nothing can be renamed to."""
    path = Path(out)
    # /dev/stdout is a file where a shell sends it into one, and is to be written through all the same.
    is_device = path.is_relative_to("/dev") or (path.exists() and not path.is_file() and not path.is_dir())
    return str(out) == STANDARD_OUTPUT or is_device


def check_outputs(*, force: bool, inputs: Sequence[str | Path | None] = (), **files: str | Path | None) -> None:
    """Refuse files that could not be written, while nothing is computed yet.

    Parameters
    ----------
    force : bool
        Whether those that are there are replaced.
    inputs : sequence of str, Path or None
        Files that are read, and never replaced.
    files
        Their names by the options that give them; None is none. `out` alone may be a stream.

    Raises
    ------
    ConfigError
        For a stream in the place of a file, and for a file that is read.
    RunError
        Where a file is there, or its folder is not.
    """
    for option, name in files.items():
        if name is None:
            continue
        if is_stream(name):
            if option != "out":
                raise ConfigError(f"--{option} is {name}, a stream; name a file")
            continue
        if any(_is_one_file(one, name) for one in inputs if one is not None):
            raise ConfigError(f"--{option} is {name}, which is read; give another name")
        if Path(name).exists() and not force:
            raise RunError(f"{name}: exists; give --force to replace it, or another name")
        if not Path(name).parent.is_dir():
            raise RunError(f"{name}: there is no folder {Path(name).parent}; make it, or give another name")


def _is_one_file(one: str | Path, other: str | Path) -> bool:
    return Path(one).exists() and Path(other).exists() and Path(one).samefile(other)


@contextmanager
def write_vcf(out: str | Path, kind: str, *, longest_contig: int) -> Iterator[ByteSink]:
    """Open a VCF for writing as text; it appears under its name, with its index, when the block ends without error.

    A `.vcf.gz` gets a `.tbi`, or a `.csi` where a base lies past 2^29; a `.bcf` gets a `.csi`.

    Parameters
    ----------
    out : str or Path
        A file, or `-` for standard output, which gets no index.
    kind : str
        `vcf`, `vcf.gz` or `bcf`.
    longest_contig : int
        Length in bases of the longest contig that is declared, or 0.

    Raises
    ------
    DataError
        Where BCF has no room for what is written.
    RunError
        Where the file cannot be written; what was there is untouched.
    """
    if kind == "bcf":
        with _as_bcf(out) as sink:
            yield sink
    elif kind == "vcf" or is_stream(out):
        with open_bytes(out, blocked=kind == "vcf.gz") as sink:
            yield sink
    else:
        with _with_index(Path(out), longest_contig) as sink:
            yield sink


@contextmanager
def open_bytes(out: str | Path, *, blocked: bool) -> Iterator[ByteSink]:
    """Open a file, or `-`, for bytes, in BGZF where `blocked`; a file appears under its name when the block ends."""
    if is_stream(out):
        with _opened_stream(out) as file, _sink(file, blocked) as sink:
            yield sink
        return
    with atomic_file(Path(out)) as temporary, temporary.open("wb", _BUFFER_BYTES) as file, _sink(file, blocked) as sink:
        yield sink


class _Plain:
    """Bytes as they are."""

    def __init__(self, file: BinaryIO) -> None:
        self.reach = 0
        self.write = file.write


class _Blocked:
    """Bytes in BGZF."""

    def __init__(self, writer: BgzfWriter) -> None:
        self.reach = 0
        self.write = writer.write


@contextmanager
def _sink(file: BinaryIO, blocked: bool) -> Iterator[ByteSink]:
    if not blocked:
        yield _Plain(file)
        return
    writer = BgzfWriter(file)
    try:
        yield _Blocked(writer)
        writer.close()
    except BaseException:
        writer.abandon()
        raise


@contextmanager
def _opened_stream(out: str | Path) -> Iterator[BinaryIO]:
    try:
        if str(out) == STANDARD_OUTPUT:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        else:
            with open(out, "wb") as file:
                yield file
    except BrokenPipeError:
        # Whoever read our output has had enough; the command line ends quietly.
        raise
    except OSError as error:
        raise RunError(f"{out}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _with_index(out: Path, longest_contig: int) -> Iterator[ByteSink]:
    indexes = [out.with_name(f"{out.name}{end}") for end in (".tbi", ".csi")]
    made: Path | None = None
    with atomic_file(out) as temporary:
        try:
            with temporary.open("wb", _BUFFER_BYTES) as file, _sink(file, blocked=True) as sink:
                yield sink
            made = _make_index(temporary, out, reach=max(sink.reach, longest_contig))
            # An index of what was there before would be taken for ours, should we be stopped right here.
            for index in indexes:
                index.unlink(missing_ok=True)
        except BaseException:
            _remove_indexes(temporary)
            raise
    if made is not None:
        os.replace(made, out.with_name(f"{out.name}{made.suffix}"))


def _make_index(path: Path, out: Path, *, reach: int) -> Path | None:
    """Index a file of BGZF, and return the index; None, with a warning, where htslib makes none."""
    for suffix in (".csi",) if reach > _TBI_REACH else (".tbi", ".csi"):
        index = path.with_name(f"{path.name}{suffix}")
        is_csi = suffix == ".csi"
        try:
            with quiet_htslib():
                pysam.tabix_index(
                    str(path),
                    preset="vcf",
                    force=True,
                    csi=is_csi,
                    min_shift=_CSI_MIN_SHIFT if is_csi else 0,
                    index=str(index),
                )
        except OSError:
            # A record may reach further than its POS: by END, in INFO.
            index.unlink(missing_ok=True)
        else:
            return index
    _log.warning(
        "%s: written without an index, which htslib did not make: bases up to %s are too far, or the disk is full",
        out,
        f"{reach:,}",
    )
    return None


def _remove_indexes(path: Path) -> None:
    for suffix in (".tbi", ".csi"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


@contextmanager
def _as_bcf(out: str | Path) -> Iterator[ByteSink]:
    if is_stream(out):
        with tempfile.TemporaryDirectory(prefix="genomamba-") as folder:
            whole = Path(folder) / "out.bcf"
            with _as_bcf(whole) as sink:
                yield sink
            with whole.open("rb") as file, _opened_stream(out) as stream:
                shutil.copyfileobj(file, stream)
        return
    path = Path(out)
    made = path.with_name(f"{path.name}.csi")
    with atomic_file(path) as temporary:
        text, index = (temporary.with_name(f"{temporary.name}{end}") for end in (".vcf", ".csi"))
        try:
            with text.open("wb") as file:
                yield (sink := _Plain(file))
            if sink.reach > _BCF_REACH:
                raise DataError(f"{out}: a position is {sink.reach:,}, and BCF ends at {_BCF_REACH:,}; write .vcf.gz")
            _convert(text, temporary, out)
            made.unlink(missing_ok=True)
        except BaseException:
            index.unlink(missing_ok=True)
            raise
        finally:
            text.unlink(missing_ok=True)
    os.replace(index, made)


def _convert(text: Path, bcf: Path, out: str | Path) -> None:
    number = 0
    with quiet_htslib():
        try:
            source = pysam.VariantFile(str(text))
            with source, pysam.VariantFile(str(bcf), "wb", header=source.header) as target:
                for number, record in enumerate(source, 1):
                    _write_bcf(target, record, f"{out}: record {number:,}")
        except (OSError, ValueError):
            raise DataError(f"{out}: htslib does not read record {number + 1:,}; write .vcf.gz") from None
        # The stub of pysam leaves out this preset.
        pysam.tabix_index(str(bcf), preset="bcf", force=True)  # type: ignore[arg-type]


def _write_bcf(target: pysam.VariantFile, record: pysam.VariantRecord, where: str) -> None:
    try:
        target.write(record)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise RunError(f"{where}: {error.strerror}") from None
        raise DataError(
            f"{where}, at {record.chrom}:{record.pos:,}, does not go into BCF, which needs every contig, filter and "
            "field declared in the header; declare them, or write .vcf.gz"
        ) from None
