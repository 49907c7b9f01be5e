"""What the mixer is given, and what it gives back."""

from typing import NamedTuple

import torch
from torch import Tensor

from genomamba_kernels._checks import state_dtype
from genomamba_kernels._sequences import Sequences, count_sequences, find_sequences


class MixerWeights(NamedTuple):
    """Weights of a mixer, in the shapes of the published Mamba-1 checkpoints; each of any floating dtype."""

    in_proj: Tensor
    """(2 d_inner, d_model): the scan's input, then the gate."""
    conv_weight: Tensor
    """(d_inner, d_conv): the last tap meets the present position."""
    x_proj: Tensor
    """(dt_rank + 2 d_state, d_inner): the step's low rank, then B, then C."""
    dt_proj: Tensor
    """(d_inner, dt_rank)."""
    A: Tensor
    """(d_inner, d_state), negative: not its logarithm, which checkpoints hold."""
    out_proj: Tensor
    """(d_model, d_inner)."""
    conv_bias: Tensor | None = None
    """(d_inner,)."""
    dt_bias: Tensor | None = None
    """(d_inner,): added before softplus makes the step."""
    D: Tensor | None = None
    """(d_inner,): skip past the state."""


class MixerState(NamedTuple):
    """What one piece of a sequence hands to the next, in the dtype of the state."""

    conv: Tensor
    """(sequences, d_conv - 1, d_inner): inputs of the convolution next to the piece, in the order of positions."""
    scan: Tensor
    """(sequences, d_inner, d_state): state of the scan."""


class MixerArguments(NamedTuple):
    """Arguments of `fused_mixer`, checked: contiguous, all but x and the projections in the dtype of the state.

    The order is that of the operators' schemas.
    """

    x: Tensor
    in_proj: Tensor
    conv_weight: Tensor
    x_proj: Tensor
    dt_proj: Tensor
    A: Tensor
    out_proj: Tensor
    conv_bias: Tensor | None
    dt_bias: Tensor | None
    D: Tensor | None
    conv_state: Tensor | None
    scan_state: Tensor | None
    cu_seqlens: Tensor | None
    reverse: bool
    segment: int
    backend: str

    def sequences(self) -> Sequences:
        """Return where the sequences lie; ValueError where `cu_seqlens` does not fit."""
        return find_sequences("fused_mixer", self.x.shape, self.cu_seqlens)

    @property
    def num_sequences(self) -> int:
        """Number of sequences."""
        return count_sequences(self.x.shape, self.cu_seqlens)

    @property
    def state_shapes(self) -> tuple[torch.Size, torch.Size]:
        """Shapes of the two states of one sequence."""
        d_inner, d_conv = self.conv_weight.shape
        return torch.Size((d_conv - 1, d_inner)), self.A.shape

    @property
    def kept_shape(self) -> tuple[int, int]:
        """Borders between segments, and sequences whose states are kept there: a row of the batch, or the one cut."""
        batch, length = self.x.shape[:2]
        return (length - 1) // self.segment, batch if self.cu_seqlens is None else 1

    def initial_states(self) -> MixerState:
        """Return the initial states, zeros where none were given; never the memory of the arguments."""
        given = zip((self.conv_state, self.scan_state), self.state_shapes, strict=True)
        dtype = state_dtype(self.x.dtype)
        return MixerState(
            *(
                self.x.new_zeros(self.num_sequences, *shape, dtype=dtype) if state is None else state.clone()
                for state, shape in given
            )
        )


class MixerGradients(NamedTuple):
    """Gradients of the tensors of `MixerArguments`, each in the dtype of its tensor."""

    x: Tensor
    in_proj: Tensor
    conv_weight: Tensor
    x_proj: Tensor
    dt_proj: Tensor
    A: Tensor
    out_proj: Tensor
    conv_bias: Tensor
    dt_bias: Tensor
    D: Tensor
    conv_state: Tensor
    scan_state: Tensor
