"""Blocked gzip (BGZF), compressed on threads beside the one that writes."""

from __future__ import annotations

import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Final

__all__ = ["BgzfWriter"]

BLOCK_BYTES: Final = 0xFF00
"""Text of one block, as in htslib: it stays below 64 KiB even where it does not compress."""

_HEAD = bytes.fromhex("1f8b08040000000000ff060042430200")
_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
# A hundredth larger than at level 6, the usual one, in two thirds of the time.
_LEVEL = 5
_THREADS = 2
# Of `zlib`: the format, and the bytes before the compressed data; checksum and length follow it, as in BGZF.
_GZIP = 31
_GZIP_HEAD_BYTES = 10
# Blocks that wait for a thread or for the disk; they bound the memory.
_WAITING = 64


class BgzfWriter:
    """Writes bytes to a binary file as BGZF; `close` ends it with the closing block, and leaves the file open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._held = bytearray()
        self._pool = ThreadPoolExecutor(_THREADS)
        self._waiting: deque[Future[bytes]] = deque()

    def write(self, data: bytes) -> None:
        """Take some bytes. Raises `OSError` where the file cannot be written."""
        self._held += data
        whole = len(self._held) - len(self._held) % BLOCK_BYTES
        for at in range(0, whole, BLOCK_BYTES):
            self._submit(bytes(self._held[at : at + BLOCK_BYTES]))
        del self._held[:whole]

    def close(self) -> None:
        """Write what is held, and the closing block."""
        if self._held:
            self._submit(bytes(self._held))
            self._held.clear()
        self._drain(0)
        self._file.write(_END)
        self._pool.shutdown()

    def abandon(self) -> None:
        """Stop without writing what is held."""
        self._pool.shutdown(cancel_futures=True)

    def _submit(self, text: bytes) -> None:
        self._waiting.append(self._pool.submit(_block, text))
        self._drain(_WAITING)

    def _drain(self, most: int) -> None:
        while len(self._waiting) > most or (self._waiting and self._waiting[0].done()):
            self._file.write(self._waiting.popleft().result())


def _block(text: bytes) -> bytes:
    # One call, for each that a thread makes lets go of Python's lock, and may wait long for it afterwards.
    data = zlib.compress(text, _LEVEL, _GZIP)[_GZIP_HEAD_BYTES:]
    return _HEAD + struct.pack("<H", len(_HEAD) + 2 + len(data) - 1) + data
