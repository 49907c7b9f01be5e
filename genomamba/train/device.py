"""Which device a run takes, and in which precision its matrix products are."""

from __future__ import annotations

import torch

from genomamba.errors import ConfigError

__all__ = ["autocast", "choose_device", "choose_precision"]


def choose_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:1` into a device. Raises `ConfigError` where it is not there."""
    if name == "auto":
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type != "cpu":
        raise ConfigError(f"--device is {name!r}; this version trains on cpu")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Turn `auto`, `float32` or `bfloat16` into a dtype; auto is float32 on a CPU."""
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Context in which matrix products run in `precision`; the scan's state and the residual stream stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)
