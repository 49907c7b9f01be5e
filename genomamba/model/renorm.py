"""A norm that keeps its input alone for backward, and whose temporary tensors do not grow with the length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn

__all__ = ["numbers_at_once", "renorm"]

_NUMBERS_AT_ONCE: Final = {"cpu": 1 << 18, "cuda": 1 << 25}


def numbers_at_once(device: torch.device) -> int:
    """Return the numbers that a tensor of one piece may hold.

    1 MiB of float32, which the caches of a CPU hold; on a GPU 128 MiB, since to start the kernels of 1 MiB takes longer
    than they do.
    """
    return _NUMBERS_AT_ONCE.get(device.type, _NUMBERS_AT_ONCE["cpu"])


def renorm(norm: nn.Module, x_blm: Tensor, dtype: torch.dtype) -> Tensor:
    """Return norm(x), (batch, length, d_model), in `dtype`; backward computes it again from x, piece by piece.

    Parameters
    ----------
    norm : nn.Module
        Acts on each position by itself.
    x_blm : (batch, length, d_model), floating
    dtype : torch.dtype
        Of the result. The norm is computed in that of x.
    """
    normalised: Tensor = _Renorm.apply(norm, dtype, x_blm, *norm.parameters())  # type: ignore[no-untyped-call]
    return normalised


class _Renorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, norm: nn.Module, dtype: torch.dtype, x_blm: Tensor, *weights: Tensor) -> Tensor:
        ctx.norm = norm
        ctx.save_for_backward(x_blm)
        normalised = torch.empty_like(x_blm, dtype=dtype, memory_format=torch.contiguous_format)
        for piece in _pieces(x_blm):
            normalised[:, piece] = norm(x_blm[:, piece])
        return normalised

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (x_blm,), (dy_blm,) = ctx.saved_tensors, gradients
        weights = list(ctx.norm.parameters())
        dx_blm, dweights = torch.empty_like(x_blm), [torch.zeros_like(weight) for weight in weights]
        for piece in _pieces(x_blm):
            with torch.enable_grad():
                part = x_blm[:, piece].detach().requires_grad_()
                normalised = ctx.norm(part)
            dpart, *own = torch.autograd.grad(
                normalised, [part, *weights], dy_blm[:, piece].to(normalised.dtype), materialize_grads=True
            )
            dx_blm[:, piece] = dpart
            for total, one in zip(dweights, own, strict=True):
                total += one
        return None, None, dx_blm, *dweights


def _pieces(x_blm: Tensor) -> Iterator[slice]:
    batch, length, width = x_blm.shape
    size = max(1, numbers_at_once(x_blm.device) // (batch * width))
    return (slice(start, start + size) for start in range(0, length, size))
