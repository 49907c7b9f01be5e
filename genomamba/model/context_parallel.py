"""A sequence divided over ranks: each holds a part, and what crosses the borders has a size that no length changes.

Rank r of R holds positions r L/R to (r + 1) L/R. Of the other strand it computes the reverse complement of the same
bases, which is part R - 1 - r of that strand in its own order: the two strands walk through the ranks in opposite
directions, and what the head combines lies on one rank.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from genomamba.errors import RunError

__all__ = ["LostContactError", "SequenceParts", "contact"]


class LostContactError(RunError):
    """Another process of the run ended, or does not answer."""


@contextmanager
def contact() -> Iterator[None]:
    """Turn what torch raises where a peer is gone into one line."""
    try:
        yield
    except (RuntimeError, dist.DistError) as error:
        raise LostContactError(
            f"another process of the run ended or does not answer ({_first_sentence(str(error))}); what it said stands "
            "in its own output, and --resume goes on from the last checkpoint"
        ) from error


def _first_sentence(text: str) -> str:
    """Return what torch says first, without the place in its source that stands before it."""
    line = " ".join(text.split("\n", 1)[0].split())
    return re.sub(r"^\[\S+:\d+\] ", "", line).split(". ", 1)[0].removesuffix(".")


class SequenceParts:
    """The holders of the parts of each sequence of a batch, as the kernels ask them.

    Parameters
    ----------
    rank, size : int
        Which part is held here, and of how many.
    group : ProcessGroup
        The holders, in the order of their parts.
    strands : int
        1; or 2 where the second half of the rows are the other strand, whose parts lie in the opposite order.
    """

    def __init__(self, rank: int, size: int, group: dist.ProcessGroup, strands: int = 1) -> None:
        self.rank, self.size, self._group, self._strands = rank, size, group, strands

    def before(self, local: Tensor, decay: Tensor, reverse: bool) -> Tensor:
        """Return the state before this part; see `genomamba_kernels.Neighbours`."""
        everywhere = self._gather(torch.stack([local, decay]))
        states = []
        for rows, order in self._walks(local.shape[0], reverse):
            state = torch.zeros_like(local[rows])
            for part in order[: order.index(self.rank)]:
                state = everywhere[part][1, rows] * state + everywhere[part][0, rows]
            states.append(state)
        return torch.cat(states) if len(states) > 1 else states[0]

    def shift(self, tail: Tensor, reverse: bool) -> Tensor:
        """Return the tail of the part before this one; see `genomamba_kernels.Neighbours`."""
        everywhere = self._gather(tail)
        tails = []
        for rows, order in self._walks(tail.shape[0], reverse):
            place = order.index(self.rank)
            tails.append(everywhere[order[place - 1]][rows] if place else torch.zeros_like(tail[rows]))
        return torch.cat(tails) if len(tails) > 1 else tails[0].clone()

    def _walks(self, batch: int, reverse: bool) -> Iterator[tuple[slice, list[int]]]:
        """Give the rows of each strand, and the parts in the order of their walk."""
        rows = batch // self._strands
        for strand in range(self._strands):
            order = list(range(self.size))
            yield slice(strand * rows, (strand + 1) * rows), order[::-1] if reverse != bool(strand) else order

    def _gather(self, own: Tensor) -> list[Tensor]:
        everywhere = [torch.empty_like(own) for _ in range(self.size)]
        with contact():
            dist.all_gather(everywhere, own, group=self._group)
        return everywhere
