"""Gradients of one optimiser step, accumulated over batches that fit in memory, and the loss in pieces of the length.

Logits of the whole length are never held. The network is run up to the last norm; norm, head and loss then go piece by
piece, forward and backward, and what each piece says of its part of the residual stream is written over that part: the
stream becomes its own gradient, from which backward goes on.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genomamba.model import LanguageModel
from genomamba.model.renorm import numbers_at_once
from genomamba.model.state import MambaState
from genomamba.model.strand import stack_strands
from genomamba.train.device import autocast
from genomamba.train.distributed import Ranks
from genomamba.train.objective import Batch, token_losses

__all__ = ["backward", "losses_of"]


def backward(
    model: LanguageModel,
    batch: Batch,
    batch_size: int,
    precision: torch.dtype,
    *,
    states: MambaState | None = None,
    piece: int | None = None,
    ranks: Ranks | None = None,
) -> tuple[Tensor, MambaState | None]:
    """Add the gradient of the mean loss of `batch` to the weights' gradients.

    Of several ranks each adds what its own part gives; loss and gradients are those of all once they are summed.

    Parameters
    ----------
    model : LanguageModel
        The network.
    batch : Batch
        All windows of the step.
    batch_size : int
        Windows run at once; the result does not depend on it, save for rounding.
    precision : torch.dtype
        Of the matrix products.
    states : MambaState, optional
        State of each window's lane before it, a row a window; no gradient flows to what made it.
    piece : int, optional
        Positions of each window whose logits are held at once; the result does not depend on it, save for rounding.
        Default: as many as make 2^20 numbers a tensor, on a GPU 2^25.
    ranks : Ranks, optional
        Those that hold the other windows of the step, or the other parts of these.

    Returns
    -------
    loss : (), float64
        Mean negative log-likelihood over the targets by weight, in nats.
    states : MambaState or None
        State of each lane after its window, where states were given.
    """
    total_weight = batch.weights.sum(dtype=torch.float64)
    neighbours = None
    if ranks is not None:
        total_weight, neighbours = ranks.sum(total_weight), ranks.neighbours(model.config)
    total_weight = total_weight.clamp(min=1e-6)
    loss = torch.zeros((), dtype=torch.float64, device=batch.inputs.device)
    after = []
    for first in range(0, batch.inputs.shape[0], batch_size):
        rows = slice(first, first + batch_size)
        inputs, targets, weights = batch.inputs[rows], batch.targets[rows], batch.weights[rows]
        if model.config.equivariant:
            inputs = stack_strands(inputs, model.complement)
        with autocast(inputs.device, precision):
            if states is None:
                x_blm = model.residual(inputs, neighbours=neighbours)
            else:
                own = states.select(range(*rows.indices(batch.inputs.shape[0])))
                x_blm, state = model.advance_residual(inputs, own)
                after.append(state.detach())
        gradient_blm = x_blm.detach()
        loss += _through_the_head(model, gradient_blm, targets, weights, total_weight, precision, piece)
        x_blm.backward(gradient_blm)
    return loss, MambaState.stack(after) if after else None


def _through_the_head(
    model: LanguageModel,
    x_blm: Tensor,
    targets: Tensor,
    weights: Tensor,
    total_weight: Tensor,
    precision: torch.dtype,
    piece: int | None,
) -> Tensor:
    """Return the loss; add the gradients of last norm and head, and write that of the residual stream over it."""
    loss = torch.zeros((), dtype=torch.float64, device=x_blm.device)
    for start, parts in _cut(model, x_blm, piece):
        leaves = [part.detach().clone().requires_grad_() for part in parts]
        rows = slice(start, start + leaves[0].shape[1])
        with autocast(x_blm.device, precision):
            logits = _logits(model, leaves)
        losses = token_losses(logits, targets[:, rows])
        part_loss = (losses * weights[:, rows]).sum() / total_weight
        part_loss.backward()
        loss += part_loss.detach()
        for part, leaf in zip(parts, leaves, strict=True):
            assert leaf.grad is not None
            part.copy_(leaf.grad)
    return loss


@torch.no_grad()
def losses_of(model: LanguageModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the negative log-likelihood of each target, in nats, (batch, length), without gradients."""
    x_blm = model.residual(stack_strands(inputs, model.complement) if model.config.equivariant else inputs)
    return torch.cat(
        [
            token_losses(logits, targets[:, start : start + logits.shape[1]])
            for start, parts in _cut(model, x_blm, None)
            for logits in [_logits(model, parts)]
        ],
        dim=1,
    )


def _cut(model: LanguageModel, x_blm: Tensor, piece: int | None) -> Iterator[tuple[int, list[Tensor]]]:
    """Give where each piece starts, and its part of the residual stream, one a strand; views, each position once."""
    rows, length, width = x_blm.shape
    size = piece or max(1, numbers_at_once(x_blm.device) // (rows * max(width, model.config.vocab_size)))
    for start in range(0, length, size):
        end = min(start + size, length)
        if not model.config.equivariant:
            yield start, [x_blm[:, start:end]]
            continue
        given, other = x_blm.chunk(2)
        # The other strand's numbers for these bases lie at its mirror-image positions.
        yield start, [given[:, start:end], other[:, length - end : length - start]]


def _logits(model: LanguageModel, parts: list[Tensor]) -> Tensor:
    given, *other = (model.logits_of(model.norm_f(part)) for part in parts)
    return given + other[0].flip(1)[..., model.complement] if other else given
