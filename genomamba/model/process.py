"""The process as a whole: how many CPU threads it takes, what it does with freed memory, how much it has held."""

from __future__ import annotations

import ctypes
import platform
import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import genomamba_kernels

__all__ = ["has_glibc", "keep_freed_memory", "peak_memory_mib", "set_threads", "side_by_side", "synchronize"]

# Names and values of <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
# What it is where nobody has set it.
_MMAP_MAX = 65_536


def set_threads(count: int | None) -> int:
    """Give torch and the kernels the same number of threads, and return it.

    Parameters
    ----------
    count : int or None
        Threads; None takes what the CPU set, SLURM_CPUS_PER_TASK or OMP_NUM_THREADS allow.
    """
    if count is None:
        count = genomamba_kernels.get_num_threads()
    else:
        genomamba_kernels.set_num_threads(count)
    torch.set_num_threads(count)
    return count


@contextmanager
def side_by_side(count: int) -> Iterator[Callable[[Callable[[], Any]], list[Any]]]:
    """Give a function that makes a call on so many threads at once and returns what each gave.

    Each computes by itself: torch and the kernels divide nothing among threads meanwhile, so that none waits for
    another. A count of 1 is the calling thread, with the threads it has.
    """
    if count == 1:
        yield lambda call: [call()]
        return
    kernels, own = genomamba_kernels.get_num_threads(), torch.get_num_threads()

    def run(call: Callable[[], Any]) -> list[Any]:
        genomamba_kernels.set_num_threads(1)
        try:
            return [future.result() for future in [pool.submit(call) for _ in range(count)]]
        finally:
            genomamba_kernels.set_num_threads(kernels)
            # It holds for the thread that calls it, and for those that are made later.
            torch.set_num_threads(own)

    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield run


def keep_freed_memory(*, below: int | None = None) -> None:
    """Have the C library keep freed memory for the next tensor instead of handing it back to the system.

    A training step frees and takes the same large blocks again and again; handed back, each comes as pages that the
    system must zero first, which made a step over 131,072 bases 1.6 times as slow. Does nothing without glibc.

    Parameters
    ----------
    below : int, optional
        Hand back blocks of so many bytes and more. A process that keeps them and takes small ones in between holds up
        to twice what it uses, since the small ones lie where large ones would fit.
    """
    if has_glibc():
        libc = ctypes.CDLL(None)
        if below is not None:
            libc.mallopt(_M_MMAP_THRESHOLD, below)
        libc.mallopt(_M_MMAP_MAX, 0 if below is None else _MMAP_MAX)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)


def has_glibc() -> bool:
    """Whether this is a system whose memory `keep_freed_memory` rules."""
    return platform.libc_ver()[0] == "glibc"


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done what it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory_mib(device: torch.device | None = None) -> float:
    """Return the largest resident memory of the process so far, in MiB; of a GPU, its memory taken by tensors."""
    if device is not None and device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    for line in lines:
        # Not from getrusage: there a process begins with the peak of the one that started it.
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes, others in KiB.
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
