"""The causal convolution as users call it: arguments checked, backend chosen by the device."""

from typing import Any, Literal, overload

import torch
from torch import Tensor

from genomamba_kernels import _checks
from genomamba_kernels.conv import cpu
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


@overload
def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = ...,
    activation: str | None = ...,
    initial_state: Tensor | None = ...,
    return_final_state: bool = ...,
    reverse: bool = ...,
    backend: str = ...,
) -> Tensor | tuple[Tensor, Tensor]: ...


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
    gated = activation == "silu"
    match _checks.resolve_backend("causal_conv1d", backend, x.device):
        case "reference":
            y, final_state = conv_reference(x, weight, bias, activation, initial_state, reverse)
            return (y, final_state) if return_final_state else y
        case _:
            y = _run(x, weight, bias, initial_state, gated, reverse)
    if not return_final_state:
        return y
    return y, _final_state(x, weight.shape[1] - 1, initial_state, reverse)


def _run(
    x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor | None, gated: bool, reverse: bool
) -> Tensor:
    """Give the operator what its kernels take: all but x in the dtype of the state."""
    wide = _checks.state_dtype(x.dtype)
    y: Tensor = conv_operator(
        x.contiguous(),
        weight.to(wide).contiguous(),
        None if bias is None else bias.to(wide).contiguous(),
        None if initial_state is None else initial_state.to(wide).contiguous(),
        gated,
        reverse,
    )
    return y


def _final_state(x: Tensor, past: int, initial_state: Tensor | None, reverse: bool) -> Tensor:
    """Return the last `past` inputs in the order of positions, or for `reverse` the first."""
    wide = _checks.state_dtype(x.dtype)
    length = x.shape[1]
    kept = (x[:, :past] if reverse else x[:, max(0, length - past) :]).to(wide)
    if length >= past:
        return kept.clone() if kept.dtype == x.dtype else kept
    if initial_state is None:
        older = x.new_zeros(x.shape[0], past - length, x.shape[2], dtype=wide)
    else:
        older = (initial_state[:, : past - length] if reverse else initial_state[:, length:]).to(wide)
    return torch.cat([kept, older] if reverse else [older, kept], dim=1)


@torch.library.custom_op("genomamba::causal_conv1d", mutates_args=(), device_types="cpu")
def conv_operator(
    x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor | None, gated: bool, reverse: bool
) -> Tensor:
    """Return y, through silu where `gated`."""
    return cpu.forward(x, weight, bias, initial_state, gated, reverse)


@conv_operator.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor | None, gated: bool, reverse: bool
) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("genomamba::causal_conv1d_backward", mutates_args=(), device_types="cpu")
def conv_backward_operator(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor | None,
    gated: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight, bias and the initial state."""
    return cpu.backward(dy, x, weight, bias, initial_state, gated, reverse)


@conv_backward_operator.register_fake
def _(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor | None,
    gated: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    width, d_conv = weight.shape
    dinitial_state = weight.new_empty(x.shape[0], d_conv - 1, width)
    return torch.empty_like(x), torch.empty_like(weight), weight.new_empty(width), dinitial_state


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.gated, ctx.reverse = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, bias, initial_state = ctx.saved_tensors
    dx, dweight, dbias, dinitial_state = conv_backward_operator(
        dy.contiguous(), x, weight, bias, initial_state, ctx.gated, ctx.reverse
    )
    return (
        dx,
        dweight,
        None if bias is None else dbias,
        None if initial_state is None else dinitial_state,
        *(None, None),
    )


conv_operator.register_autograd(_differentiate, setup_context=_setup_context)
