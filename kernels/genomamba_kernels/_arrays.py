"""Tensors as the CPU kernels take them: flat NumPy arrays, and parameters in blocks of 16 channels."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genomamba_kernels._simd import LANES


def flat(tensor: Tensor) -> Any:
    """Return the memory of a tensor as a one-dimensional array; bfloat16 as uint16."""
    if not tensor.is_contiguous():
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)} is not contiguous")
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.view(torch.uint16)
    return tensor.view(-1).numpy()


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
