"""Where caches and indexes lie: the folder named, the user's, or one of the user's own among temporary files."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from functools import cache
from pathlib import Path

from genomamba.errors import DataError

__all__ = ["cache_folders", "log_once", "source_key", "writable_folder"]


def source_key(path: str | Path) -> str:
    """Return a file name that belongs to one source file: its own name, and a hash of its full path."""
    full = Path(path).resolve()
    return f"{full.name[:120]}.{hashlib.sha256(os.fsencode(full)).hexdigest()[:12]}"


@cache
def log_once(message: str) -> None:
    """Log a message at level INFO, each text once in a process."""
    logging.getLogger("genomamba").info(message)


def cache_folders(cache_dir: str | Path | None = None) -> list[Path]:
    """Return the folders in which caches are sought: the one named, else the user's and a temporary one."""
    if named := cache_dir or os.environ.get("GENOMAMBA_CACHE_DIR"):
        return [Path(named).expanduser()]
    # Here, so that a network is trained on made data where there is little beside PyTorch.
    from platformdirs import user_cache_path

    temporary = Path(tempfile.gettempdir()) / f"genomamba-{os.getuid()}"
    # In a folder open to all, someone else may have been first; what lies there is then not to be trusted.
    is_ours = not os.path.lexists(temporary) or temporary.lstat().st_uid == os.getuid()
    return [user_cache_path("genomamba"), *([temporary] if is_ours else [])]


def writable_folder(folders: list[Path]) -> Path:
    """Return the first folder that can be written, made where missing. Raises `DataError` where none can."""
    reason = ""
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            reason = reason or str(error.strerror)
            continue
        if folder != folders[0]:
            log_once(f"{folders[0]}: cannot be written ({reason}); caches go to {folder}")
        return folder
    raise DataError(f"{folders[0]}: the cache cannot be written there ({reason}); name another folder by --cache-dir")
