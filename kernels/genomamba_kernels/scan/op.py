"""The selective scan as users call it: arguments checked, backend chosen by the device."""

from typing import Any, Literal, overload

import torch
from torch import Tensor

from genomamba_kernels import _checks
from genomamba_kernels.scan import cpu
from genomamba_kernels.scan.arguments import ScanArguments, ScanBackend, ScanGradients
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
    cu_seqlens: Tensor | None = ...,
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
    cu_seqlens: Tensor | None = ...,
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
    cu_seqlens: Tensor | None = ...,
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
    cu_seqlens: Tensor | None = None,
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
        The state before the first position walked; zero where it is not given. One a sequence with `cu_seqlens`.
    return_final_state : bool
        Return the state after the last position walked beside y.
    reverse : bool
        Walk from the last position to the first, in place: `initial_state` enters at the right end,
        and the final state is the one after position 0.
    cu_seqlens : (sequences + 1,), int32 or int64, optional
        Borders of sequences packed end to end in a batch of 1, from 0 to length: sequence i holds the positions
        cu_seqlens[i] to cu_seqlens[i + 1], exclusive, and shares nothing with the others. On the CPU, whatever the
        device of u, no device has to be waited for.
    backend : {"auto", "cpu", "triton", "reference"}
        "auto" goes by the device of u alone. "reference" is the specification in plain PyTorch, slow.

    Returns
    -------
    y : (batch, length, d_inner), dtype of u
        Accumulated in float32, or in float64 where u is float64; autocast changes neither.
    final_state : (batch, d_inner, d_state), float32 or float64
        Only with `return_final_state`; one a sequence with `cu_seqlens`.

    Raises
    ------
    ValueError
        Where a shape, dtype or device disagrees with that of u; the message gives both. A length of 0
        is refused.
    NotImplementedError
        Where the backend cannot run; the message names the way out.

    References
    ----------
    Gu & Dao 2023, "Mamba", arXiv:2312.00752, section 3 and algorithm 2.
    """
    _checks.check_scan(u, delta, A, B, C, D, z, delta_bias, initial_state, cu_seqlens)
    chosen = _checks.resolve_backend("selective_scan", backend, u.device)
    if chosen == "reference":
        results = scan_reference(
            u, delta, A, B, C, D, z, delta_bias, delta_softplus, initial_state, reverse, cu_seqlens
        )
        return results if return_final_state else results[0]

    tensors = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    _checks.check_tangents("selective_scan", *tensors)
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)
    ready = ready_for_kernels(*tensors)
    y, final_state, _ = scan_operator(*ready, cu_seqlens, delta_softplus, reverse, chosen, keep)
    y = y.to(u.dtype)
    return (y, final_state) if return_final_state else y


def ready_for_kernels(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
) -> list[Tensor | None]:
    """Return the tensors as the operators take them: contiguous, sequences of one dtype, the rest of the state's."""
    sequences = [x for x in (u, delta, B, C, z) if x is not None]
    dtype = u.dtype if all(x.dtype == u.dtype for x in sequences) else torch.float32
    wide = _checks.state_dtype(u.dtype)
    tensors = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    dtypes = (dtype, dtype, wide, dtype, dtype, wide, dtype, wide, wide)
    return [None if x is None else x.to(kind).contiguous() for x, kind in zip(tensors, dtypes, strict=True)]


_ARGUMENTS = (
    "Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z, Tensor? delta_bias,"
    " Tensor? initial_state, Tensor? cu_seqlens, bool delta_softplus, bool reverse"
)


@torch.library.custom_op(
    "genomamba::selective_scan",
    mutates_args=(),
    schema=f"({_ARGUMENTS}, str backend, bool keep) -> (Tensor, Tensor, Tensor)",
)
def scan_operator(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, the final state, and where `keep` what the backend's backward starts from."""
    *given, backend, keep = arguments
    return _backend(backend).forward(ScanArguments(*given), keep)


@scan_operator.register_fake
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    *given, backend, keep = arguments
    a = ScanArguments(*given)
    borders = _backend(backend).borders_shape(a) if keep else (0,)
    return torch.empty_like(a.u), a.A.new_empty(a.state_shape), a.A.new_empty(borders)


@torch.library.custom_op(
    "genomamba::selective_scan_backward",
    mutates_args=(),
    schema=f"(Tensor dy, Tensor? dfinal_state, Tensor borders, {_ARGUMENTS}, str backend) -> (Tensor{', Tensor' * 8})",
)
def scan_backward_operator(dy: Tensor, dfinal_state: Tensor | None, borders: Tensor, *arguments: Any) -> ScanGradients:
    """Return the gradients of the tensors among the arguments."""
    *given, backend = arguments
    return _backend(backend).backward(ScanArguments(*given), dy, dfinal_state, borders)


@scan_backward_operator.register_fake
def _(dy: Tensor, dfinal_state: Tensor | None, borders: Tensor, *arguments: Any) -> ScanGradients:
    *given, _ = arguments
    a = ScanArguments(*given)
    return ScanGradients(
        u=torch.empty_like(a.u),
        delta=torch.empty_like(a.delta),
        A=torch.empty_like(a.A),
        B=torch.empty_like(a.B),
        C=torch.empty_like(a.C),
        D=a.A.new_empty(a.A.shape[0]),
        z=a.u.new_empty(0) if a.z is None else torch.empty_like(a.z),
        delta_bias=a.A.new_empty(a.A.shape[0]),
        initial_state=a.A.new_empty(a.state_shape),
    )


def _backend(name: str) -> ScanBackend:
    if name == "cpu":
        return cpu
    # Triton is an optional package.
    from genomamba_kernels.scan import triton_launch

    return triton_launch


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, initial_state, cu_seqlens, ctx.delta_softplus, ctx.reverse, ctx.backend, _ = inputs
    ctx.has_initial_state = initial_state is not None
    ctx.save_for_backward(*tensors, cu_seqlens, output[2])
    # No gradient of the borders is ever needed, and zeros in their place would be large.
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dy: Tensor | None, dfinal_state: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    u, delta, A, B, C, D, z, delta_bias, cu_seqlens, borders = ctx.saved_tensors
    dy = torch.zeros_like(u) if dy is None else dy.contiguous()
    d = ScanGradients(
        *scan_backward_operator(
            *(dy, dfinal_state, borders, u, delta, A, B, C, D, z, delta_bias, None, cu_seqlens),
            *(ctx.delta_softplus, ctx.reverse, ctx.backend),
        )
    )
    return (
        *(d.u, d.delta, d.A, d.B, d.C),
        None if D is None else d.D,
        None if z is None else d.z,
        None if delta_bias is None else d.delta_bias,
        d.initial_state if ctx.has_initial_state else None,
        *(None, None, None, None, None),
    )


scan_operator.register_autograd(_differentiate, setup_context=_setup_context)
