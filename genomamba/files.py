"""Files that are either whole or absent: written under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from genomamba.errors import RunError

__all__ = ["atomic_file", "atomic_folder", "read_json", "remove_folder", "remove_strays", "write_json"]

_PREFIX = ".tmp-"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends without an error it becomes `path`.

    Raises
    ------
    RunError
        Where the disk is full or the folder cannot be written; `path` is then as it was before.
    """
    temporary = path.with_name(f"{_PREFIX}{os.getpid()}-{path.name}")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: cannot be written ({_reason(error)}); what was there is untouched") from error
    finally:
        # A read-only disk does not even say that there is no such file.
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; when the block ends without an error it replaces `path`.

    Raises
    ------
    RunError
        Where the disk is full or the parent cannot be written; `path` is then as it was before.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=path.parent))
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({_reason(error)})") from error
    try:
        temporary.chmod(0o755)
        yield temporary
        for file in temporary.iterdir():
            _sync(file)
        _sync(temporary)
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
        _sync(path.parent)
    except (OSError, SafetensorError, RunError) as error:
        # A file inside names the temporary folder; what a person knows is the folder's own name.
        cause = error.__cause__ if isinstance(error, RunError) else error
        if not isinstance(cause, OSError | SafetensorError):
            raise
        raise RunError(f"{path}: cannot be written ({_reason(cause)}); older ones are untouched") from cause
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder so that a kill half-way leaves a stray, not a folder with some of its files."""
    stray = path.with_name(f"{_PREFIX}{path.name}")
    path.rename(stray)
    shutil.rmtree(stray)


def remove_strays(folder: Path) -> None:
    """Remove what a killed process left under a temporary name in `folder`."""
    for stray in folder.glob(f"{_PREFIX}*"):
        shutil.rmtree(stray) if stray.is_dir() else stray.unlink(missing_ok=True)


def write_json(path: Path, values: Any) -> None:
    """Write values as indented JSON, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON. Raises `RunError` that names the file where it is absent or damaged."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise RunError(f"{path}: no such file; check the name") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read as JSON ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
