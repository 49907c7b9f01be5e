"""How the Triton kernels of the scan are cut into programs: a table, chosen from shapes and the kind of GPU.

Chunks come from shapes alone: the states between them are what forward leaves to backward.
"""

from typing import NamedTuple

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
    """Channels of a program. A thread holds one channel, and all its states or a part of them."""
    tile: int
    """States whose B and C a thread loads together."""
    unroll: int
    """Positions of one turn of the loop."""
    max_registers: int | None
    """Limit on the registers of a thread, where it lets one more warp in and nothing is spilled."""
    segment: int
    """Positions of a program: a multiple of the chunk."""


# By backend and bytes of a state; for each: up to which d_state, channels, tile, positions of a turn, registers.
# Found with benchmarks/compiled.py. On AMD, rows of B and C that all threads read lie in scalar registers, and so
# as not to spill those, two threads or more share a channel beyond 16 states.
FORWARD = {
    ("cuda", 4): (
        (16, 32, 16, 4, 128),
        (32, 32, 16, 2, 168),
        (64, 16, 16, 1),
        (128, 8, 16, 1),
        (256, 4, 16, 1),
    ),
    ("cuda", 8): ((16, 32, 16, 1), (32, 16, 16, 1), (64, 8, 16, 1), (128, 4, 16, 1), (256, 2, 16, 1)),
    ("hip", 4): ((16, 64, 16, 1), (64, 32, 16, 1), (128, 16, 16, 1), (256, 8, 16, 1)),
    ("hip", 8): ((32, 32, 8, 1), (64, 16, 8, 1), (128, 8, 8, 1), (256, 4, 8, 1)),
}


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
    rows = FORWARD[target.backend, a.A.element_size()]
    block_d, tile, unroll, *limit = next(row[1:] for row in rows if padded <= row[0])
    return ForwardPlan(block_d, min(tile, padded), unroll, limit[0] if limit else None, _segment(a))


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
