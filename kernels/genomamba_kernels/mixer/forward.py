"""Forward of the mixer: segments are walked along time, and only the states at their borders are kept."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from genomamba_kernels.conv.op import conv_operator
from genomamba_kernels.mixer.arguments import MixerArguments, MixerState
from genomamba_kernels.mixer.segments import Segment, cut
from genomamba_kernels.mixer.tails import next_conv_state
from genomamba_kernels.scan.op import scan_operator


class Projections(NamedTuple):
    """The matrices in the dtype of x; that of the input in two, so that what they give is contiguous."""

    x_dm: Tensor
    z_dm: Tensor
    parameters: Tensor
    """(dt_rank + 2 d_state, d_inner)."""
    delta_dr: Tensor
    out_md: Tensor


class Inputs(NamedTuple):
    """What the scan of a segment is given, and what it came from: rows of positions, or (batch, length, channels)."""

    x_pm: Tensor
    x_bld: Tensor
    u_bld: Tensor
    low_rank_pr: Tensor
    delta_bld: Tensor
    B_bln: Tensor
    C_bln: Tensor
    z_bld: Tensor


class Parts(NamedTuple):
    """A segment between its input and the last projection."""

    given: Inputs
    y_bld: Tensor
    state: MixerState
    """After the segment."""
    borders: Tensor
    """What the scan's backward starts from."""


def forward(a: MixerArguments, keep: bool) -> tuple[Tensor, MixerState, MixerState]:
    """Return y, the final state, and where `keep` the states at the borders between segments.

    Those are of shapes (borders, carried, d_conv - 1, d_inner) and (borders, carried, d_inner, d_state), borders in
    the order of the walk; carried are the rows of the batch, or for packed sequences the one that may be cut.
    """
    matrices = project(a)
    y = a.x.new_empty(*a.x.shape[:2], a.out_proj.shape[0])
    state = a.initial_states()
    count, carried = a.kept_shape if keep else (0, 0)
    kept = MixerState(*(whole.new_empty(count, carried, *whole.shape[1:]) for whole in state))
    for number, segment in enumerate(segments_of(a)):
        if keep and number > 0:
            for border, whole in zip(kept, state, strict=True):
                border[number - 1] = whole[segment.carried]
        own = MixerState(*(whole[segment.sequences] for whole in state))
        after = _walk(a, matrices, segment, own, y)
        for whole, part in zip(state, after, strict=True):
            whole[segment.sequences] = part
    return y, state, kept


def segments_of(a: MixerArguments) -> list[Segment]:
    """Return the segments in the order of the walk."""
    batch, length = a.x.shape[:2]
    return cut(a.sequences(), batch, length, a.segment, a.cu_seqlens is not None, a.reverse)


def project(a: MixerArguments) -> Projections:
    """Return the matrices of the projections, converted."""
    x_dm, z_dm = a.in_proj.to(a.x.dtype).chunk(2)
    return Projections(x_dm, z_dm, *(matrix.to(a.x.dtype) for matrix in (a.x_proj, a.dt_proj, a.out_proj)))


def prepare(a: MixerArguments, matrices: Projections, segment: Segment, conv_state: Tensor) -> Inputs:
    """Compute what the scan of a segment is given."""
    batch = a.x.shape[0]
    x_pm = segment.rows(a.x)

    def sequences(rows: Tensor) -> Tensor:
        return rows.reshape(batch, -1, rows.shape[1])

    x_bld, z_bld = (sequences(F.linear(x_pm, matrix)) for matrix in (matrices.x_dm, matrices.z_dm))
    u_bld = conv_operator(x_bld, a.conv_weight, a.conv_bias, conv_state, segment.cu_seqlens, True, a.reverse, a.backend)
    (dt_rank, d_state) = a.dt_proj.shape[1], a.A.shape[1]
    parameters = F.linear(u_bld.flatten(0, 1), matrices.parameters)
    low_rank_pr, B_pn, C_pn = parameters.split([dt_rank, d_state, d_state], dim=1)
    delta_bld = sequences(F.linear(low_rank_pr, matrices.delta_dr))
    B_bln, C_bln = sequences(B_pn).contiguous(), sequences(C_pn).contiguous()
    return Inputs(x_pm, x_bld, u_bld, low_rank_pr, delta_bld, B_bln, C_bln, z_bld)


def compute(a: MixerArguments, matrices: Projections, segment: Segment, state: MixerState, keep: bool) -> Parts:
    """Compute a segment from the state before it, up to the scan's output after the gate."""
    given = prepare(a, matrices, segment, state.conv)
    y_bld, scan_state, borders = scan_operator(
        *(given.u_bld, given.delta_bld, a.A, given.B_bln, given.C_bln, a.D, given.z_bld, a.dt_bias, state.scan),
        *(segment.cu_seqlens, True, a.reverse, a.backend, keep),
    )
    conv_state = next_conv_state(given.x_bld.flatten(0, 1), state.conv, segment, a.reverse)
    return Parts(given, y_bld, MixerState(conv_state, scan_state), borders)


def _walk(a: MixerArguments, matrices: Projections, segment: Segment, state: MixerState, y: Tensor) -> MixerState:
    """Write the output of a segment and return the state after it; nothing else outlives the call."""
    parts = compute(a, matrices, segment, state, keep=False)
    segment.put(y, F.linear(parts.y_bld.flatten(0, 1), matrices.out_md))
    return parts.state
