"""In which precision the matrix products of a run are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import torch

__all__ = ["autocast", "choose_precision"]

# x86 and ARM names of instructions that multiply matrices in bfloat16.
_BFLOAT16_FLAGS = re.compile(r"^(flags|Features)\s*:.*\b(avx512_bf16|amx_bf16|bf16)\b", re.MULTILINE)


def choose_precision(name: Literal["auto", "float32", "bfloat16"]) -> Literal["float32", "bfloat16"]:
    """Resolve `auto`: bfloat16 where the CPU has instructions for it, else float32."""
    if name == "auto":
        return "bfloat16" if _has_bfloat16() else "float32"
    return name


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Context in which matrix products run in `precision`; the scan's state and the residual stream stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def _has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself. Without /proc, as on macOS, it is taken not to."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and _BFLOAT16_FLAGS.search(cpuinfo.read_text()) is not None
