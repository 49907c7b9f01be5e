"""The causal convolution as users call it: arguments checked, backend chosen by the device."""

from typing import Any, Literal, overload

import torch
from torch import Tensor

from genomamba_kernels import _checks
from genomamba_kernels.conv import cpu
from genomamba_kernels.conv.arguments import ConvArguments, ConvBackend, ConvGradients
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
    cu_seqlens: Tensor | None = ...,
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
    cu_seqlens: Tensor | None = ...,
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
    cu_seqlens: Tensor | None = ...,
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
    cu_seqlens: Tensor | None = None,
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
        those after the last one. Zero where it is not given. One a sequence with `cu_seqlens`.
    return_final_state : bool
        Return what the next piece takes as its `initial_state`.
    reverse : bool
        Walk from the last position to the first, in place: x_{t+j} takes the place of x_{t-j}.
    cu_seqlens : (sequences + 1,), int32 or int64, optional
        Borders of sequences packed end to end in a batch of 1, as for `selective_scan`.
    backend : {"auto", "cpu", "triton", "reference"}
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
        Where the backend cannot run; the message names the way out.
    """
    _checks.check_conv(x, weight, bias, initial_state, cu_seqlens)
    _checks.check_activation(activation)
    chosen = _checks.resolve_backend("causal_conv1d", backend, x.device)
    if chosen == "reference":
        results = conv_reference(x, weight, bias, activation, initial_state, reverse, cu_seqlens)
        return results if return_final_state else results[0]

    _checks.check_tangents("causal_conv1d", x, weight, bias, initial_state)
    # The kernels take all but x in the dtype of the state.
    wide = _checks.state_dtype(x.dtype)
    parameters = [None if p is None else p.to(wide).contiguous() for p in (weight, bias, initial_state)]
    y: Tensor = conv_operator(x.contiguous(), *parameters, cu_seqlens, activation == "silu", reverse, chosen)
    if not return_final_state:
        return y
    past = weight.shape[1] - 1
    if cu_seqlens is None:
        return y, _final_state(x, past, initial_state, reverse)
    return y, _final_states(x, past, initial_state, reverse, cu_seqlens)


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


def _final_states(x: Tensor, past: int, initial_state: Tensor | None, reverse: bool, cu_seqlens: Tensor) -> Tensor:
    """Return the last `past` inputs of each packed sequence, by gathering: shapes do not depend on the borders."""
    wide = _checks.state_dtype(x.dtype)
    starts, ends = cu_seqlens.to(x.device, torch.int64)[:, None].unfold(0, 2, 1).unbind(-1)
    steps = torch.arange(past, device=x.device)
    positions = starts + steps if reverse else ends - past + steps
    inside = ((positions >= starts) & (positions < ends))[..., None]
    kept = x[0, positions.clamp(0, x.shape[1] - 1)].to(wide)
    if initial_state is None:
        return torch.where(inside, kept, 0.0)
    older = (positions - ends if reverse else positions - starts + past).clamp(0, max(0, past - 1))
    older = older[..., None].expand(-1, -1, x.shape[2])
    return torch.where(inside, kept, initial_state.to(wide).gather(1, older))


_ARGUMENTS = (
    "Tensor x, Tensor weight, Tensor? bias, Tensor? initial_state, Tensor? cu_seqlens, bool gated, bool reverse"
)


@torch.library.custom_op("genomamba::causal_conv1d", mutates_args=(), schema=f"({_ARGUMENTS}, str backend) -> Tensor")
def conv_operator(*arguments: Any) -> Tensor:
    """Return y, through silu where `gated`."""
    *given, backend = arguments
    return _backend(backend).forward(ConvArguments(*given))


@conv_operator.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op(
    "genomamba::causal_conv1d_backward",
    mutates_args=(),
    schema=f"(Tensor dy, {_ARGUMENTS}, str backend) -> (Tensor, Tensor, Tensor, Tensor)",
)
def conv_backward_operator(dy: Tensor, *arguments: Any) -> ConvGradients:
    """Return the gradients of x, weight, bias and the initial state."""
    *given, backend = arguments
    return _backend(backend).backward(ConvArguments(*given), dy)


@conv_backward_operator.register_fake
def _(dy: Tensor, *arguments: Any) -> ConvGradients:
    *given, _ = arguments
    a = ConvArguments(*given)
    return ConvGradients(
        torch.empty_like(a.x),
        torch.empty_like(a.weight),
        a.weight.new_empty(a.weight.shape[0]),
        a.weight.new_empty(0 if a.initial_state is None else a.state_shape),
    )


def _backend(name: str) -> ConvBackend:
    if name == "cpu":
        return cpu
    # Triton is an optional package.
    from genomamba_kernels.conv import triton_launch

    return triton_launch


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.gated, ctx.reverse, ctx.backend = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    _, _, bias, initial_state, _ = ctx.saved_tensors
    d = ConvGradients(*conv_backward_operator(dy.contiguous(), *ctx.saved_tensors, ctx.gated, ctx.reverse, ctx.backend))
    return (
        *(d.x, d.weight),
        None if bias is None else d.bias,
        None if initial_state is None else d.initial_state,
        *(None, None, None, None),
    )


conv_operator.register_autograd(_differentiate, setup_context=_setup_context)
