"""What the kernels of the selective scan are given, and what they give back: the same for every backend."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from genomamba_kernels._sequences import Sequences, count_sequences, find_sequences


class ScanArguments(NamedTuple):
    """Arguments of `selective_scan`, checked: contiguous, the sequences of one dtype, the others in that of the state.

    The order is that of the operators' schemas.
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    delta_bias: Tensor | None
    initial_state: Tensor | None
    cu_seqlens: Tensor | None
    delta_softplus: bool
    reverse: bool

    def sequences(self) -> Sequences:
        """Return where the sequences lie; ValueError where `cu_seqlens` does not fit."""
        return find_sequences("selective_scan", self.u.shape, self.cu_seqlens)

    @property
    def state_shape(self) -> torch.Size:
        """(sequences, d_inner, d_state)."""
        return torch.Size((count_sequences(self.u.shape, self.cu_seqlens), *self.A.shape))


class ScanGradients(NamedTuple):
    """Gradients of the tensors of `ScanArguments`, each in the dtype of its tensor; `z` may be empty."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    z: Tensor
    delta_bias: Tensor
    initial_state: Tensor


class ScanBackend(Protocol):
    """The kernels of one kind of device: a module with these functions."""

    def forward(self, a: ScanArguments, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return y, the final state, and where `keep` what `backward` starts from, else something empty."""

    def backward(self, a: ScanArguments, dy: Tensor, dfinal_state: Tensor | None, borders: Tensor) -> ScanGradients:
        """Return every gradient; the initial state of `a` is None, and no longer needed."""

    def borders_shape(self, a: ScanArguments) -> tuple[int, ...]:
        """Return the shape of the third output of `forward`, from shapes and devices alone."""
