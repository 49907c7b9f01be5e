"""The convolution over a part of a sequence: the inputs next to it lie with its neighbour."""

from typing import Any

import torch
from torch import Tensor

from genomamba_kernels._neighbours import Neighbours


def tail_before(x: Tensor, d_conv: int, neighbours: Neighbours, reverse: bool = False) -> Tensor:
    """Return the `initial_state` of `causal_conv1d` over a part of a sequence; differentiable.

    Parameters
    ----------
    x : (batch, length, d_inner), floating
        The input of this part, of d_conv - 1 positions or more.
    d_conv : int
        Taps.
    neighbours : Neighbours
        Who hold the other parts.
    reverse : bool
        As of the convolution.

    Returns
    -------
    (batch, d_conv - 1, d_inner), dtype of x
        Zeros for the first part of the walk.
    """
    tail: Tensor = _Shift.apply(neighbours, reverse, x[:, tail_of(x, d_conv, reverse)])  # type: ignore[no-untyped-call]
    return tail


def tail_of(x: Tensor, d_conv: int, reverse: bool) -> slice:
    """Return which positions of a part its neighbour needs; ValueError where the part is shorter."""
    past, length = d_conv - 1, x.shape[1]
    if length < past:
        raise ValueError(f"a part of {length} positions is shorter than the {past} that a convolution looks back")
    return slice(0, past) if reverse else slice(length - past, length)


class _Shift(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, neighbours: Neighbours, reverse: bool, tail: Tensor) -> Tensor:
        ctx.neighbours, ctx.reverse = neighbours, reverse
        return neighbours.shift(tail.contiguous(), reverse)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dtail: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.neighbours.shift(dtail.contiguous(), not ctx.reverse)
