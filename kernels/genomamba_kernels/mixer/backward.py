"""Backward of the mixer: segments are walked against time, each computed again from the state at its border.

With y = scan(u, delta, B, C, z), u = silu(conv(x)) and the rows of positions as the first axis of all but the matrices:

    dy = dout W_out                     dW_out = dout' y
    dparameters = [ddelta W_dt, dB, dC]   dW_dt = ddelta' low_rank
    du += dparameters W_parameters      dW_parameters = dparameters' u
    dinput = dx W_x + dz W_z            dW_x = dx' input, dW_z = dz' input
"""

import torch
from torch import Tensor

from genomamba_kernels._checks import state_dtype
from genomamba_kernels.conv.arguments import ConvGradients
from genomamba_kernels.conv.op import conv_backward_operator
from genomamba_kernels.mixer.arguments import MixerArguments, MixerGradients, MixerState
from genomamba_kernels.mixer.forward import Inputs, Parts, compute, project, segments_of
from genomamba_kernels.mixer.segments import Segment
from genomamba_kernels.mixer.tails import add_conv_state_gradient
from genomamba_kernels.scan.arguments import ScanGradients
from genomamba_kernels.scan.op import scan_backward_operator


def backward(a: MixerArguments, dy: Tensor, dfinal_state: MixerState, kept: MixerState) -> MixerGradients:
    """Return every gradient.

    Parameters
    ----------
    a : MixerArguments
        As given to `forward`.
    dy : (batch, length, d_model)
    dfinal_state : MixerState
        Overwritten: in the end it is the gradient of the initial state.
    kept : MixerState
        What `forward` kept.
    """
    walk, segments, initial = _Walk(a, dy), segments_of(a), a.initial_states()
    dstate = dfinal_state
    for number in reversed(range(len(segments))):
        segment = segments[number]
        state = MixerState(*(whole[segment.sequences].clone() for whole in initial))
        if number > 0:
            at = segment.carried.start - segment.sequences.start
            for own, border in zip(state, kept, strict=True):
                own[at : at + border.shape[1]] = border[number - 1]
        before = walk.through(segment, state, MixerState(*(whole[segment.sequences] for whole in dstate)))
        for whole, part in zip(dstate, before, strict=True):
            whole[segment.sequences] = part
    return walk.gradients(dstate)


class _Walk:
    """What backward carries from segment to segment: the gradient of x, and sums in the dtype of the state."""

    def __init__(self, a: MixerArguments, dy: Tensor) -> None:
        self.a, self.dy, self.matrices = a, dy, project(a)
        self.dx = torch.empty_like(a.x)
        wide = state_dtype(a.x.dtype)
        self.in_proj, self.x_proj, self.dt_proj, self.out_proj = (
            torch.zeros_like(matrix, dtype=wide) for matrix in (a.in_proj, a.x_proj, a.dt_proj, a.out_proj)
        )
        self.conv_weight, self.A = torch.zeros_like(a.conv_weight), torch.zeros_like(a.A)
        self.conv_bias, self.dt_bias, self.D = (a.A.new_zeros(a.A.shape[0]) for _ in range(3))

    def through(self, segment: Segment, state: MixerState, dstate: MixerState) -> MixerState:
        """Differentiate a segment, given the state before it and the gradient after it; return the one before it."""
        a, cu_seqlens = self.a, segment.cu_seqlens
        parts = compute(a, self.matrices, segment, state, keep=True)
        given = parts.given
        scan = self._through_scan(parts, segment.rows(self.dy), dstate.scan, cu_seqlens)
        du_bld = self._through_parameters(given, scan).view_as(given.u_bld)
        conv = ConvGradients(
            *conv_backward_operator(
                *(du_bld, given.x_bld, a.conv_weight, a.conv_bias, state.conv, cu_seqlens, True, a.reverse, a.backend)
            )
        )
        self.conv_weight += conv.weight
        self.conv_bias += conv.bias
        dx_pd, dz_pd = conv.x.flatten(0, 1), scan.z.flatten(0, 1)
        rest = add_conv_state_gradient(dx_pd, dstate.conv, segment, a.reverse)
        for total_dm, rows_pd in zip(self.in_proj.chunk(2), (dx_pd, dz_pd), strict=True):
            _add_product(total_dm, rows_pd, given.x_pm)
        segment.put(self.dx, torch.mm(dx_pd, self.matrices.x_dm).addmm_(dz_pd, self.matrices.z_dm))
        return MixerState(conv.initial_state + rest, scan.initial_state)

    def _through_scan(self, parts: Parts, dout_pm: Tensor, dstate: Tensor, cu_seqlens: Tensor | None) -> ScanGradients:
        """Differentiate the last projection and the scan."""
        a, given = self.a, parts.given
        _add_product(self.out_proj, dout_pm, parts.y_bld.flatten(0, 1))
        dy_bld = torch.mm(dout_pm, self.matrices.out_md).view_as(given.u_bld)
        scan = ScanGradients(
            *scan_backward_operator(
                *(dy_bld, dstate, parts.borders, given.u_bld, given.delta_bld, a.A, given.B_bln, given.C_bln, a.D),
                *(given.z_bld, a.dt_bias, None, cu_seqlens, True, a.reverse, a.backend),
            )
        )
        self.A += scan.A
        self.D += scan.D
        self.dt_bias += scan.delta_bias
        return scan

    def _through_parameters(self, given: Inputs, scan: ScanGradients) -> Tensor:
        """Differentiate the projections to delta, B and C; return the whole gradient of u."""
        ddelta_pd = scan.delta.flatten(0, 1)
        _add_product(self.dt_proj, ddelta_pd, given.low_rank_pr)
        dlow_rank_pr = torch.mm(ddelta_pd, self.matrices.delta_dr)
        dparameters = torch.cat([dlow_rank_pr, scan.B.flatten(0, 1), scan.C.flatten(0, 1)], dim=1)
        _add_product(self.x_proj, dparameters, given.u_bld.flatten(0, 1))
        return scan.u.flatten(0, 1).addmm_(dparameters, self.matrices.parameters)

    def gradients(self, dstate: MixerState) -> MixerGradients:
        """Return the gradients, those of the weights in their dtypes."""
        a = self.a
        return MixerGradients(
            x=self.dx,
            in_proj=self.in_proj.to(a.in_proj.dtype),
            conv_weight=self.conv_weight,
            x_proj=self.x_proj.to(a.x_proj.dtype),
            dt_proj=self.dt_proj.to(a.dt_proj.dtype),
            A=self.A,
            out_proj=self.out_proj.to(a.out_proj.dtype),
            conv_bias=self.conv_bias,
            dt_bias=self.dt_bias,
            D=self.D,
            conv_state=dstate.conv,
            scan_state=dstate.scan,
        )


def _add_product(total_ij: Tensor, left_pi: Tensor, right_pj: Tensor) -> None:
    """Add left' right; the product of 16-bit rows is rounded once a segment, the sum is not."""
    if total_ij.dtype == left_pi.dtype:
        total_ij.addmm_(left_pi.T, right_pj)
    else:
        total_ij += torch.mm(left_pi.T, right_pj)
