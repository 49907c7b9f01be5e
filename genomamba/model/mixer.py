"""One Mamba mixer: projections around a short convolution and a selective scan."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genomamba.config import ModelConfig
from genomamba_kernels import (
    MixerState,
    MixerWeights,
    Neighbours,
    causal_conv1d,
    fused_mixer,
    mixer_part,
    scan_part,
    selective_scan,
    tail_before,
)

__all__ = ["BidirectionalMixer", "Mixer"]

DELTA_MIN, DELTA_MAX, DELTA_FLOOR = 0.001, 0.1, 1e-4


class Mixer(nn.Module):
    """Mamba mixer over one direction.

    Parameter names and shapes are those of the published Mamba-1 checkpoints.

    Parameters
    ----------
    config : ModelConfig
        Shape of the network.
    reverse : bool
        Walk from the last position to the first, in place.

    Attributes
    ----------
    recompute : bool
        Keep only the input for backward, and compute the rest again there: less memory, more time.

    References
    ----------
    Gu & Dao 2023, "Mamba", arXiv:2312.00752, section 3.4 and figure 3.
    """

    def __init__(self, config: ModelConfig, *, reverse: bool = False) -> None:
        super().__init__()
        d_model, d_inner, d_state = config.d_model, config.d_inner, config.d_state
        self.d_state, self.dt_rank, self.reverse = d_state, config.resolved_dt_rank, reverse
        self.recompute = False
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=config.proj_bias)
        self.conv1d = nn.Conv1d(d_inner, d_inner, config.d_conv, groups=d_inner, bias=config.conv_bias)
        self.x_proj = nn.Linear(d_inner, self.dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(self.dt_rank, d_inner)
        self.A_log = nn.Parameter(torch.empty(d_inner, d_state))
        self.D = nn.Parameter(torch.empty(d_inner))
        self.out_proj = nn.Linear(d_inner, d_model, bias=config.proj_bias)
        self.reset_state_space()

    @torch.no_grad()
    def reset_state_space(self) -> None:
        """Set A_log = log(1..n), D = 1, and delta's bias so that softplus gives a log-uniform step.

        The step lies in [0.001, 0.1] (Gu & Dao 2023, section 3.6); `dt_proj.weight` is uniform within
        dt_rank^-0.5.
        """
        # The meta device holds no values, and takes its time over drawing none.
        if self.A_log.is_meta:
            return
        states = torch.arange(1, self.d_state + 1, dtype=self.A_log.dtype, device=self.A_log.device)
        self.A_log.copy_(states.log().expand_as(self.A_log))
        self.D.fill_(1.0)
        nn.init.uniform_(self.dt_proj.weight, -(self.dt_rank**-0.5), self.dt_rank**-0.5)
        low, high = math.log(DELTA_MIN), math.log(DELTA_MAX)
        delta = torch.empty_like(self.dt_proj.bias).uniform_(low, high).exp_().clamp_(min=DELTA_FLOOR)
        # The inverse of softplus: x = y + log(1 - exp(-y)).
        self.dt_proj.bias.copy_(delta + torch.log(-torch.expm1(-delta)))

    @property
    def A(self) -> Tensor:  # noqa: N802
        """The state matrix, (d_inner, d_state), negative: float32, or float64 where its logarithm is."""
        return -torch.exp(self.A_log.float() if self.A_log.dtype != torch.float64 else self.A_log)

    def project_in(self, x_blm: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scan's input and the gate, each (batch, length, d_inner) and contiguous."""
        weight_x, weight_z = self.in_proj.weight.chunk(2)
        bias_x, bias_z = (None, None) if self.in_proj.bias is None else self.in_proj.bias.chunk(2)
        return F.linear(x_blm, weight_x, bias_x), F.linear(x_blm, weight_z, bias_z)

    def mix(
        self, x_bld: Tensor, z_bld: Tensor | None, state: MixerState | None = None, cu_seqlens: Tensor | None = None
    ) -> tuple[Tensor, MixerState]:
        """Convolve, scan and gate.

        Parameters
        ----------
        x_bld, z_bld : (batch, length, d_inner)
            As `project_in` gives them, of one dtype. Without z_bld nothing is gated.
        state : MixerState, optional
            What the piece before this one, in the direction of the mixer, returned.
        cu_seqlens : (sequences + 1,), int64, optional
            Borders of sequences packed in a batch of 1.

        Returns
        -------
        y : (batch, length, d_inner)
        state : MixerState
            For the next piece.
        """
        conv_state, scan_state = (None, None) if state is None else state
        u_bld, conv_state = causal_conv1d(
            x_bld,
            self.conv1d.weight.squeeze(1),
            self.conv1d.bias,
            activation="silu",
            initial_state=conv_state,
            return_final_state=True,
            reverse=self.reverse,
            cu_seqlens=cu_seqlens,
        )
        delta_bld, B_bln, C_bln = self._step_and_maps(u_bld)
        y_bld, scan_state = selective_scan(
            u_bld,
            delta_bld,
            self.A,
            B_bln,
            C_bln,
            D=self.D,
            z=z_bld,
            delta_bias=self.dt_proj.bias,
            delta_softplus=True,
            initial_state=scan_state,
            return_final_state=True,
            reverse=self.reverse,
            cu_seqlens=cu_seqlens,
        )
        return y_bld, MixerState(conv_state, scan_state)

    def mix_part(self, x_bld: Tensor, z_bld: Tensor, neighbours: Neighbours) -> Tensor:
        """Convolve, scan and gate a part of a sequence, whose other parts `neighbours` hold."""
        weight = self.conv1d.weight.squeeze(1)
        tail = tail_before(x_bld, weight.shape[1], neighbours, self.reverse)
        u_bld = causal_conv1d(
            x_bld, weight, self.conv1d.bias, activation="silu", initial_state=tail, reverse=self.reverse
        )
        delta_bld, B_bln, C_bln = self._step_and_maps(u_bld)
        return scan_part(
            u_bld,
            delta_bld,
            self.A,
            B_bln,
            C_bln,
            neighbours,
            D=self.D,
            z=z_bld,
            delta_bias=self.dt_proj.bias,
            delta_softplus=True,
            reverse=self.reverse,
        )

    def _step_and_maps(self, u_bld: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the step before bias and softplus, B and C."""
        low_rank, B_bln, C_bln = self.x_proj(u_bld).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        return F.linear(low_rank, self.dt_proj.weight), B_bln.contiguous(), C_bln.contiguous()

    def advance(self, x_blm: Tensor, state: MixerState | None) -> tuple[Tensor, MixerState]:
        """Map one piece of a sequence, (batch, length, d_model), from the state before it to the state after it."""
        if self.recompute and torch.is_grad_enabled():
            return fused_mixer(x_blm, self.weights(), state, return_final_state=True, reverse=self.reverse)
        y_bld, state = self.mix(*self.project_in(x_blm), state)
        return self.out_proj(y_bld), state

    def follow(self, x_blm: Tensor, state: MixerState | None) -> MixerState:
        """Return the state that `advance` returns, for less than its output costs."""
        weight, bias = self.in_proj.weight.chunk(2)[0], self.in_proj.bias
        x_bld = F.linear(x_blm, weight, None if bias is None else bias.chunk(2)[0])
        return self.mix(x_bld, None, state)[1]

    def forward(self, x_blm: Tensor, cu_seqlens: Tensor | None = None, neighbours: Neighbours | None = None) -> Tensor:
        """Map (batch, length, d_model) to the same shape: whole sequences, or parts whose others `neighbours` hold."""
        if self.recompute:
            if neighbours is not None:
                return mixer_part(x_blm, self.weights(), neighbours, reverse=self.reverse)
            return fused_mixer(x_blm, self.weights(), reverse=self.reverse, cu_seqlens=cu_seqlens)
        y_bld = self.mix_whole(*self.project_in(x_blm), cu_seqlens, neighbours)
        projected: Tensor = self.out_proj(y_bld)
        return projected

    def mix_whole(
        self, x_bld: Tensor, z_bld: Tensor, cu_seqlens: Tensor | None, neighbours: Neighbours | None
    ) -> Tensor:
        """Convolve, scan and gate sequences from their start; of a part of each, where `neighbours` hold the others."""
        if neighbours is not None:
            return self.mix_part(x_bld, z_bld, neighbours)
        return self.mix(x_bld, z_bld, cu_seqlens=cu_seqlens)[0]

    def weights(self) -> MixerWeights:
        """Return the weights as the fused mixer takes them."""
        return MixerWeights(
            in_proj=self.in_proj.weight,
            conv_weight=self.conv1d.weight.squeeze(1),
            x_proj=self.x_proj.weight,
            dt_proj=self.dt_proj.weight,
            A=self.A,
            out_proj=self.out_proj.weight,
            conv_bias=self.conv1d.bias,
            dt_bias=self.dt_proj.bias,
            D=self.D,
        )


class BidirectionalMixer(nn.Module):
    """Two mixers over one input, one in each direction, summed or multiplied; tied projections are applied once.

    Tied, `mamba_rev` shares `in_proj` and `out_proj` with `mamba_fwd` (Schiff et al. 2024, arXiv:2403.03234,
    section 3.1): then W f + b + W r + b = W (f + r) + 2 b.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.mamba_fwd = Mixer(config)
        self.mamba_rev = Mixer(config, reverse=True)
        self.tied, self.multiplies = config.tie_directions, config.merge == "multiply"
        if self.tied:
            self.mamba_rev.in_proj = self.mamba_fwd.in_proj
            self.mamba_rev.out_proj = self.mamba_fwd.out_proj

    def forward(self, x_blm: Tensor, cu_seqlens: Tensor | None = None, neighbours: Neighbours | None = None) -> Tensor:
        """Map (batch, length, d_model) to the same shape; see `Mixer.forward`."""
        forward, backward = self.mamba_fwd, self.mamba_rev
        if forward.recompute and x_blm.dtype == torch.float32 and torch.is_autocast_enabled(x_blm.device.type):
            # Once: each direction would keep a copy of its own.
            x_blm = x_blm.to(torch.get_autocast_dtype(x_blm.device.type))
        if forward.recompute and not self.multiplies:
            # In place: nothing keeps the terms, and the sum would be a third tensor of the length.
            total: Tensor = forward(x_blm, cu_seqlens, neighbours).add_(backward(x_blm, cu_seqlens, neighbours))
            return total
        if forward.recompute or not self.tied:
            return self.merge(forward(x_blm, cu_seqlens, neighbours), backward(x_blm, cu_seqlens, neighbours))
        x_bld, z_bld = forward.project_in(x_blm)
        left = forward.mix_whole(x_bld, z_bld, cu_seqlens, neighbours)
        right = backward.mix_whole(x_bld, z_bld, cu_seqlens, neighbours)
        out = forward.out_proj
        if self.multiplies:
            return self.merge(out(left), out(right))
        return F.linear(left + right, out.weight, None if out.bias is None else 2 * out.bias)

    def merge(self, forward: Tensor, backward: Tensor) -> Tensor:
        """Combine what the two directions give."""
        return forward * backward if self.multiplies else forward + backward
