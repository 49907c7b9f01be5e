"""Run the parts of a kernel on several threads: the caller and a pool made when it is first needed.

The kernels release the interpreter lock, so Python threads are enough, and they neither fight with
the OpenMP pool of PyTorch nor break after fork.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_chosen: int | None = None


def get_num_threads() -> int:
    """Return the number of threads the CPU kernels use.

    It is the last one given to `set_num_threads`, or else OMP_NUM_THREADS or NUMBA_NUM_THREADS, or else
    what the CPU set of the process and SLURM_CPUS_PER_TASK allow.
    """
    return _default() if _chosen is None else _chosen


def set_num_threads(count: int) -> None:
    """Let the CPU kernels use a number of threads; no result depends on it."""
    global _chosen
    if count < 1:
        raise ValueError(f"set_num_threads: count is {count}, expected 1 or more")
    _chosen = count


def parallel_for(count: int, threads: int, body: Callable[[int, int], None]) -> None:
    """Call body(index, worker) for every index below count, each worker on a thread of its own.

    The calling thread is worker 0. Indices are handed out in order to whoever is free, so what an index
    computes must not depend on its worker.
    """
    workers = min(count, threads)
    if workers == 1:
        for index in range(count):
            body(index, 0)
        return
    # next() on an iterator of the interpreter's own is atomic.
    indices = iter(range(count))

    def work(worker: int) -> None:
        for index in indices:
            body(index, worker)

    pool = _get_pool(workers - 1)
    futures = [pool.submit(work, worker) for worker in range(1, workers)]
    try:
        work(0)
    finally:
        for future in futures:
            future.cancel()
        errors = [future.exception() for future in futures if not future.cancelled()]
    for error in errors:
        if error is not None:
            raise error


def _default() -> int:
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0]
        if value.isdigit() and int(value) > 0:
            return int(value)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    value = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(available, int(value)) if value.isdigit() and int(value) > 0 else available


def _get_pool(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < size:
            # A smaller pool finishes what it was given: its threads end when nobody refers to it.
            _pool = ThreadPoolExecutor(size, thread_name_prefix="genomamba-kernels")
            _pool_size = size
        return _pool


def _forget() -> None:
    """Drop what a forked child has inherited: the threads of the pool live in its parent alone."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
