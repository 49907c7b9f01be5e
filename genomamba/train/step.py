"""Gradients of one optimiser step, accumulated over batches that fit in memory."""

from __future__ import annotations

import torch
from torch import Tensor

from genomamba.model import LanguageModel
from genomamba.train.device import autocast
from genomamba.train.objective import Batch, token_losses

__all__ = ["backward"]


def backward(model: LanguageModel, batch: Batch, batch_size: int, precision: torch.dtype) -> Tensor:
    """Add the gradient of the mean loss of `batch` to the weights' gradients.

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

    Returns
    -------
    loss : (), float32
        Mean negative log-likelihood over the targets by weight, in nats.
    """
    total_weight = batch.weights.sum().clamp(min=1e-6)
    loss = torch.zeros((), device=batch.inputs.device)
    for inputs, targets, weights in zip(
        batch.inputs.split(batch_size), batch.targets.split(batch_size), batch.weights.split(batch_size), strict=True
    ):
        with autocast(inputs.device, precision):
            logits = model(inputs)
        part = (token_losses(logits, targets) * weights).sum() / total_weight
        part.backward()
        loss += part.detach()
    return loss
