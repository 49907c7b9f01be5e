"""Compile kernels, and keep the compiled code on disk between processes.

numba's own cache looks at the file of a function alone, and gives up where neither the package nor
the home can be written. Here the folder is named after a hash of every source file of the package and
of the versions, each compiled function has a file of its own, and where no home can be written it lies
in a folder of the user's below the temporary one; the last resort is gone when the process ends.
"""

import atexit
import contextlib
import functools
import hashlib
import os
import pickle
import shutil
import stat
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call, without the interpreter lock, and cache the code on disk."""
    dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
    dispatcher._cache = _KernelCache(function)
    return dispatcher


def cache_folder() -> Path:
    """Return the folder of the compiled kernels, and make it where it is missing.

    It lies below GENOMAMBA_CACHE_DIR, or else XDG_CACHE_HOME or ~/.cache, or else the temporary folder.
    """
    for folder in _folders():
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
    return _folder_of_this_process()


def _folders() -> Iterator[Path]:
    """Yield where the compiled kernels may lie, best first, whether it can be written or not."""
    name = Path("kernels") / source_stamp(Path(__file__).parent)
    if chosen := os.environ.get("GENOMAMBA_CACHE_DIR"):
        yield Path(chosen) / name
        return
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        yield Path(chosen) / "genomamba" / name
    with contextlib.suppress(RuntimeError):
        yield Path.home() / ".cache" / "genomamba" / name
    if (private := _private_folder()) is not None:
        yield private / name


def _private_folder() -> Path | None:
    """Return a folder below the temporary one that no other user can write to: its files are executed."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"genomamba-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    ours = not hasattr(os, "getuid") or status.st_uid == user
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022
    return folder if ours and private else None


def is_kept(folder: Path) -> bool:
    """Whether other processes find what lies in a folder that `cache_folder` returned, or in one that is read alone."""
    return any(other == folder or next(other.glob("*.bin"), None) is not None for other in _folders())


@functools.cache
def _folder_of_this_process() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="genomamba-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def source_stamp(package: Path) -> str:
    """Return a hash of every source file of a package and of the versions that make the code."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {sys.version}".encode())
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        "compiled kernels cannot be kept, so each process compiles them anew, which takes a minute; set"
        " GENOMAMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=2,
    )


class _KernelCache(_Cache):  # type: ignore[misc]
    """One file per function, signature and machine, written under another name and then renamed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"

    @property
    def cache_path(self) -> str:
        return str(cache_folder())

    def _file(self, signature: Any, codegen: Any) -> str:
        key = hashlib.sha256(repr((self._name, str(signature), codegen.magic_tuple())).encode()).hexdigest()
        return f"{self._name.rpartition('.')[2]}-{key[:16]}.bin"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        file = self._file(sig, target_context.codegen())
        # One that cannot be written may hold what is needed: it came with the image of a container.
        for folder in _folders():
            try:
                payload = pickle.loads((folder / file).read_bytes())
            except (OSError, EOFError, pickle.UnpicklingError):
                # Never compiled, or cut short by a full disk: compiling again is the answer to both.
                continue
            return CompileResult._rebuild(target_context, *payload)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if cache_folder() not in _folders():
            _warn_once()
        path = cache_folder() / self._file(sig, data.codegen)
        unfinished = path.with_suffix(f".{uuid.uuid4().hex}")
        try:
            unfinished.write_bytes(dumps(data._reduce()))
            unfinished.replace(path)
        except OSError:
            # A full disk: the code is compiled again next time.
            unfinished.unlink(missing_ok=True)

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None:
        for path in cache_folder().glob(f"{self._name.rpartition('.')[2]}-*.bin"):
            path.unlink(missing_ok=True)
