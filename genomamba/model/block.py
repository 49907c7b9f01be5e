"""A residual block: normalise, mix, add."""

from __future__ import annotations

from torch import Tensor, nn

from genomamba.config import ModelConfig
from genomamba.model.mixer import BidirectionalMixer, Mixer
from genomamba_kernels import MixerState

__all__ = ["Block", "make_norm"]


def make_norm(config: ModelConfig) -> nn.Module:
    """Return the norm over channels that a model of this shape has before each mixer and before the head."""
    kind = nn.RMSNorm if config.norm == "rms" else nn.LayerNorm
    return kind(config.d_model, eps=config.norm_eps)


class Block(nn.Module):
    """x + mixer(norm(x)); the residual stream stays in float32 under autocast."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = make_norm(config)
        self.mixer = Mixer(config) if config.direction == "causal" else BidirectionalMixer(config)

    def forward(self, x_blm: Tensor, cu_seqlens: Tensor | None = None) -> Tensor:
        """Map the residual stream (batch, length, d_model) to the same shape and dtype."""
        mixed: Tensor = x_blm + self.mixer(self.norm(x_blm), cu_seqlens)
        return mixed

    def advance(self, x_blm: Tensor, state: MixerState) -> tuple[Tensor, MixerState]:
        """Map one piece of the residual stream of a causal model, from the state before it to the state after it."""
        assert isinstance(self.mixer, Mixer), "a bidirectional mixer has no state"
        mixed, state = self.mixer.advance(self.norm(x_blm), state)
        return x_blm + mixed, state
