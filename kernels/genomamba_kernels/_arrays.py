"""Tensors as the CPU kernels take them: flat NumPy arrays, and parameters in blocks of 16 channels."""

import contextlib
import ctypes
import mmap
import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genomamba_kernels._compile import kernel
from genomamba_kernels._simd import LANES, load, store

HUGE_PAGE = 2**21
"""Bytes of a huge page."""


def flat(tensor: Tensor) -> Any:
    """Return the memory of a tensor as a one-dimensional array; bfloat16 as uint16."""
    if not tensor.is_contiguous():
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)} is not contiguous")
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.view(torch.uint16)
    return tensor.numpy().ravel()


def empty_like(tensor: Tensor) -> Tensor:
    """Return an uninitialised tensor like another, in huge pages where it is large and Linux grants them.

    A large output is fresh memory at each call, and a page fault for each of its 4 kB costs as much as
    the rest of a kernel bound by memory.
    """
    result = torch.empty_like(tensor)
    size = result.numel() * result.element_size()
    if _madvise is not None and size >= 4 * HUGE_PAGE:
        start = ceil_div(result.data_ptr(), HUGE_PAGE) * HUGE_PAGE
        length = (result.data_ptr() + size - start) // HUGE_PAGE * HUGE_PAGE
        # Advice alone: where it is refused, pages are small.
        _madvise(start, length, mmap.MADV_HUGEPAGE)
    return result


def _find_madvise() -> Any:
    if sys.platform != "linux" or not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    with contextlib.suppress(OSError, AttributeError):
        function = ctypes.CDLL(None).madvise
        function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        return function
    return None


_madvise = _find_madvise()


def sum_first(parts: Tensor) -> Tensor:
    """Return the sum over the first axis of a float64 tensor, in order whatever the threads."""
    total = torch.empty_like(parts[0])
    _sum_first(flat(parts), flat(total), parts.shape[0], total.numel())
    return total


@kernel
def _sum_first(parts, total, count, size):  # type: ignore[no-untyped-def]
    """Add up rows of a multiple of 16 numbers."""
    for i in range(0, size, LANES):
        value = load(parts, i)
        for part in range(1, count):
            value = value + load(parts, part * size + i)
        store(total, i, value)


def ceil_div(size: int, part: int) -> int:
    """Return the number of parts that cover a size."""
    return -(-size // part)


def pack_channels(vector_d: Tensor) -> Tensor:
    """Return a vector over channels, padded with 0 to a multiple of 16."""
    return F.pad(vector_d, (0, -vector_d.shape[0] % LANES)).contiguous()


def pack_states(tensor: Tensor, padded: int) -> Tensor:
    """Return (..., channels, states) as (..., blocks, padded, 16), padded with 0; never the same memory."""
    *batch, channels, states = tensor.shape
    padding = (0, padded - states, 0, -channels % LANES)
    blocks = F.pad(tensor, padding).view(*batch, -1, LANES, padded)
    return blocks.transpose(-1, -2).clone(memory_format=torch.contiguous_format)


def unpack_states(packed: Tensor, channels: int, states: int) -> Tensor:
    """Return (..., blocks, padded, 16) as (..., channels, states)."""
    *batch, blocks, padded, _ = packed.shape
    tensor = packed.transpose(-1, -2).reshape(*batch, blocks * LANES, padded)
    return tensor[..., :channels, :states].clone(memory_format=torch.contiguous_format)
