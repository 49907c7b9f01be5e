"""The selective scan over a part of a sequence: the state before it follows from summaries of the other parts.

A part maps the state before it, h, to P h + L (README.md, "Chunks side by side"). Every part finds its own P and L by a
scan from zero; they are exchanged; then the part is scanned from the right state. Backward does the same against time:
a part maps the gradient g of the state after it to P g + M, which is again a scan, of C dy with the decays one position
on; M is exchanged, and the pass backward begins with the right gradient.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genomamba_kernels import _checks
from genomamba_kernels._neighbours import Neighbours
from genomamba_kernels.scan.arguments import ScanGradients
from genomamba_kernels.scan.op import ready_for_kernels, scan_backward_operator, scan_operator

PIECE = 4_096
"""Positions whose steps are held in the dtype of the state at once."""
LEAST_STEP = 1e-20
"""Stands for a step of 0: it decays nothing, and a gradient divided by it is finite."""


def scan_part(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    neighbours: Neighbours,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    reverse: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Run `selective_scan` over this part of a sequence, as the whole would be; differentiable.

    The arguments are those of `selective_scan`, and the holders of the other parts. All of them call this, and its
    backward, the same number of times and in the same order.

    Returns
    -------
    y : (batch, length, d_inner), dtype of u

    Raises
    ------
    ValueError, NotImplementedError
        As `selective_scan` does.
    """
    _checks.check_scan(u, delta, A, B, C, D, z, delta_bias, None, None)
    chosen = _checks.resolve_kernels("scan_part", backend, u.device)
    ready = ready_for_kernels(u, delta, A, B, C, D, z, delta_bias, None)[:-1]
    y: Tensor = _ScanPart.apply(neighbours, delta_softplus, reverse, chosen, *ready)  # type: ignore[no-untyped-call]
    return y.to(u.dtype)


def decay_of(delta: Tensor, A: Tensor, bias: Tensor | None, softplus: bool) -> Tensor:
    """Return by what a part multiplies the state before it: (batch, d_inner, d_state)."""
    total = sum(_steps(piece, A, bias, softplus).sum(1) for piece in delta.split(PIECE, dim=1))
    assert isinstance(total, Tensor)
    return torch.exp(total[:, :, None] * A)


def adjoint_before(
    after: Tensor,
    dout: Tensor,
    delta: Tensor,
    A: Tensor,
    C: Tensor,
    z: Tensor | None,
    bias: Tensor | None,
    softplus: bool,
    reverse: bool,
    backend: str,
) -> Tensor:
    """Return the gradient of the state before a part, from that of the state after it and that of its output.

    Parameters
    ----------
    after : (batch, d_inner, d_state)
        In the dtype of the state.
    dout : (batch, length, d_inner)
        Gradient of the output behind the gate.
    delta, A, C, z, bias, softplus, reverse, backend
        As of `scan_part`.
    """
    pieces = [slice(start, start + PIECE) for start in range(0, dout.shape[1], PIECE)]
    for at in pieces if reverse else reversed(pieces):
        steps = _steps(delta[:, at], A, bias, softplus)
        dy = dout[:, at].to(A.dtype)
        if z is not None:
            dy = dy * F.silu(z[:, at].to(A.dtype))
        first = steps[:, -1] if reverse else steps[:, 0]
        # At each position stands the step of the next one on the walk: what decays its gradient.
        nothing = torch.full_like(steps[:, :1], LEAST_STEP)
        on = torch.cat([nothing, steps[:, :-1]] if reverse else [steps[:, 1:], nothing], dim=1).clamp_(min=LEAST_STEP)
        C_bln = C[:, at].to(A.dtype).contiguous()
        _, state, _ = scan_operator(
            *(dy.div_(on) if z is not None else dy / on, on, A, C_bln, C_bln, None, None, None, after, None),
            *(False, not reverse, backend, False),
        )
        after = torch.exp(first[:, :, None] * A) * state
    return after


def _steps(delta: Tensor, A: Tensor, bias: Tensor | None, softplus: bool) -> Tensor:
    steps = delta.to(A.dtype)
    if bias is not None:
        steps = steps + bias
    return F.softplus(steps) if softplus else steps


class _ScanPart(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        neighbours: Neighbours,
        softplus: bool,
        reverse: bool,
        backend: str,
        *tensors: Any,
    ) -> Tensor:
        u, delta, A, B, C, D, z, bias = tensors
        how = (softplus, reverse, backend)
        _, local, _ = scan_operator(u, delta, A, B, C, None, None, bias, None, None, *how, False)
        decay = decay_of(delta, A, bias, softplus)
        state = neighbours.before(local, decay, reverse)
        keep = any(ctx.needs_input_grad)
        y: Tensor
        y, _, borders = scan_operator(u, delta, A, B, C, D, z, bias, state, None, *how, keep)
        ctx.neighbours, ctx.how = neighbours, how
        ctx.save_for_backward(u, delta, A, B, C, D, z, bias, decay, borders)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Any, ...]:
        u, delta, A, B, C, D, z, bias, decay, borders = ctx.saved_tensors
        softplus, reverse, backend = ctx.how
        dout = dout.contiguous()
        local = adjoint_before(torch.zeros_like(decay), dout, delta, A, C, z, bias, softplus, reverse, backend)
        after = ctx.neighbours.before(local, decay, not reverse)
        d = ScanGradients(
            *scan_backward_operator(dout, after, borders, u, delta, A, B, C, D, z, bias, None, None, *ctx.how)
        )
        return (
            *(None, None, None, None),
            *(d.u, d.delta, d.A, d.B, d.C),
            None if D is None else d.D,
            None if z is None else d.z,
            None if bias is None else d.delta_bias,
        )
