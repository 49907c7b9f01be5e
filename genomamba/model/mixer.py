"""One Mamba mixer: projections around a short convolution and a selective scan."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genomamba.config import ModelConfig
from genomamba_kernels import causal_conv1d, selective_scan

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

    References
    ----------
    Gu & Dao 2023, "Mamba", arXiv:2312.00752, section 3.4 and figure 3.
    """

    def __init__(self, config: ModelConfig, *, reverse: bool = False) -> None:
        super().__init__()
        d_model, d_inner, d_state = config.d_model, config.d_inner, config.d_state
        self.d_state, self.dt_rank, self.reverse = d_state, config.resolved_dt_rank, reverse
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

    def project_in(self, x_blm: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scan's input and the gate, each (batch, length, d_inner) and contiguous."""
        weight_x, weight_z = self.in_proj.weight.chunk(2)
        bias_x, bias_z = (None, None) if self.in_proj.bias is None else self.in_proj.bias.chunk(2)
        return F.linear(x_blm, weight_x, bias_x), F.linear(x_blm, weight_z, bias_z)

    def mix(self, x_bld: Tensor, z_bld: Tensor) -> Tensor:
        """Convolve, scan and gate: (batch, length, d_inner) twice in, once out, all of one dtype."""
        u_bld = causal_conv1d(
            x_bld, self.conv1d.weight.squeeze(1), self.conv1d.bias, activation="silu", reverse=self.reverse
        )
        parameters = self.x_proj(u_bld)
        low_rank, B_bln, C_bln = parameters.split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        y_bld: Tensor = selective_scan(
            u_bld,
            F.linear(low_rank, self.dt_proj.weight),
            -torch.exp(self.A_log.float() if self.A_log.dtype != torch.float64 else self.A_log),
            B_bln.contiguous(),
            C_bln.contiguous(),
            D=self.D,
            z=z_bld,
            delta_bias=self.dt_proj.bias,
            delta_softplus=True,
            reverse=self.reverse,
        )
        return y_bld

    def forward(self, x_blm: Tensor) -> Tensor:
        """Map (batch, length, d_model) to the same shape."""
        projected: Tensor = self.out_proj(self.mix(*self.project_in(x_blm)))
        return projected


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

    def forward(self, x_blm: Tensor) -> Tensor:
        """Map (batch, length, d_model) to the same shape."""
        forward, backward = self.mamba_fwd, self.mamba_rev
        if not self.tied:
            left, right = forward(x_blm), backward(x_blm)
            both: Tensor = left * right if self.multiplies else left + right
            return both
        x_bld, z_bld = forward.project_in(x_blm)
        left, right, out = forward.mix(x_bld, z_bld), backward.mix(x_bld, z_bld), forward.out_proj
        if self.multiplies:
            product: Tensor = out(left) * out(right)
            return product
        return F.linear(left + right, out.weight, None if out.bias is None else 2 * out.bias)
