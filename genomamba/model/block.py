"""A residual block: normalise, mix, add."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from genomamba.config import ModelConfig
from genomamba.model.mixer import BidirectionalMixer, Mixer
from genomamba.model.renorm import renorm
from genomamba_kernels import MixerState, Neighbours

__all__ = ["Block", "make_norm"]


def make_norm(config: ModelConfig) -> nn.Module:
    """Return the norm over channels that a model of this shape has before each mixer and before the head."""
    kind = nn.RMSNorm if config.norm == "rms" else nn.LayerNorm
    return kind(config.d_model, eps=config.norm_eps)


class Block(nn.Module):
    """x + mixer(norm(x)); the residual stream stays in float32 under autocast.

    Attributes
    ----------
    recompute : bool
        Keep only x for backward, of all that has the length of the sequence: its norm is computed again there, and the
        mixer does the same with what lies inside it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.recompute = False
        self.norm = make_norm(config)
        self.mixer = Mixer(config) if config.direction == "causal" else BidirectionalMixer(config)

    def forward(self, x_blm: Tensor, cu_seqlens: Tensor | None = None, neighbours: Neighbours | None = None) -> Tensor:
        """Map the residual stream (batch, length, d_model) to the same shape and dtype; see `Mixer.forward`."""
        normalised = self._normalise(x_blm)
        with self._kept(x_blm, normalised):
            mixed: Tensor = self.mixer(normalised, cu_seqlens, neighbours)
        return x_blm + mixed

    def advance(self, x_blm: Tensor, state: MixerState) -> tuple[Tensor, MixerState]:
        """Map one piece of the residual stream of a causal model, from the state before it to the state after it."""
        assert isinstance(self.mixer, Mixer), "a bidirectional mixer has no state"
        normalised = self._normalise(x_blm)
        with self._kept(x_blm, normalised):
            mixed, state = self.mixer.advance(normalised, state)
        return x_blm + mixed, state

    def _normalise(self, x_blm: Tensor) -> Tensor:
        if not self.recompute:
            normalised: Tensor = self.norm(x_blm)
            return normalised
        device = x_blm.device.type
        is_cast = x_blm.dtype == torch.float32 and torch.is_autocast_enabled(device)
        # Under autocast it is what a mixer would make of it, and keep.
        return renorm(self.norm, x_blm, torch.get_autocast_dtype(device) if is_cast else x_blm.dtype)

    def _kept(self, x_blm: Tensor, normalised: Tensor) -> AbstractContextManager[object]:
        """Have what keeps `normalised` for backward keep nothing, and compute it from x again."""
        if not self.recompute:
            return nullcontext()
        place, shape, dtype, source = normalised.data_ptr(), normalised.shape, normalised.dtype, x_blm.detach()

        @torch.no_grad()
        def again() -> Tensor:
            return renorm(self.norm, source, dtype)

        def pack(tensor: Tensor) -> Tensor | Callable[[], Tensor]:
            return again if tensor.data_ptr() == place and tensor.shape == shape else tensor

        def unpack(kept: Tensor | Callable[[], Tensor]) -> Tensor:
            return kept if isinstance(kept, Tensor) else kept()

        return saved_tensors_hooks(pack, unpack)
