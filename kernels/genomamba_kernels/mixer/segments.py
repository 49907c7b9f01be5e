"""Cutting sequences into segments along time."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genomamba_kernels._sequences import Sequences

WORKSPACE_MIB = {"cpu": 64, "cuda": 1024}
"""Memory that a segment may take in backward, by device; on a GPU so much that its kernels outlast their start."""
POSITIONS = {"cpu": 2_688}
"""Positions of all rows that a segment may have beside: on a CPU more take more memory and no less time."""
SEQUENCES_ALIVE = 12
"""Tensors of d_inner channels that exist at once in backward of a segment."""
GRAIN = 64
"""Segments are multiples of so many positions: the CPU kernels' chunk, so that no border moves their chunks."""

Integers = npt.NDArray[np.int64]


def default_segment(x: Tensor, d_inner: int) -> int:
    """Return how many positions of each row make a segment."""
    a_position = SEQUENCES_ALIVE * d_inner * x.element_size() * x.shape[0]
    positions = WORKSPACE_MIB.get(x.device.type, WORKSPACE_MIB["cuda"]) * 2**20 // a_position
    if x.device.type in POSITIONS:
        positions = min(positions, POSITIONS[x.device.type] // x.shape[0])
    return max(1, positions // GRAIN) * GRAIN


@dataclass(frozen=True, slots=True)
class Segment:
    """Some positions of every row of the batch, and the sequences that have a part in it."""

    start: int
    end: int
    """Positions start to end, exclusive."""
    sequences: slice
    """Numbers of the sequences."""
    carried: slice
    """Numbers of those that the segment before it on the walk may have begun."""
    borders: Integers | None = None
    """(sequences + 1,): where several are packed, their borders counted from the start of the segment."""

    @property
    def cu_seqlens(self) -> Tensor | None:
        """What the kernels are to be given."""
        return None if self.borders is None else torch.from_numpy(self.borders)

    def rows(self, tensor: Tensor) -> Tensor:
        """Return this part of (batch, length, channels), flattened: (positions, channels), contiguous."""
        return tensor[:, self.start : self.end].reshape(-1, tensor.shape[2])

    def put(self, target: Tensor, rows: Tensor) -> None:
        """Copy what `rows` returns back into (batch, length, channels)."""
        part = target[:, self.start : self.end]
        part.copy_(rows.view(part.shape))


def cut(sequences: Sequences, batch: int, length: int, size: int, packed: bool, reverse: bool) -> list[Segment]:
    """Cut all rows after every `size` positions of the walk, and return the segments in its order."""
    edges = [*range(0, length, size), length]
    if reverse:
        edges = [length - edge for edge in reversed(edges)]
    segments = []
    for start, end in itertools.pairwise(edges):
        if not packed:
            segments.append(Segment(start, end, slice(0, batch), slice(0, batch)))
            continue
        first = int(np.searchsorted(sequences.borders, start, "right")) - 1
        last = int(np.searchsorted(sequences.borders, end, "left"))
        borders = sequences.borders[first : last + 1].clip(start, end) - start
        carried = slice(last - 1, last) if reverse else slice(first, first + 1)
        segments.append(Segment(start, end, slice(first, last), carried, borders if last > first + 1 else None))
    return segments[::-1] if reverse else segments
