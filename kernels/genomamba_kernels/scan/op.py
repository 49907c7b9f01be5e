"""The selective scan as users call it: arguments checked, backend chosen by the device."""

from typing import Literal, overload

import torch
from torch import Tensor

from genomamba_kernels import _checks
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
    arguments = (u, delta, A, B, C, D, z, delta_bias, delta_softplus, initial_state, reverse)
    match _checks.resolve_backend("selective_scan", backend, u.device):
        case "reference" | "cpu":
            y, final_state = scan_reference(*arguments)
    return (y, final_state) if return_final_state else y
