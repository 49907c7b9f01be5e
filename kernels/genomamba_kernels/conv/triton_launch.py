"""The causal convolution on GPUs: tensors in, tensors out, the positions cut into units."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from genomamba_kernels._triton_launch import launch, target_of
from genomamba_kernels.conv.arguments import ConvArguments, ConvGradients
from genomamba_kernels.conv.triton_kernels import conv_backward, conv_forward

ROWS = 8
"""Rows that a program reads at a time."""
PROGRAMS = 8192
"""Programs that keep a large GPU busy: some turns of what 132 multiprocessors hold."""
LONGEST_UNIT = 256
"""Positions past which a unit gains nothing: it reads d_conv - 1 rows more than it has."""
SHORTEST_SUM = 32
"""Positions of the shortest unit in backward, which leaves d_conv + 1 float32 a channel to be added up."""


def forward(a: ConvArguments) -> Tensor:
    """Return y, through silu where `a.gated`."""
    y = torch.empty_like(a.x)
    block = _block(a, 4 if a.weight.shape[1] <= 16 else 1)
    batch, length, _ = a.x.shape
    # Sequences of one position, as in generation, go to a program each.
    shortest = min(ROWS, _ceil_div(batch * length, a.state_shape[0]))
    _launch(conv_forward, a, block, _unit(a, block, shortest), y_ptr=y)
    return y


def backward(a: ConvArguments, dy: Tensor) -> ConvGradients:
    """Return the gradients of x, weight, bias and the initial state."""
    batch, length, width = a.x.shape
    d_conv = a.weight.shape[1]
    block = _block(a, 2 if d_conv <= 8 else 1)
    unit = _unit(a, block, SHORTEST_SUM)
    dx = torch.empty_like(a.x)
    dinitial = None if a.initial_state is None else torch.empty_like(a.initial_state)
    shares = a.weight.new_empty(_ceil_div(batch * length, unit), d_conv + 1, width)
    _launch(conv_backward, a, block, unit, dy_ptr=dy, dx_ptr=dx, dinitial_ptr=dinitial, shares_ptr=shares)
    sums = shares.sum(0, dtype=torch.float64).to(a.weight.dtype)
    return ConvGradients(
        dx, sums[:-1].t().contiguous(), sums[-1].clone(), a.weight.new_empty(0) if dinitial is None else dinitial
    )


def _block(a: ConvArguments, channels: int) -> int:
    """Return the channels of a program of one warp, a power of two: at most some for each thread, or half in float64.

    So many fit in registers without spilling.
    """
    lanes = 64 if target_of(a.x.device).backend == "hip" else 32
    most = lanes * channels // (2 if a.weight.dtype == torch.float64 else 1)
    return min(most, 1 << (a.x.shape[2] - 1).bit_length())


def _unit(a: ConvArguments, block: int, shortest: int) -> int:
    """Return the positions of a unit: as many as leave enough programs to fill a GPU."""
    batch, length, width = a.x.shape
    programs = batch * length * _ceil_div(width, block)
    unit = shortest
    while 2 * unit <= LONGEST_UNIT and programs >= 2 * unit * PROGRAMS:
        unit *= 2
    return unit


def _launch(kernel: Any, a: ConvArguments, block: int, unit: int, **outputs: Any) -> None:
    """Run a kernel on every block of every unit."""
    batch, length, width = a.x.shape
    positions = batch * length
    units = _ceil_div(positions, unit)
    borders, sequences = (None, None) if a.cu_seqlens is None else _find_units(a, unit, units)
    launch(
        kernel, (units * _ceil_div(width, block),), 1, work=ROWS * block,
        x_ptr=a.x, weight_ptr=a.weight, bias_ptr=a.bias, initial_ptr=a.initial_state, **outputs,
        borders_ptr=borders, units_ptr=sequences, length=length, positions=positions, unit=unit,
        WIDTH=width, D_CONV=a.weight.shape[1], BLOCK_D=block, ROWS=ROWS, GATED=a.gated, REVERSE=a.reverse,
    )  # fmt: skip


def _find_units(a: ConvArguments, unit: int, units: int) -> tuple[Tensor, Tensor]:
    """Return the borders of the packed sequences, and the first and the last sequence of each unit, on the device."""
    borders = a.sequences().borders
    first = np.arange(units) * unit
    last = np.minimum(first + unit, borders[-1]) - 1
    sequences = np.searchsorted(borders, np.stack([first, last], axis=1), side="right") - 1
    # One upload for both.
    table = torch.from_numpy(np.concatenate([sequences.ravel(), borders]).astype(np.int64)).to(a.x.device)
    return table[2 * units :], table[: 2 * units]


def _ceil_div(size: int, part: int) -> int:
    return -(-size // part)
