"""How the Triton kernels of the scan are cut into programs: a table, chosen from shapes and the kind of GPU.

Chunks come from shapes alone: the states between them are what forward leaves to backward.
"""

from typing import NamedTuple

import torch

from genomamba_kernels._sequences import count_sequences, most_chunks
from genomamba_kernels._triton_launch import Target
from genomamba_kernels.scan.arguments import ScanArguments
from genomamba_kernels.scan.triton_prepare import padded_state

WARP = 32
"""Channels of a warp."""
PROGRAMS = 4096
"""Programs that keep a large GPU busy: several for each of the 528 schedulers of an H100."""
SHORTEST_CHUNK, LONGEST_CHUNK = 64, 512
FULL = 512
"""Programs from which on each walks a whole sequence: cutting it would double the exponentials, and gains less."""


class ForwardPlan(NamedTuple):
    """How forward is cut: a program is one warp that walks a segment for a block of channels."""

    block_d: int
    """Channels of a program, a power of two. A thread holds one channel, and all its states or a part of them."""
    tile: int
    """States whose B and C a thread loads together, a power of two."""
    unroll: int
    """Positions of one turn of the loop."""
    segment: int
    """Positions of a program: a multiple of the chunk."""
    max_registers: int | None
    """Limit on the registers of a thread, where it lets one more warp in without spilling."""


def chunk_size(a: ScanArguments) -> int:
    """Return the positions of a chunk, a power of two: as many as leave enough programs to fill a GPU."""
    size = SHORTEST_CHUNK
    while size < LONGEST_CHUNK and _warps(a) >= 2 * size * PROGRAMS:
        size *= 2
    return size


def borders_shape(a: ScanArguments) -> tuple[int, int, int]:
    """Return the shape of the states before each chunk, (chunks, N, d_inner), N as in `triton_prepare`."""
    d_inner, d_state = a.A.shape
    return most_chunks(a.u.shape, a.cu_seqlens, chunk_size(a)), padded_state(d_state), d_inner


def forward_plan(a: ScanArguments, target: Target) -> ForwardPlan:
    """Return how forward is cut."""
    padded = padded_state(a.A.shape[1])
    lanes = 64 if target.backend == "hip" else 32
    wide = a.A.dtype == torch.float64
    # States a thread can hold without spilling; beyond them, threads share a channel.
    most = 16 if wide else 32
    block_d = lanes * most // max(padded, most)
    if wide or padded > 32:
        unroll = 1
    else:
        unroll = 2 if padded == 32 else 4
    limited = target.backend == "cuda" and padded <= 16 and not wide
    return ForwardPlan(block_d, min(padded, 16), unroll, _segment(a), 128 if limited else None)


def _segment(a: ScanArguments) -> int:
    sequences = count_sequences(a.u.shape, a.cu_seqlens)
    length = a.u.shape[1]
    size = chunk_size(a)
    if sequences * -(-a.u.shape[2] // WARP) >= FULL:
        return size * -(-length // size)
    while _warps(a) >= 4 * size * PROGRAMS:
        size *= 2
    return size


def _warps(a: ScanArguments) -> int:
    """Return how many positions there are to walk for 32 channels."""
    batch, length, d_inner = a.u.shape
    return batch * length * -(-d_inner // WARP)
