"""Cutting sequences into segments along time, and handing the convolution's state from one to the next."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genomamba_kernels._sequences import Sequences

WORKSPACE_MIB = {"cpu": 64, "cuda": 256}
"""Memory that a segment may take in backward, by device."""
SEQUENCES_ALIVE = 12
"""Tensors of d_inner channels that exist at once in backward of a segment."""
GRAIN = 64
"""Segments are multiples of so many positions: the CPU kernels' chunk, so that no border moves their chunks."""

Integers = npt.NDArray[np.int64]


def default_segment(x: Tensor, d_inner: int) -> int:
    """Return how many positions of each row make a segment."""
    a_position = SEQUENCES_ALIVE * d_inner * x.element_size() * x.shape[0]
    positions = WORKSPACE_MIB.get(x.device.type, WORKSPACE_MIB["cuda"]) * 2**20 // a_position
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
    borders: Integers
    """(sequences + 1,): their borders on the flattened axis of the segment's own positions."""
    packed: bool
    """Whether the sequences may have different lengths."""

    @property
    def cu_seqlens(self) -> Tensor | None:
        """What the kernels are to be given."""
        return torch.from_numpy(self.borders) if self.packed and len(self.borders) > 2 else None

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
            borders = np.arange(batch + 1, dtype=np.int64) * (end - start)
            segments.append(Segment(start, end, slice(0, batch), slice(0, batch), borders, False))
            continue
        first = int(np.searchsorted(sequences.borders, start, "right")) - 1
        last = int(np.searchsorted(sequences.borders, end, "left"))
        borders = sequences.borders[first : last + 1].clip(start, end) - start
        carried = slice(last - 1, last) if reverse else slice(first, first + 1)
        segments.append(Segment(start, end, slice(first, last), carried, borders, True))
    return segments[::-1] if reverse else segments


def next_conv_state(x_pd: Tensor, state: Tensor, borders: Integers, reverse: bool) -> Tensor:
    """Return the convolution's state after a segment.

    Parameters
    ----------
    x_pd : (positions, d_inner)
        Inputs of the convolution in the segment.
    state : (sequences, d_conv - 1, d_inner)
        State before the segment: it reaches into the next one where a sequence has few positions here.
    """
    positions, inside, older = _tails(borders, state.shape[1], reverse)
    result = x_pd[_index(positions.clip(0, len(x_pd) - 1), x_pd)].to(state.dtype)
    if not inside.all():
        sequence, place = np.nonzero(~inside)
        result[_index(sequence, x_pd), _index(place, x_pd)] = state[
            _index(sequence, x_pd), _index(older[~inside], x_pd)
        ]
    return result


def add_conv_state_gradient(dx_pd: Tensor, dstate: Tensor, borders: Integers, reverse: bool) -> Tensor:
    """Add the gradient of the state after a segment to that of the inputs in it; return the rest.

    Returns
    -------
    (sequences, d_conv - 1, d_inner)
        Gradient of the state before the segment, without what the convolution itself gives.
    """
    positions, inside, older = _tails(borders, dstate.shape[1], reverse)
    at = _index(positions[inside], dx_pd)
    dx_pd[at] = (dx_pd[at] + dstate[_index(inside, dx_pd)]).to(dx_pd.dtype)
    rest = torch.zeros_like(dstate)
    if not inside.all():
        sequence, place = (_index(axis, dx_pd) for axis in np.nonzero(~inside))
        rest[sequence, _index(older[~inside], dx_pd)] = dstate[sequence, place]
    return rest


def _tails(borders: Integers, past: int, reverse: bool) -> tuple[Integers, npt.NDArray[np.bool_], Integers]:
    """Find the inputs that make the next state, each (sequences, past).

    Returns
    -------
    positions : where they are, on the flattened axis.
    inside : whether that is inside the sequence; the others come from the state before.
    older : where they are in that state.
    """
    starts, ends, steps = borders[:-1, None], borders[1:, None], np.arange(past)
    if reverse:
        positions = starts + steps
        return positions, positions < ends, positions - ends
    positions = ends - past + steps
    return positions, positions >= starts, positions - starts + past


def _index(array: npt.NDArray[np.generic], beside: Tensor) -> Tensor:
    """Return indices as a tensor on the device of another."""
    return torch.from_numpy(array).to(beside.device)
