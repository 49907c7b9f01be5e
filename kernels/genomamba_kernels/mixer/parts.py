"""The mixer over a part of a sequence, recomputed in backward: two walks each way, with an exchange between them.

Forward, the first walk finds what the part makes of a state of zero, the second one gives the output. Backward, the
first walk finds what it makes of a gradient of zero, the second one gives the gradients. Nothing of the length is kept
but the input, and nothing of the length is exchanged.
"""

from typing import Any

import torch
from torch import Tensor

from genomamba_kernels import _checks
from genomamba_kernels._neighbours import Neighbours
from genomamba_kernels.conv.parts import tail_of
from genomamba_kernels.mixer.arguments import MixerArguments, MixerGradients, MixerState, MixerWeights
from genomamba_kernels.mixer.forward import prepare, project, segments_of
from genomamba_kernels.mixer.op import cast, mixer_backward_operator, mixer_operator, ready_for_kernels
from genomamba_kernels.mixer.segments import default_segment
from genomamba_kernels.mixer.tails import next_conv_state
from genomamba_kernels.scan.op import scan_operator
from genomamba_kernels.scan.parts import adjoint_before, decay_of


def mixer_part(
    x: Tensor,
    weights: MixerWeights,
    neighbours: Neighbours,
    reverse: bool = False,
    segment: int | None = None,
    backend: str = "auto",
) -> Tensor:
    """Run `fused_mixer` over this part of a sequence, as the whole would be; differentiable.

    The arguments are those of `fused_mixer`, and the holders of the other parts. All of them call this, and its
    backward, the same number of times and in the same order.

    Returns
    -------
    y : (batch, length, d_model), dtype of x, or under autocast its dtype

    Raises
    ------
    ValueError, NotImplementedError
        As `fused_mixer` does; also for a part shorter than the convolution looks back.
    """
    states = dict.fromkeys(("initial_state.conv", "initial_state.scan"))
    _checks.check_mixer(x, weights._asdict() | states, None, segment)
    chosen = _checks.resolve_kernels("mixer_part", backend, x.device)
    x = cast(x)
    named: dict[str, Tensor | None] = {"x": x, **weights._asdict()}
    ready = ready_for_kernels(named)
    positions = segment or default_segment(x, weights.A.shape[0])
    y: Tensor = _MixerPart.apply(neighbours, reverse, positions, chosen, *ready)  # type: ignore[no-untyped-call]
    return y


class _MixerPart(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, neighbours: Neighbours, reverse: bool, segment: int, backend: str, *tensors: Any) -> Tensor:
        how = (reverse, segment, backend)
        given: list[Any] = [*tensors, None, None, None, *how]
        a = MixerArguments(*given)
        with torch.autocast(a.x.device.type, enabled=False):
            tail = _tail(a)
            if tail.shape[1]:
                tail = neighbours.shift(tail, reverse)
            a = a._replace(conv_state=tail)
            local, decay = _summary(a)
            a = a._replace(scan_state=neighbours.before(local, decay, reverse))
            y: Tensor
            y, _, _, *kept = mixer_operator(*a, any(ctx.needs_input_grad))
        ctx.neighbours, ctx.how = neighbours, how
        ctx.save_for_backward(*a[:12], decay, *kept)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        *tensors, decay, kept_conv, kept_scan = ctx.saved_tensors
        given: list[Any] = [*tensors, None, *ctx.how]
        a, dy = MixerArguments(*given), dy.contiguous()
        with torch.autocast(a.x.device.type, enabled=False):
            local = _adjoint_summary(a, dy, kept_conv)
            after = ctx.neighbours.before(local, decay, not a.reverse)
            d = MixerGradients(*mixer_backward_operator(dy, None, after, kept_conv, kept_scan, *a))
            dtail = d.conv_state
            if dtail.shape[1]:
                _add_through_tail(a, d, ctx.neighbours.shift(dtail.contiguous(), not a.reverse))
        gradients = (
            gradient if tensor is not None else None for gradient, tensor in zip(d[:10], tensors, strict=False)
        )
        return None, None, None, None, *gradients


def _tail(a: MixerArguments) -> Tensor:
    """Return the inputs of the convolution that the next part needs, in the dtype of the state."""
    at = tail_of(a.x, a.conv_weight.shape[1], a.reverse)
    x_bpm = a.x[:, at]
    return torch.matmul(x_bpm, project(a).x_dm.T).to(_checks.state_dtype(a.x.dtype))


def _summary(a: MixerArguments) -> tuple[Tensor, Tensor]:
    """Walk along time from a state of zero: the state after the part, and by what it multiplies the one before it."""
    matrices, state = project(a), a.initial_states()
    decay = torch.ones_like(state.scan)
    for segment in segments_of(a):
        given = prepare(a, matrices, segment, state.conv)
        _, scan_state, _ = scan_operator(
            *(given.u_bld, given.delta_bld, a.A, given.B_bln, given.C_bln, None, None, a.dt_bias, state.scan, None),
            *(True, a.reverse, a.backend, False),
        )
        decay *= decay_of(given.delta_bld, a.A, a.dt_bias, True)
        state = MixerState(next_conv_state(given.x_bld.flatten(0, 1), state.conv, segment, a.reverse), scan_state)
    return state.scan, decay


def _adjoint_summary(a: MixerArguments, dy: Tensor, kept_conv: Tensor) -> Tensor:
    """Walk against time from a gradient of zero; return that of the state before the part."""
    matrices, segments, initial = project(a), segments_of(a), a.initial_states()
    gradient = torch.zeros_like(initial.scan)
    for number in reversed(range(len(segments))):
        segment = segments[number]
        given = prepare(a, matrices, segment, kept_conv[number - 1] if number else initial.conv)
        dout_bld = torch.mm(segment.rows(dy), matrices.out_md).view_as(given.u_bld)
        gradient = adjoint_before(
            *(gradient, dout_bld, given.delta_bld, a.A, given.C_bln, given.z_bld, a.dt_bias, True),
            *(a.reverse, a.backend),
        )
    return gradient


def _add_through_tail(a: MixerArguments, d: MixerGradients, dtail: Tensor) -> None:
    """Add what the next part says of the inputs of the convolution that it was given: a few positions."""
    at = tail_of(a.x, a.conv_weight.shape[1], a.reverse)
    matrices, rows_pm = project(a), a.x[:, at].flatten(0, 1)
    dtail_pd = dtail.to(a.x.dtype).flatten(0, 1)
    d.x[:, at] += torch.mm(dtail_pd, matrices.x_dm).view_as(d.x[:, at])
    d.in_proj.chunk(2)[0].add_(torch.mm(dtail_pd.T, rows_pm))
