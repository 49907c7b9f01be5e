"""On which device a run trains, and in which precision its matrix products are."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Literal

import torch

from genomamba.errors import ConfigError
from genomamba.model.device import choose_device, prepare_gpu

__all__ = ["autocast", "choose_precision", "choose_training_device", "gpu_facts"]

_log = logging.getLogger("genomamba")

# x86 and ARM names of instructions that multiply matrices in bfloat16.
_BFLOAT16_FLAGS = re.compile(r"^(flags|Features)\s*:.*\b(avx512_bf16|amx_bf16|bf16)\b", re.MULTILINE)


def choose_training_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:1` into a device with an index, and set the process up for it.

    `auto` takes the GPU that torch has as its current one, where the kernels give the right numbers there; else the
    CPU, and says why where there is a GPU.

    Raises
    ------
    ConfigError
        As `genomamba.model.device.choose_device` does, for a name that is not auto.
    """
    if name == "auto" and not torch.cuda.is_available():
        return torch.device("cpu")
    try:
        device = choose_device("cuda" if name == "auto" else name)
    except ConfigError as error:
        if name != "auto":
            raise
        _log.warning("training on the CPU, since the GPU cannot be used: %s", error)
        return torch.device("cpu")
    if device == torch.device("cuda"):
        device = torch.device("cuda", torch.cuda.current_device())
    prepare_gpu(device)
    return device


def choose_precision(
    name: Literal["auto", "float32", "bfloat16"], device: torch.device
) -> Literal["float32", "bfloat16"]:
    """Resolve `auto`: bfloat16 where the device has instructions for it, else float32."""
    if name == "auto":
        has_it = _gpu_has_bfloat16(device) if device.type == "cuda" else _cpu_has_bfloat16()
        return "bfloat16" if has_it else "float32"
    return name


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Context in which matrix products run in `precision`; the scan's state and the residual stream stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def gpu_facts(device: torch.device) -> dict[str, Any]:
    """Return what a record says of a GPU and of what drives it; nothing of a CPU."""
    if device.type != "cuda":
        return {}
    return {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda or torch.version.hip}


def _gpu_has_bfloat16(device: torch.device) -> bool:
    """Whether a GPU multiplies bfloat16 itself: all of AMD's that torch runs on, and of NVIDIA's those from 8.0 on."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself. Without /proc, as on macOS, it is taken not to."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and _BFLOAT16_FLAGS.search(cpuinfo.read_text()) is not None
