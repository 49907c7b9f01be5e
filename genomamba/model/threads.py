"""How many CPU threads torch and the kernels take."""

from __future__ import annotations

import torch

import genomamba_kernels

__all__ = ["set_threads"]


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
