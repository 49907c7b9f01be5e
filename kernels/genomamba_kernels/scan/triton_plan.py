"""How the Triton kernels of the scan are cut into programs: a table, chosen from shapes alone."""

from genomamba_kernels._sequences import most_chunks
from genomamba_kernels.scan.arguments import ScanArguments

WARP = 32
"""Channels of a warp."""
PROGRAMS = 4096
"""Programs that keep a large GPU busy: several for each of the 528 schedulers of an H100."""
SHORTEST_CHUNK, LONGEST_CHUNK = 64, 512


def chunk_size(a: ScanArguments) -> int:
    """Return the positions of a chunk, a power of two: as many as leave enough programs to fill a GPU."""
    batch, length, d_inner = a.u.shape
    size = SHORTEST_CHUNK
    while size < LONGEST_CHUNK and batch * length * -(-d_inner // WARP) >= 2 * size * PROGRAMS:
        size *= 2
    return size


def borders_shape(a: ScanArguments) -> tuple[int, int, int]:
    """Return the shape of the states before each chunk, (chunks, d_inner, d_state), from shapes alone."""
    return most_chunks(a.u.shape, a.cu_seqlens, chunk_size(a)), *a.A.shape
