"""The mixer as a plain composition of its parts: the specification of the fused operation."""

import torch.nn.functional as F
from torch import Tensor

from genomamba_kernels.conv.reference import conv_reference
from genomamba_kernels.mixer.arguments import MixerState, MixerWeights
from genomamba_kernels.scan.reference import scan_reference


def mixer_reference(
    x: Tensor,
    weights: MixerWeights,
    initial_state: MixerState | None = None,
    reverse: bool = False,
    cu_seqlens: Tensor | None = None,
) -> tuple[Tensor, MixerState]:
    """Project in, convolve, project to step, B and C, scan, gate, project out.

    The arguments are those of `genomamba_kernels.fused_mixer`; autograd differentiates through it, and
    keeps every intermediate of the length of the sequence.

    Returns
    -------
    y : (batch, length, d_model), dtype of x
    state : MixerState
        What the next piece takes.

    References
    ----------
    Gu & Dao 2023, "Mamba", arXiv:2312.00752, section 3.4 and figure 3.
    """
    conv_state, scan_state = (None, None) if initial_state is None else initial_state
    weight_x, weight_z = weights.in_proj.to(x.dtype).chunk(2)
    x_bld, z_bld = F.linear(x, weight_x), F.linear(x, weight_z)
    u_bld, conv_state = conv_reference(
        x_bld, weights.conv_weight, weights.conv_bias, "silu", conv_state, reverse, cu_seqlens
    )
    (dt_rank, d_state) = weights.dt_proj.shape[1], weights.A.shape[1]
    low_rank, B_bln, C_bln = F.linear(u_bld, weights.x_proj.to(x.dtype)).split([dt_rank, d_state, d_state], dim=-1)
    delta_bld = F.linear(low_rank, weights.dt_proj.to(x.dtype))
    y_bld, scan_state = scan_reference(
        *(u_bld, delta_bld, weights.A, B_bln, C_bln, weights.D, z_bld, weights.dt_bias, True),
        *(scan_state, reverse, cu_seqlens),
    )
    return F.linear(y_bld, weights.out_proj.to(x.dtype)), MixerState(conv_state, scan_state)
