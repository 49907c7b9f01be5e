"""Where the chunks lie that Triton kernels walk: a table on the device, one row a chunk.

A chunk is a piece of one sequence. Chunks are counted along the walk, so that for `reverse` the first chunk of a
sequence is at its right end, and its first row is its last position.
"""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genomamba_kernels._sequences import Sequences
from genomamba_kernels.scan.arguments import ScanArguments


@dataclass(frozen=True, slots=True)
class Chunks:
    """Pieces of up to `size` positions; only the last one along the walk of a sequence may be shorter."""

    size: int
    count: int
    """Number of chunks, at most `most_chunks`."""
    most: int
    """Number of chunks of the sequence that has most."""
    table: Tensor
    """(count, 3), int64: position that is walked first, on the flattened axis; number of positions; sequence."""
    firsts: Tensor
    """(sequences + 1,), int64: the chunks of sequence i are firsts[i] to firsts[i + 1], exclusive."""


def find_chunks(a: ScanArguments, sequences: Sequences, size: int) -> Chunks:
    """Return the chunks of the sequences of `a`; for a batch of equal lengths, those of the last such batch."""
    device = a.u.device
    if a.cu_seqlens is None:
        batch, length, _ = a.u.shape
        return _chunks_of_a_batch(batch, length, size, a.reverse, device)
    return _chunks(sequences, size, a.reverse, device)


@functools.lru_cache(maxsize=64)
def _chunks_of_a_batch(batch: int, length: int, size: int, reverse: bool, device: torch.device) -> Chunks:
    # Kept on the device: the upload would wait for the kernels before it.
    return _chunks(Sequences(np.arange(batch + 1, dtype=np.int64) * length), size, reverse, device)


def _chunks(sequences: Sequences, size: int, reverse: bool, device: torch.device) -> Chunks:
    firsts = sequences.first_chunks(size)
    counts = np.diff(firsts)
    sequence = np.repeat(np.arange(sequences.count), counts)
    done = (np.arange(firsts[-1]) - firsts[:-1][sequence]) * size
    starts, ends = sequences.borders[:-1][sequence], sequences.borders[1:][sequence]
    rows = np.minimum(size, ends - starts - done)
    first = ends - 1 - done if reverse else starts + done
    table = np.stack([first, rows, sequence], axis=1)
    return Chunks(size, len(table), int(counts.max()), _upload(table, device), _upload(firsts, device))


def _upload(array: npt.NDArray[np.int64], device: torch.device) -> Tensor:
    return torch.from_numpy(array.astype(np.int64)).to(device)
