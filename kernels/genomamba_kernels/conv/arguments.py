"""What the kernels of the causal convolution are given, and what they give back: the same for every backend."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from genomamba_kernels._sequences import Sequences, count_sequences, find_sequences


class ConvArguments(NamedTuple):
    """Arguments of `causal_conv1d`, checked: contiguous, all but x in the dtype of the state.

    The order is that of the operators' schemas.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    initial_state: Tensor | None
    cu_seqlens: Tensor | None
    gated: bool
    """Pass the output through silu."""
    reverse: bool

    def sequences(self) -> Sequences:
        """Return where the sequences lie; ValueError where `cu_seqlens` does not fit."""
        return find_sequences("causal_conv1d", self.x.shape, self.cu_seqlens)

    @property
    def state_shape(self) -> torch.Size:
        """(sequences, d_conv - 1, d_inner)."""
        width, d_conv = self.weight.shape
        return torch.Size((count_sequences(self.x.shape, self.cu_seqlens), d_conv - 1, width))


class ConvGradients(NamedTuple):
    """Gradients of the tensors of `ConvArguments`, each in the dtype of its tensor; `initial_state` may be empty."""

    x: Tensor
    weight: Tensor
    bias: Tensor
    initial_state: Tensor


class ConvBackend(Protocol):
    """The kernels of one kind of device: a module with these functions."""

    def forward(self, a: ConvArguments) -> Tensor:
        """Return y, in the dtype of x."""

    def backward(self, a: ConvArguments, dy: Tensor) -> ConvGradients:
        """Return every gradient."""
