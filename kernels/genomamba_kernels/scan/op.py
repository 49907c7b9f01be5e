"""The selective scan as users call it: arguments checked, backend chosen by the device."""

from typing import Any, Literal, overload

import torch
from torch import Tensor

from genomamba_kernels import _checks
from genomamba_kernels.scan import cpu
from genomamba_kernels.scan.reference import scan_reference


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = ...,
    z: Tensor | None = ...,
    delta_bias: Tensor | None = ...,
    delta_softplus: bool = ...,
    initial_state: Tensor | None = ...,
    return_final_state: Literal[False] = ...,
    reverse: bool = ...,
    backend: str = ...,
) -> Tensor: ...


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = ...,
    z: Tensor | None = ...,
    delta_bias: Tensor | None = ...,
    delta_softplus: bool = ...,
    initial_state: Tensor | None = ...,
    *,
    return_final_state: Literal[True],
    reverse: bool = ...,
    backend: str = ...,
) -> tuple[Tensor, Tensor]: ...


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = ...,
    z: Tensor | None = ...,
    delta_bias: Tensor | None = ...,
    delta_softplus: bool = ...,
    initial_state: Tensor | None = ...,
    return_final_state: bool = ...,
    reverse: bool = ...,
    backend: str = ...,
) -> Tensor | tuple[Tensor, Tensor]: ...


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    initial_state: Tensor | None = None,
    return_final_state: bool = False,
    reverse: bool = False,
    backend: str = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """Run h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t and return y_t = (C_t h_t + D u_t) silu(z_t).

    Differentiable in every tensor argument, and through the final state. Inputs that are not
    contiguous are copied.

    Parameters
    ----------
    u, delta : (batch, length, d_inner), float32, bfloat16 or float64
        Input, and step size (no unit): after softplus, or before it with `delta_softplus`.
    A : (d_inner, d_state), floating
        Diagonal of the continuous state matrix, negative.
    B, C : (batch, length, d_state), as u
        Input and output maps of each position.
    D : (d_inner,), floating, optional
        Skip from input to output.
    z : (batch, length, d_inner), as u, optional
        Gate: the output is multiplied by silu(z).
    delta_bias : (d_inner,), floating, optional
        Added to delta, before the softplus.
    delta_softplus : bool
        Pass delta (with its bias) through softplus.
    initial_state : (batch, d_inner, d_state), float32 or float64, optional
        The state before the first position walked; zero where it is not given.
    return_final_state : bool
        Return the state after the last position walked beside y.
    reverse : bool
        Walk from the last position to the first, in place: `initial_state` enters at the right end,
        and the final state is the one after position 0.
    backend : {"auto", "cpu", "reference"}
        "auto" goes by the device of u alone. "reference" is the specification in plain PyTorch, slow.

    Returns
    -------
    y : (batch, length, d_inner), dtype of u
        Accumulated in float32, or in float64 where u is float64; autocast changes neither.
    final_state : (batch, d_inner, d_state), float32 or float64
        Only with `return_final_state`.

    Raises
    ------
    ValueError
        Where a shape, dtype or device disagrees with that of u; the message gives both. A length of 0
        is refused.
    NotImplementedError
        Where no kernel runs on the device of u.

    References
    ----------
    Gu & Dao 2023, "Mamba", arXiv:2312.00752, section 3 and algorithm 2.
    """
    _checks.check_scan(u, delta, A, B, C, D, z, delta_bias, initial_state)
    match _checks.resolve_backend("selective_scan", backend, u.device):
        case "reference":
            y, final_state = scan_reference(u, delta, A, B, C, D, z, delta_bias, delta_softplus, initial_state, reverse)
        case _:
            y, final_state = _run(u, delta, A, B, C, D, z, delta_bias, delta_softplus, initial_state, reverse)
    return (y, final_state) if return_final_state else y


def _run(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    initial_state: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Give the operator what its kernels take: one dtype for the sequences, that of the state for the rest."""
    sequences = [x for x in (u, delta, B, C, z) if x is not None]
    dtype = u.dtype if all(x.dtype == u.dtype for x in sequences) else torch.float32
    wide = _checks.state_dtype(u.dtype)
    tensors = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)
    y, final_state, _ = scan_operator(
        *(x.to(dtype).contiguous() for x in (u, delta)),
        A.to(wide).contiguous(),
        *(x.to(dtype).contiguous() for x in (B, C)),
        None if D is None else D.to(wide).contiguous(),
        None if z is None else z.to(dtype).contiguous(),
        None if delta_bias is None else delta_bias.to(wide).contiguous(),
        None if initial_state is None else initial_state.to(wide).contiguous(),
        delta_softplus,
        reverse,
        keep,
    )
    return y.to(u.dtype), final_state


@torch.library.custom_op("genomamba::selective_scan", mutates_args=(), device_types="cpu")
def scan_operator(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    delta_softplus: bool,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, the final state, and where `keep` the states between chunks, for backward."""
    return cpu.forward(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, reverse, keep)


@scan_operator.register_fake
def _(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    delta_softplus: bool,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    borders = cpu.borders_shape(u.shape, A.shape[1]) if keep else (0,)
    return torch.empty_like(u), A.new_empty(u.shape[0], *A.shape), A.new_empty(borders)


@torch.library.custom_op("genomamba::selective_scan_backward", mutates_args=(), device_types="cpu")
def scan_backward_operator(
    dy: Tensor,
    dfinal_state: Tensor | None,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    borders: Tensor,
    delta_softplus: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of u, delta, A, B, C, D, z, delta_bias and the initial state."""
    return cpu.backward(dy, dfinal_state, u, delta, A, B, C, D, z, delta_bias, borders, delta_softplus, reverse)


@scan_backward_operator.register_fake
def _(
    dy: Tensor,
    dfinal_state: Tensor | None,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    borders: Tensor,
    delta_softplus: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    channels = A.new_empty(A.shape[0])
    dz = u.new_empty(0) if z is None else torch.empty_like(z)
    return (
        torch.empty_like(u),
        torch.empty_like(delta),
        torch.empty_like(A),
        torch.empty_like(B),
        torch.empty_like(C),
        channels,
        dz,
        torch.empty_like(channels),
        A.new_empty(u.shape[0], *A.shape),
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, initial_state, ctx.delta_softplus, ctx.reverse, _ = inputs
    ctx.has_initial_state = initial_state is not None
    ctx.save_for_backward(*tensors, output[2])
    # No gradient of the borders is ever needed, and zeros in their place would be large.
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dy: Tensor | None, dfinal_state: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    u, delta, A, B, C, D, z, delta_bias, borders = ctx.saved_tensors
    dy = torch.zeros_like(u) if dy is None else dy.contiguous()
    du, ddelta, dA, dB, dC, dD, dz, ddelta_bias, dinitial_state = scan_backward_operator(
        dy, dfinal_state, u, delta, A, B, C, D, z, delta_bias, borders, ctx.delta_softplus, ctx.reverse
    )
    return (
        *(du, ddelta, dA, dB, dC),
        None if D is None else dD,
        None if z is None else dz,
        None if delta_bias is None else ddelta_bias,
        dinitial_state if ctx.has_initial_state else None,
        *(None, None, None),
    )


scan_operator.register_autograd(_differentiate, setup_context=_setup_context)
