"""The causal convolution on CPUs: tensors in, tensors out, the work shared among threads."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from genomamba_kernels._arrays import ceil_div, empty_like, flat, pack_channels, pack_states, sum_first, unpack_states
from genomamba_kernels._simd import LANES
from genomamba_kernels._threads import get_num_threads, parallel_for
from genomamba_kernels.conv.arguments import ConvArguments, ConvGradients
from genomamba_kernels.conv.cpu_kernels import SEGMENT, conv_backward, conv_forward, conv_scratch

SMALL = 100_000
"""Numbers of output below which handing parts to other threads, or to a call of their own, costs more than it saves."""


def forward(a: ConvArguments) -> Tensor:
    """Return y, through silu where `a.gated`."""
    y = empty_like(a.x)
    _run(conv_forward, a, [*_inputs(a), y])
    return y


def backward(a: ConvArguments, dy: Tensor) -> ConvGradients:
    """Return the gradients of x, weight, bias and the initial state."""
    width, d_conv = a.weight.shape
    segments, blocks = _size(a)
    dx = empty_like(a.x)
    dinitial = a.weight.new_empty(0) if a.initial_state is None else torch.empty_like(a.initial_state)
    dtaps = torch.zeros(segments, blocks, d_conv, LANES, dtype=torch.float64)
    dbiases = torch.zeros(segments, blocks, LANES, dtype=torch.float64)
    _run(conv_backward, a, [*_inputs(a), dy, dx, dinitial, dtaps, dbiases])
    dweight = unpack_states(sum_first(dtaps), width, d_conv).to(a.weight.dtype)
    dbias = sum_first(dbiases).view(-1)[:width].to(a.weight.dtype)
    return ConvGradients(dx, dweight, dbias, dinitial)


def _inputs(a: ConvArguments) -> list[Tensor]:
    """Return x, weight and bias in blocks of 16 channels, and the initial state or something empty."""
    width, d_conv = a.weight.shape
    biases = pack_channels(a.weight.new_zeros(width) if a.bias is None else a.bias)
    initial = a.weight.new_empty(0) if a.initial_state is None else a.initial_state
    return [a.x, pack_states(a.weight, d_conv), biases, initial]


def _size(a: ConvArguments) -> tuple[int, int]:
    """Return the number of segments and of blocks of channels."""
    batch, length, width = a.x.shape
    return ceil_div(batch * length, SEGMENT), ceil_div(width, LANES)


def _run(kernel: Any, a: ConvArguments, tensors: list[Tensor]) -> None:
    """Call a kernel on every block of every segment."""
    width, d_conv = a.weight.shape
    segments, blocks = _size(a)
    borders = a.sequences().borders
    sequences = np.searchsorted(borders, np.arange(segments) * SEGMENT, side="right") - 1
    arrays = [*(flat(tensor) for tensor in tensors), borders, sequences]
    threads = get_num_threads() if a.x.numel() >= SMALL else 1
    scratch = [flat(a.weight.new_empty(conv_scratch(d_conv))) for _ in range(threads)]
    # A call does enough segments to be worth it, and few enough for every thread to have some.
    a_call = max(1, min(SMALL // (SEGMENT * width), segments // (4 * threads)))
    calls = ceil_div(segments, a_call)
    # The fewer parts, the longer the rows that are read in one piece.
    parts = min(blocks, ceil_div(threads, calls))
    edges = [blocks * i // parts for i in range(parts + 1)]

    def body(index: int, worker: int) -> None:
        call, part = divmod(index, parts)
        first, last = call * a_call, min(segments, (call + 1) * a_call)
        kernel(
            *arrays, scratch[worker], width, d_conv, first, last, edges[part], edges[part + 1],
            a.initial_state is not None, a.gated, a.reverse,
        )  # fmt: skip

    parallel_for(calls * parts, threads, body)
