"""Where the sequences lie: one description for a batch of equal lengths and for sequences packed end to end.

Batch and length are flattened into one axis of positions, on which each sequence is a piece. Kernels walk
pieces and do not know whether they came from a batch or from `cu_seqlens`.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sequences:
    """Pieces of the flattened axis of positions."""

    borders: npt.NDArray[np.int64]
    """(count + 1,): sequence i holds the positions borders[i] to borders[i + 1], exclusive."""

    @property
    def count(self) -> int:
        """Number of sequences."""
        return len(self.borders) - 1

    def pieces(self) -> list[tuple[int, int]]:
        """Return start and end of each sequence."""
        borders = self.borders.tolist()
        return list(itertools.pairwise(borders))

    def first_chunks(self, size: int) -> npt.NDArray[np.int64]:
        """Return how many chunks of up to `size` positions lie before each sequence, and in all: (count + 1,).

        Chunks are counted along the walk, so that for `reverse` the first chunk of a sequence is at its right end.
        """
        first = np.zeros(len(self.borders), np.int64)
        np.cumsum((self.borders[1:] - self.borders[:-1] + size - 1) // size, out=first[1:])
        return first


def find_sequences(where: str, shape: torch.Size, cu_seqlens: Tensor | None) -> Sequences:
    """Return the sequences of a (batch, length, channels) tensor; ValueError where `cu_seqlens` is no packing of it.

    Borders on another device are fetched, which waits for that device.
    """
    batch, length = shape[:2]
    if cu_seqlens is None:
        return Sequences(np.arange(batch + 1, dtype=np.int64) * length)
    borders = cu_seqlens.cpu().numpy().astype(np.int64)
    if borders[0] != 0 or borders[-1] != length:
        raise ValueError(
            f"{where}: cu_seqlens goes from {borders[0]} to {borders[-1]}, expected 0 to {length}, the length"
        )
    (wrong,) = np.nonzero(np.diff(borders) < 1)
    if len(wrong):
        i = int(wrong[0])
        raise ValueError(
            f"{where}: cu_seqlens[{i}] is {borders[i]} and cu_seqlens[{i + 1}] is {borders[i + 1]},"
            " expected each border above the one before it"
        )
    return Sequences(borders)


def count_sequences(shape: torch.Size, cu_seqlens: Tensor | None) -> int:
    """Return the number of sequences from shapes alone."""
    return shape[0] if cu_seqlens is None else cu_seqlens.shape[0] - 1


def most_chunks(shape: torch.Size, cu_seqlens: Tensor | None, size: int) -> int:
    """Return a bound, from shapes alone, on the chunks of all sequences; exact for a batch of equal lengths."""
    batch, length = shape[:2]
    if cu_seqlens is None:
        return batch * -(-length // size)
    return length // size + cu_seqlens.shape[0] - 1
