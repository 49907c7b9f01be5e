"""The causal convolution as users call it: arguments checked, backend chosen by the device."""

from typing import Literal, overload

import torch
from torch import Tensor

from genomamba_kernels import _checks
from genomamba_kernels.conv.reference import conv_reference


@overload
def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = ...,
    activation: str | None = ...,
    initial_state: Tensor | None = ...,
    return_final_state: Literal[False] = ...,
    reverse: bool = ...,
    backend: str = ...,
) -> Tensor: ...


@overload
def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = ...,
    activation: str | None = ...,
    initial_state: Tensor | None = ...,
    *,
    return_final_state: Literal[True],
    reverse: bool = ...,
    backend: str = ...,
) -> tuple[Tensor, Tensor]: ...


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = None,
    initial_state: Tensor | None = None,
    return_final_state: bool = False,
    reverse: bool = False,
    backend: str = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """Return y_t = f(bias + sum over j of weight[:, k-1-j] x_{t-j}), each channel by itself.

    Differentiable in every tensor argument, and through the final state. Inputs that are not
    contiguous are copied.

    Parameters
    ----------
    x : (batch, length, d_inner), float32, bfloat16 or float64
    weight : (d_inner, d_conv), floating
        `weight[:, -1]` multiplies the present position, for `reverse` too.
    bias : (d_inner,), floating, optional
    activation : {None, "silu"}
    initial_state : (batch, d_conv - 1, d_inner), floating, optional
        The inputs next to x, in the order of their positions: those before position 0, or for `reverse`
        those after the last one. Zero where it is not given.
    return_final_state : bool
        Return what the next piece takes as its `initial_state`.
    reverse : bool
        Walk from the last position to the first, in place: x_{t+j} takes the place of x_{t-j}.
    backend : {"auto", "cpu", "reference"}
        "auto" goes by the device of x alone. "reference" is the specification in plain PyTorch.

    Returns
    -------
    y : (batch, length, d_inner), dtype of x
        Accumulated in float32, or in float64 where x is float64; autocast changes neither.
    final_state : (batch, d_conv - 1, d_inner), float32 or float64
        Only with `return_final_state`: the last d_conv - 1 inputs, or for `reverse` the first, in the
        order of their positions.

    Raises
    ------
    ValueError
        Where a shape, dtype or device disagrees with that of x; the message gives both. A length of 0
        is refused.
    NotImplementedError
        Where no kernel runs on the device of x.
    """
    _checks.check_conv(x, weight, bias, initial_state)
    _checks.check_activation(activation)
    match _checks.resolve_backend("causal_conv1d", backend, x.device):
        case "reference" | "cpu":
            y, final_state = conv_reference(x, weight, bias, activation, initial_state, reverse)
    return (y, final_state) if return_final_state else y
