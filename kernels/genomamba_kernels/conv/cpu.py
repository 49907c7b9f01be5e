"""The causal convolution on CPUs: tensors in, tensors out, the work shared among threads."""

import torch
from torch import Tensor

from genomamba_kernels._arrays import ceil_div, empty_like, flat, pack_channels, pack_states, sum_first, unpack_states
from genomamba_kernels._simd import LANES
from genomamba_kernels._threads import get_num_threads, parallel_for
from genomamba_kernels.conv.arguments import ConvArguments, ConvGradients
from genomamba_kernels.conv.cpu_kernels import SEGMENT, conv_backward, conv_forward, conv_scratch

SMALL = 100_000
"""Numbers of output below which handing parts to other threads costs more than it saves."""


def forward(a: ConvArguments) -> Tensor:
    """Return y, through silu where `a.gated`."""
    x, weight, bias, initial_state, _, gated, reverse = a
    batch, length, width = x.shape
    d_conv = weight.shape[1]
    y = empty_like(x)
    taps, biases, initial = _pack(x, weight, bias, initial_state)
    arrays = [flat(tensor) for tensor in (x, taps, biases, initial, y)]
    threads = get_num_threads() if x.numel() >= SMALL else 1
    scratch = [flat(weight.new_empty(conv_scratch(d_conv))) for _ in range(threads)]
    segments, blocks = ceil_div(length, SEGMENT), ceil_div(width, LANES)
    parts = min(blocks, ceil_div(threads, batch * segments))
    edges = [blocks * i // parts for i in range(parts + 1)]

    def body(index: int, worker: int) -> None:
        index, part = divmod(index, parts)
        row, segment = divmod(index, segments)
        conv_forward(
            *arrays, scratch[worker], length, width, d_conv, row, segment, edges[part], edges[part + 1],
            gated, reverse,
        )  # fmt: skip

    parallel_for(batch * segments * parts, threads, body)
    return y


def backward(a: ConvArguments, dy: Tensor) -> ConvGradients:
    """Return the gradients of x, weight, bias and the initial state."""
    x, weight, bias, initial_state, _, gated, reverse = a
    batch, length, width = x.shape
    d_conv = weight.shape[1]
    dx = empty_like(x)
    taps, biases, initial = _pack(x, weight, bias, initial_state)
    dinitial = torch.empty_like(initial)
    segments, blocks = ceil_div(length, SEGMENT), ceil_div(width, LANES)
    dtaps = torch.zeros(batch * segments, blocks, d_conv, LANES, dtype=torch.float64)
    dbiases = torch.zeros(batch * segments, blocks, LANES, dtype=torch.float64)
    arrays = [flat(tensor) for tensor in (x, taps, biases, initial, dy, dx, dinitial, dtaps, dbiases)]
    threads = get_num_threads() if x.numel() >= SMALL else 1
    scratch = [flat(weight.new_empty(conv_scratch(d_conv))) for _ in range(threads)]
    parts = min(blocks, ceil_div(threads, batch * segments))
    edges = [blocks * i // parts for i in range(parts + 1)]

    def body(index: int, worker: int) -> None:
        index, part = divmod(index, parts)
        row, segment = divmod(index, segments)
        conv_backward(
            *arrays, scratch[worker], length, width, d_conv, row, segment, segments, edges[part], edges[part + 1],
            gated, reverse,
        )  # fmt: skip

    parallel_for(batch * segments * parts, threads, body)
    dweight = unpack_states(sum_first(dtaps), width, d_conv).to(weight.dtype)
    dbias = sum_first(dbiases).view(-1)[:width].to(weight.dtype)
    return ConvGradients(dx, dweight, dbias, dinitial)


def _pack(
    x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return weight and bias in blocks of 16 channels, and the initial state."""
    width, d_conv = weight.shape
    biases = pack_channels(weight.new_zeros(width) if bias is None else bias)
    if initial_state is None:
        initial_state = weight.new_zeros(x.shape[0], d_conv - 1, width)
    return pack_states(weight, d_conv), biases, initial_state
