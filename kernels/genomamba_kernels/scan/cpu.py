"""The selective scan on CPUs: tensors in, tensors out, the work shared among threads."""

import math

import torch
from torch import Tensor

from genomamba_kernels._arrays import ceil_div, empty_like, flat, pack_channels, pack_states, sum_first, unpack_states
from genomamba_kernels._simd import LANES
from genomamba_kernels._threads import get_num_threads, parallel_for
from genomamba_kernels.scan import cpu_backward, cpu_forward
from genomamba_kernels.scan.arguments import ScanArguments, ScanGradients
from genomamba_kernels.scan.cpu_forward import CHUNK, STATES

SMALL = 200_000
"""State updates below which handing parts to other threads costs more than it saves."""
SHARES_MIB = 32
"""Memory for the shares of dB and dC; longer sequences are walked in several rounds."""


def forward(a: ScanArguments, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, the final state, and with `keep` what `backward` starts from: the states between chunks."""
    u, delta, A, B, C, D, z, delta_bias, initial_state, _, delta_softplus, reverse = a
    batch, length, width = u.shape
    d_state = A.shape[1]
    padded = ceil_div(d_state, STATES) * STATES
    blocks = ceil_div(width, LANES)
    parameters = _pack_parameters(A, D, delta_bias, padded)
    if initial_state is None:
        state = A.new_zeros(batch, blocks, padded, LANES)
    else:
        state = pack_states(initial_state, padded)
    y = empty_like(u)
    borders = A.new_empty(borders_shape(a) if keep else (0,))

    threads = _threads_for(u, d_state)
    # The fewer parts, the longer the rows that are read in one piece.
    parts = min(blocks, ceil_div(threads, batch))
    edges = [blocks * i // parts for i in range(parts + 1)]
    workspace = [A.new_empty(cpu_forward.forward_scratch(padded)) for _ in range(threads)]
    arrays = [flat(x) for x in (u, delta, u if z is None else z, B, C, *parameters, state, borders, y)]
    scratch = [flat(x) for x in workspace]

    def body(index: int, worker: int) -> None:
        row, part = divmod(index, parts)
        cpu_forward.scan_forward(
            *arrays, scratch[worker], length, width, d_state, padded,
            row, edges[part], edges[part + 1], delta_softplus, z is not None, keep, reverse,
        )  # fmt: skip

    parallel_for(batch * parts, threads, body)
    return y, unpack_states(state, width, d_state), borders


def backward(a: ScanArguments, dy: Tensor, dfinal_state: Tensor | None, borders: Tensor) -> ScanGradients:
    """Return the gradients of the tensors of `a`, whose initial state is not looked at: it is in the borders."""
    u, delta, A, B, C, D, z, delta_bias, _, _, delta_softplus, reverse = a
    batch, length, width = u.shape
    d_state = A.shape[1]
    padded = ceil_div(d_state, STATES) * STATES
    blocks = ceil_div(width, LANES)
    groups = ceil_div(blocks, cpu_backward.GROUP)
    chunks = ceil_div(length, CHUNK)
    parameters = _pack_parameters(A, D, delta_bias, padded)
    if dfinal_state is None:
        dstate = A.new_zeros(batch, blocks, padded, LANES)
    else:
        dstate = pack_states(dfinal_state, padded)
    du, ddelta, dB, dC = (empty_like(x) for x in (u, delta, B, C))
    dz = u.new_empty(0) if z is None else empty_like(z)
    dA = torch.zeros(batch, blocks, padded, LANES, dtype=torch.float64)
    dD, dbias = torch.zeros(2, batch, blocks, LANES, dtype=torch.float64)

    threads = _threads_for(u, d_state)
    share_bytes = batch * groups * 2 * padded * CHUNK * A.element_size()
    chunks_a_round = min(chunks, max(1, SHARES_MIB * 2**20 // share_bytes))
    shares = A.new_empty(chunks_a_round, batch, groups, 2, padded, CHUNK)
    parts = min(groups, ceil_div(threads, batch))
    edges = [groups * i // parts for i in range(parts + 1)]
    workspace = [A.new_empty(cpu_backward.backward_scratch(padded)) for _ in range(threads)]
    scratch = [flat(x) for x in workspace]
    gate = u if z is None else z
    outputs = (du, ddelta, dz, shares, dA, dD, dbias)
    arrays = [flat(x) for x in (u, delta, gate, B, C, dy, *parameters, borders, dstate, *outputs)]
    flat_shares, flat_dB, flat_dC = flat(shares), flat(dB), flat(dC)

    for last in range(chunks, 0, -chunks_a_round):
        first = max(0, last - chunks_a_round)

        def walk(index: int, worker: int, first: int = first, last: int = last) -> None:
            row, part = divmod(index, parts)
            cpu_backward.scan_backward(
                *arrays, scratch[worker], length, width, d_state, padded,
                row, edges[part], edges[part + 1], first, last, batch, delta_softplus, z is not None, reverse,
            )  # fmt: skip

        def reduce(index: int, worker: int, first: int = first) -> None:
            chunk, row = divmod(index, batch)
            cpu_backward.scan_reduce(
                flat_shares, flat_dB, flat_dC, length, d_state, padded,
                row, first + chunk, first, batch, groups, reverse,
            )  # fmt: skip

        parallel_for(batch * parts, threads, walk)
        parallel_for((last - first) * batch, threads, reduce)

    dtype = A.dtype
    return ScanGradients(
        du,
        ddelta,
        unpack_states(sum_first(dA), width, d_state).to(dtype),
        dB,
        dC,
        sum_first(dD).view(-1)[:width].to(dtype),
        dz,
        sum_first(dbias).view(-1)[:width].to(dtype),
        unpack_states(dstate, width, d_state),
    )


def borders_shape(a: ScanArguments) -> tuple[int, int, int, int, int]:
    """Return the shape of the states between chunks: (batch, chunks, blocks, padded d_state, 16)."""
    batch, length, width = a.u.shape
    d_state = a.A.shape[1]
    return batch, ceil_div(length, CHUNK), ceil_div(width, LANES), ceil_div(d_state, STATES) * STATES, LANES


def _pack_parameters(A: Tensor, D: Tensor | None, delta_bias: Tensor | None, padded: int) -> list[Tensor]:
    """Return A times log2(e), D and delta_bias in blocks of 16 channels."""
    zeros = A.new_zeros(A.shape[0])
    scaled = (A.double() * math.log2(math.e)).to(A.dtype)
    return [
        pack_states(scaled, padded),
        pack_channels(zeros if D is None else D),
        pack_channels(zeros if delta_bias is None else delta_bias),
    ]


def _threads_for(u: Tensor, d_state: int) -> int:
    return get_num_threads() if u.numel() * d_state >= SMALL else 1
