"""Two strands are a batch of two: stack a sequence with its reverse complement, and combine at the head.

An equivariant network is the plain one run on both strands, with
logits = head(a) + reverse(complement(head(b))). It then commutes with reverse complement: that of the input gives
the reversed logits with complementary columns exchanged (Schiff et al. 2024, arXiv:2403.03234, section 3.2, in the form
that needs no special layer).
"""

from __future__ import annotations

import torch
from torch import Tensor

from genomamba.model.packing import reverse_each

__all__ = [
    "align_packed_strands", "align_strands", "merge_strands", "pack_strands", "stack_strands", "unpack_strands",
]  # fmt: skip


def stack_strands(tokens: Tensor, complement: Tensor) -> Tensor:
    """Stack tokens (batch, length) and their reverse complements: (2 * batch, length)."""
    return torch.cat([tokens, complement[tokens.flip(1)]])


def merge_strands(logits: Tensor, complement: Tensor) -> Tensor:
    """Combine logits (2 * batch, length, vocab) of stacked strands into (batch, length, vocab)."""
    given, other = logits.chunk(2)
    return given + other.flip(1)[..., complement]


def align_strands(hidden: Tensor) -> Tensor:
    """Put the other strand's channels behind the given one's, base by base.

    (2 * batch, length, channels) of stacked strands, each in its own order, becomes (batch, length, 2 * channels).
    """
    given, other = hidden.chunk(2)
    return torch.cat([given, other.flip(1)], dim=-1)


def pack_strands(tokens: Tensor, cu_seqlens: Tensor, complement: Tensor) -> tuple[Tensor, Tensor]:
    """Put the reverse complement of each sequence behind them all: tokens (1, 2 * length), and the borders."""
    other = complement[tokens[:, reverse_each(cu_seqlens)]]
    return torch.cat([tokens, other], dim=1), torch.cat([cu_seqlens, cu_seqlens[1:] + cu_seqlens[-1]])


def unpack_strands(logits: Tensor, cu_seqlens: Tensor, complement: Tensor) -> Tensor:
    """Combine logits (1, 2 * length, vocab) of packed strands into (1, length, vocab)."""
    given, other = logits.chunk(2, dim=1)
    return given + other[:, reverse_each(cu_seqlens)][..., complement]


def align_packed_strands(hidden: Tensor, cu_seqlens: Tensor) -> Tensor:
    """Do for packed strands, (1, 2 * length, channels), what `align_strands` does: (1, length, 2 * channels)."""
    given, other = hidden.chunk(2, dim=1)
    return torch.cat([given, other[:, reverse_each(cu_seqlens)]], dim=-1)
