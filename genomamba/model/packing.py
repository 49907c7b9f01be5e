"""Sequences of different lengths, end to end without padding: what each gives does not depend on the others."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["borders_of", "reverse_each", "unpad"]


def borders_of(lengths: Tensor) -> Tensor:
    """Return the borders of sequences laid end to end: (sequences + 1,), int64, from 0 to the total."""
    return torch.nn.functional.pad(lengths.to(torch.int64).cumsum(0), (1, 0))


def unpad(lengths: Tensor, padded_length: int) -> Tensor:
    """Return where the tokens of right-padded rows lie in the flattened batch: (total,), int64."""
    columns = torch.arange(padded_length, device=lengths.device)
    return (columns < lengths[:, None]).flatten().nonzero().flatten()


def reverse_each(cu_seqlens: Tensor) -> Tensor:
    """Return, for each position, that of its mirror image in its own sequence: (total,), int64."""
    lengths = cu_seqlens.diff()
    starts, ends = (border.repeat_interleave(lengths) for border in (cu_seqlens[:-1], cu_seqlens[1:]))
    return starts + ends - 1 - torch.arange(int(cu_seqlens[-1]), device=cu_seqlens.device)
