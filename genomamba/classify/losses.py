"""What a head loses on labels, and what its logits say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from genomamba.classify.heads import HeadConfig

__all__ = ["label_losses", "probabilities_of", "said_of", "to_targets", "values_of"]


def to_targets(config: HeadConfig, values: npt.NDArray[np.generic]) -> Tensor:
    """Return labels as losses take them: classes int64, several float32, numbers as distances from the mean."""
    match config.kind:
        case "multi":
            return torch.tensor(values, dtype=torch.float32)
        case "regression":
            return torch.tensor((values.astype(np.float64) - config.mean) / config.scale, dtype=torch.float32)
    return torch.tensor(values, dtype=torch.int64)


def label_losses(
    config: HeadConfig, logits: Tensor, targets: Tensor, class_weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return what each label loses, and what it counts beside the weight of its sequence.

    Parameters
    ----------
    config : HeadConfig
    logits : (labels, outputs)
    targets : (labels,), or (labels, classes) where there are several
    class_weights : (classes,) or None
        See `genomamba.classify.examples.Examples.class_weights`.

    Returns
    -------
    losses : (labels,)
        Cross-entropy in nats; of several classes, their mean. For numbers the square of the error, in squares of
        `config.scale`.
    counts : (labels,)
    """
    if config.kind == "regression":
        losses = (logits[:, 0] - targets).square()
    elif config.kind == "multi":
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none", pos_weight=class_weights).mean(1)
    else:
        losses = F.cross_entropy(logits, targets, reduction="none")
        if class_weights is not None:
            return losses, class_weights[targets]
    return losses, torch.ones_like(losses)


def probabilities_of(config: HeadConfig, logits: Tensor) -> npt.NDArray[np.float64]:
    """Return the probability of each class, (labels, classes), float64; of several classes each by itself."""
    wide = logits.double().cpu()
    found = wide.sigmoid() if config.kind == "multi" else wide.softmax(-1)
    return found.numpy()


def values_of(config: HeadConfig, logits: Tensor) -> npt.NDArray[np.float64]:
    """Return the numbers of a regression, (labels,), float64."""
    values: npt.NDArray[np.float64] = logits[:, 0].double().cpu().numpy() * config.scale + config.mean
    return values


def said_of(config: HeadConfig, logits: Tensor) -> npt.NDArray[np.float64]:
    """Return the numbers of a regression, else the probability of each class."""
    return values_of(config, logits) if config.kind == "regression" else probabilities_of(config, logits)
