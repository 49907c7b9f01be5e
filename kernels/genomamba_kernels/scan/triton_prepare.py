"""Tensors as the Triton kernels of the scan take them: one thread a channel, its states in registers.

States are padded to a power of two, N, with zeros in A, B and C: the padding stays 0 without a mask. Channels come
last, so that neighbouring threads read neighbouring addresses: A and all states are (..., N, d_inner). B and C have the
dtype of the state, since every thread reads whole rows of them, and would convert them again for each channel.
"""

# mypy: disable-error-code="no-untyped-def"

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from genomamba_kernels._triton_functions import LOG2_E
from genomamba_kernels._triton_launch import launch
from genomamba_kernels.scan.arguments import ScanArguments

_BLOCK = 1024


class Prepared(NamedTuple):
    """A, B and C for the kernels."""

    A2: Tensor
    """(N, d_inner): A times log2(e)."""
    B: Tensor
    """(positions, N)."""
    C: Tensor
    """(positions, N)."""


def padded_state(d_state: int) -> int:
    """Return N, the least power of two that holds d_state."""
    return 1 << (d_state - 1).bit_length()


def prepare(a: ScanArguments) -> Prepared:
    """Return A, B and C in the dtype of the state, padded."""
    d_inner, d_state = a.A.shape
    padded = padded_state(d_state)
    A2 = a.A.new_empty(padded, d_inner) if padded == d_state else a.A.new_zeros(padded, d_inner)
    torch.mul(a.A.t(), LOG2_E.value, out=A2[:d_state])
    return Prepared(A2, _widen(a.B, padded, a.A.dtype), _widen(a.C, padded, a.A.dtype))


def states_to_kernel(states: Tensor) -> Tensor:
    """Return (sequences, d_inner, d_state) as (sequences, N, d_inner)."""
    count, d_inner, d_state = states.shape
    padded = padded_state(d_state)
    result = states.new_empty(count, padded, d_inner)
    result[:, :d_state] = states.transpose(1, 2)
    result[:, d_state:] = 0
    return result


def states_from_kernel(states: Tensor, d_state: int) -> Tensor:
    """Return (sequences, N, d_inner) as (sequences, d_inner, d_state)."""
    return states[:, :d_state].transpose(1, 2).contiguous()


def _widen(rows: Tensor, padded: int, dtype: torch.dtype) -> Tensor:
    """Return (..., d_state) as (positions, N) in the dtype of the state; the same memory where nothing changes."""
    d_state = rows.shape[-1]
    count = rows.numel() // d_state
    if padded == d_state and rows.dtype == dtype:
        return rows.view(count, d_state)
    result = rows.new_empty(count, padded, dtype=dtype)
    grid = (triton.cdiv(count * padded, _BLOCK),)
    launch(
        _widen_kernel, grid, 4, rows_ptr=rows, result_ptr=result, count=count,
        D_STATE=d_state, PADDED=padded, BLOCK=_BLOCK,
    )  # fmt: skip
    return result


@triton.jit(do_not_specialize=["count"])
def _widen_kernel(rows_ptr, result_ptr, count, D_STATE: tl.constexpr, PADDED: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row = i // PADDED
    n = i % PADDED
    value = tl.load(rows_ptr + row * D_STATE + n, mask=(row < count) & (n < D_STATE), other=0.0)
    tl.store(result_ptr + i, value.to(result_ptr.dtype.element_ty), mask=row < count)
