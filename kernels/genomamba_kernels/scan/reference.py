"""The selective scan in plain PyTorch: the specification that every kernel is tested against."""

import torch
import torch.nn.functional as F
from torch import Tensor

from genomamba_kernels._checks import state_dtype
from genomamba_kernels._sequences import find_sequences


def scan_reference(
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
    reverse: bool = False,
    cu_seqlens: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Run h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t and return y_t = C_t h_t and the last h.

    A is discretised by zero-order hold, B by its first-order limit, delta B. The arguments are those
    of `genomamba_kernels.selective_scan`; autograd differentiates through the loop.

    Returns
    -------
    y : (batch, length, d_inner), dtype of u
        Accumulated in float32, or in float64 where u is float64.
    h : (batch, d_inner, d_state), float32 or float64
        The state after the last position walked: position length - 1, or 0 for `reverse`.

    References
    ----------
    Gu & Dao 2023, "Mamba", arXiv:2312.00752, section 3 and algorithm 2.
    """
    if cu_seqlens is not None:
        pieces = []
        for i, (start, end) in enumerate(find_sequences("selective_scan", u.shape, cu_seqlens).pieces()):
            at = slice(start, end)
            gate = None if z is None else z[:, at]
            state = None if initial_state is None else initial_state[i : i + 1]
            pieces.append(
                scan_reference(
                    *(u[:, at], delta[:, at], A, B[:, at], C[:, at], D, gate),
                    *(delta_bias, delta_softplus, state, reverse),
                )
            )
        return torch.cat([y for y, _ in pieces], dim=1), torch.cat([h for _, h in pieces])

    dtype = state_dtype(u.dtype)
    y_dtype = u.dtype
    u, delta, A, B, C = (x.to(dtype) for x in (u, delta, A, B, C))
    if delta_bias is not None:
        delta = delta + delta_bias.to(dtype)
    if delta_softplus:
        delta = F.softplus(delta)
    if initial_state is None:
        h_bdn = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    else:
        h_bdn = initial_state.to(dtype)

    length = u.shape[1]
    ys: list[Tensor] = [u] * length
    for t in reversed(range(length)) if reverse else range(length):
        decay_bdn = torch.exp(delta[:, t, :, None] * A)
        step_bdn = (delta[:, t] * u[:, t])[:, :, None] * B[:, t, None, :]
        h_bdn = decay_bdn * h_bdn + step_bdn
        ys[t] = (h_bdn * C[:, t, None, :]).sum(-1)
    y = torch.stack(ys, dim=1)

    if D is not None:
        y = y + D.to(dtype) * u
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(y_dtype), h_bdn
