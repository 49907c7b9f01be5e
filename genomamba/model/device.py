"""Where passes through a model run: the CPU, or a GPU whose kernels give the right numbers."""

from __future__ import annotations

import functools
import re

import torch

from genomamba.errors import ConfigError
from genomamba.model.process import keep_freed_memory, set_threads
from genomamba_kernels import selftest

__all__ = ["choose_device", "prepare_gpu", "prepare_passes"]

_CUDA = re.compile(r"cuda(:\d+)?")


def choose_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:1` into a device.

    `auto` takes the CPU. On a GPU, the kernels must first give the numbers that are stored of a small case; compiling
    them for it takes a while the first time.

    Raises
    ------
    ConfigError
        For another name, for a GPU that is not there, and for one whose numbers are wrong.
    """
    if name in ("auto", "cpu"):
        return torch.device("cpu")
    if not _CUDA.fullmatch(name):
        raise ConfigError(f"is {name!r}; it must be auto, cpu, cuda, or cuda:1 for the second GPU", option="device")
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        why = "torch sees no GPU here" if built else "this torch is built for CPUs"
        raise ConfigError(f"is {name!r}, but {why}; take cpu", option="device")
    device = torch.device(name)
    if device.index is not None and device.index >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ConfigError(f"is {name!r}, but torch sees {count} GPUs, from cuda:0 on", option="device")
    _check_numbers(device)
    return device


def prepare_passes(name: str, threads: int | None) -> torch.device:
    """Return the device to compute on, and set the process up for passes of a network on it.

    Parameters
    ----------
    name : str
        See `choose_device`.
    threads : int, optional
        See `genomamba.model.process.set_threads`.

    Raises
    ------
    ConfigError
        As `choose_device` does.
    """
    device = choose_device(name)
    prepare_gpu(device)
    set_threads(threads)
    keep_freed_memory()
    return device


def prepare_gpu(device: torch.device) -> None:
    """Set the process up to compute on a GPU; does nothing for a CPU.

    The GPU becomes the current one, so that what belongs to no tensor, such as pinned memory, belongs to it. Products
    of float32 matrices are in float32: TF32 keeps 10 bits of 23, and an environment may have it on.
    """
    if device.type != "cuda":
        return
    if device.index is not None:
        torch.cuda.set_device(device)
    torch.set_float32_matmul_precision("highest")


@functools.cache
def _check_numbers(device: torch.device) -> None:
    try:
        results = selftest.check("triton", device, torch.float32)
    except NotImplementedError as error:
        raise ConfigError(str(error)) from error
    wrong = [result.name for result in results if not result.is_right]
    if wrong:
        raise ConfigError(
            f"is {str(device)!r}, which computes wrong numbers ({wrong[0]}); see genomamba doctor", option="device"
        )
