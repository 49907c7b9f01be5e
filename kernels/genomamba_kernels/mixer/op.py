"""The mixer as users call it: arguments checked, backend chosen by the device."""

from typing import Any, Literal, overload

import torch
from torch import Tensor

from genomamba_kernels import _checks
from genomamba_kernels.mixer import backward, forward
from genomamba_kernels.mixer.arguments import MixerArguments, MixerGradients, MixerState, MixerWeights
from genomamba_kernels.mixer.reference import mixer_reference
from genomamba_kernels.mixer.segments import default_segment


@overload
def fused_mixer(
    x: Tensor,
    weights: MixerWeights,
    initial_state: MixerState | None = ...,
    return_final_state: Literal[False] = ...,
    reverse: bool = ...,
    cu_seqlens: Tensor | None = ...,
    segment: int | None = ...,
    backend: str = ...,
) -> Tensor: ...


@overload
def fused_mixer(
    x: Tensor,
    weights: MixerWeights,
    initial_state: MixerState | None = ...,
    *,
    return_final_state: Literal[True],
    reverse: bool = ...,
    cu_seqlens: Tensor | None = ...,
    segment: int | None = ...,
    backend: str = ...,
) -> tuple[Tensor, MixerState]: ...


@overload
def fused_mixer(
    x: Tensor,
    weights: MixerWeights,
    initial_state: MixerState | None = ...,
    return_final_state: bool = ...,
    reverse: bool = ...,
    cu_seqlens: Tensor | None = ...,
    segment: int | None = ...,
    backend: str = ...,
) -> Tensor | tuple[Tensor, MixerState]: ...


def fused_mixer(
    x: Tensor,
    weights: MixerWeights,
    initial_state: MixerState | None = None,
    return_final_state: bool = False,
    reverse: bool = False,
    cu_seqlens: Tensor | None = None,
    segment: int | None = None,
    backend: str = "auto",
) -> Tensor | tuple[Tensor, MixerState]:
    """Run a whole Mamba mixer, and keep nothing of the length of the sequence for backward but x.

    Project in, convolve, project to step, B and C, scan, gate, project out. Everything between x and y is computed
    segment by segment along time, in backward again, so that its memory does not grow with the length.
    Differentiable in every tensor argument, and through the final state. Inputs that are not contiguous are copied.

    Parameters
    ----------
    x : (batch, length, d_model), float32, bfloat16 or float64
        Under autocast it is converted, save from float64.
    weights : MixerWeights
        Projections are applied in the dtype of x; their gradients are summed in float32 (float64 for float64) and come
        in the dtypes of the weights.
    initial_state : MixerState, optional
        State before the first position walked. Zero where it is not given. One a sequence with `cu_seqlens`.
    return_final_state : bool
        Return what the next piece takes as its `initial_state`.
    reverse : bool
        Walk from the last position to the first, in place.
    cu_seqlens : (sequences + 1,), int32 or int64, optional
        Borders of sequences packed end to end in a batch of 1, as for `selective_scan`.
    segment : int, optional
        Positions of each row that are computed at a time; no result depends on it, save for rounding. Default: as
        many as take 64 MiB on a CPU and 1 GiB on a GPU.
    backend : {"auto", "cpu", "triton", "reference"}
        "auto" goes by the device of x alone. "reference" is the specification in plain PyTorch, slow, which keeps
        everything.

    Returns
    -------
    y : (batch, length, d_model), dtype of x, or under autocast its dtype
    final_state : MixerState, float32 or float64
        Only with `return_final_state`; one a sequence with `cu_seqlens`.

    Raises
    ------
    ValueError
        Where a shape, dtype or device disagrees with that of x; the message gives both. A length of 0
        is refused.
    NotImplementedError
        Where the backend cannot run; the message names the way out.

    References
    ----------
    Gu & Dao 2023, "Mamba", arXiv:2312.00752, section 3.4 and figure 3.
    """
    conv_state, scan_state = (None, None) if initial_state is None else initial_state
    states = {"initial_state.conv": conv_state, "initial_state.scan": scan_state}
    _checks.check_mixer(x, weights._asdict() | states, cu_seqlens, segment)
    chosen = _checks.resolve_backend("fused_mixer", backend, x.device)
    x = cast(x)
    if chosen == "reference":
        results = mixer_reference(x, weights, initial_state, reverse, cu_seqlens)
        return results if return_final_state else results[0]

    named = {"x": x} | weights._asdict() | states
    _checks.check_tangents("fused_mixer", *named.values())
    ready = ready_for_kernels(named)
    keep = torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in ready)
    positions = segment or default_segment(x, weights.A.shape[0])
    y, *final_state, _, _ = mixer_operator(*ready, cu_seqlens, reverse, positions, chosen, keep)
    return (y, MixerState(*final_state)) if return_final_state else y


def cast(x: Tensor) -> Tensor:
    """Return x in the dtype that autocast asks for."""
    if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
        return x.to(torch.get_autocast_dtype(x.device.type))
    return x


def ready_for_kernels(named: dict[str, Tensor | None]) -> list[Tensor | None]:
    """Return tensors by the names of the arguments as the operators take them: contiguous, all but x and the
    projections in the dtype of the state."""
    assert named["x"] is not None
    wide = _checks.state_dtype(named["x"].dtype)
    return [
        None
        if tensor is None
        else tensor.to(tensor.dtype if name == "x" or name.endswith("_proj") else wide).contiguous()
        for name, tensor in named.items()
    ]


_ARGUMENTS = (
    "Tensor x, Tensor in_proj, Tensor conv_weight, Tensor x_proj, Tensor dt_proj, Tensor A, Tensor out_proj,"
    " Tensor? conv_bias, Tensor? dt_bias, Tensor? D, Tensor? conv_state, Tensor? scan_state, Tensor? cu_seqlens,"
    " bool reverse, SymInt segment, str backend"
)


@torch.library.custom_op(
    "genomamba::mixer", mutates_args=(), schema=f"({_ARGUMENTS}, bool keep) -> (Tensor{', Tensor' * 4})"
)
def mixer_operator(*arguments: Any) -> tuple[Tensor, ...]:
    """Return y, both final states, and where `keep` both states at the borders between segments."""
    *given, keep = arguments
    a = MixerArguments(*given)
    with torch.autocast(a.x.device.type, enabled=False):
        y, state, kept = forward.forward(a, keep)
    return y, *state, *kept


@mixer_operator.register_fake
def _(*arguments: Any) -> tuple[Tensor, ...]:
    *given, keep = arguments
    a = MixerArguments(*given)
    count, carried = a.kept_shape if keep else (0, 0)
    y = a.x.new_empty(*a.x.shape[:2], a.out_proj.shape[0])
    final = (a.A.new_empty(a.num_sequences, *shape) for shape in a.state_shapes)
    return y, *final, *(a.A.new_empty(count, carried, *shape) for shape in a.state_shapes)


@torch.library.custom_op(
    "genomamba::mixer_backward",
    mutates_args=(),
    schema="(Tensor dy, Tensor? dconv_state, Tensor? dscan_state, Tensor kept_conv, Tensor kept_scan,"
    f" {_ARGUMENTS}) -> (Tensor{', Tensor' * 11})",
)
def mixer_backward_operator(
    dy: Tensor,
    dconv_state: Tensor | None,
    dscan_state: Tensor | None,
    kept_conv: Tensor,
    kept_scan: Tensor,
    *arguments: Any,
) -> MixerGradients:
    """Return the gradients of the tensors among the arguments."""
    a = MixerArguments(*arguments)
    dstate = MixerState(
        *(
            a.A.new_zeros(a.num_sequences, *shape)
            if given is None
            else given.clone(memory_format=torch.contiguous_format)
            for given, shape in zip((dconv_state, dscan_state), a.state_shapes, strict=True)
        )
    )
    with torch.autocast(a.x.device.type, enabled=False):
        return backward.backward(a, dy, dstate, MixerState(kept_conv, kept_scan))


@mixer_backward_operator.register_fake
def _(*arguments: Any) -> MixerGradients:
    a = MixerArguments(*arguments[5:])
    states = (a.A.new_empty(a.num_sequences, *shape) for shape in a.state_shapes)
    d_inner = a.A.shape[0]
    weights = (torch.empty_like(tensor) for tensor in a[1:7])
    return MixerGradients(torch.empty_like(a.x), *weights, *(a.A.new_empty(d_inner) for _ in range(3)), *states)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.reverse, ctx.segment, ctx.backend, _ = inputs
    ctx.save_for_backward(*tensors, *output[3:])
    # No gradient of the kept states is ever needed, and zeros in the place of the others would be large.
    ctx.set_materialize_grads(False)


def _differentiate(
    ctx: Any, dy: Tensor | None, dconv_state: Tensor | None, dscan_state: Tensor | None, *_: None
) -> tuple[Tensor | None, ...]:
    *tensors, kept_conv, kept_scan = ctx.saved_tensors
    given: list[Any] = [*tensors, ctx.reverse, ctx.segment, ctx.backend]
    a = MixerArguments(*given)
    if dy is None:
        dy = a.x.new_zeros(*a.x.shape[:2], a.out_proj.shape[0])
    d = mixer_backward_operator(dy.contiguous(), dconv_state, dscan_state, kept_conv, kept_scan, *a)
    gradients = (gradient if tensor is not None else None for gradient, tensor in zip(d, tensors, strict=False))
    return *gradients, None, None, None, None, None


mixer_operator.register_autograd(_differentiate, setup_context=_setup_context)
