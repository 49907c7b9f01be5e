"""AdamW, with decay on the matrices alone."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["decayed_and_plain", "make_optimizer"]

BETAS, EPS = (0.9, 0.95), 1e-8


def decayed_and_plain(model: nn.Module) -> tuple[list[str], list[str]]:
    """Sort the names of the weights into those that decay and those that do not.

    Matrices of projections, the embedding and the convolution decay. A_log, D, norms and biases, delta's among them,
    do not.
    """
    decayed: list[str] = []
    plain: list[str] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            bare = parameter.ndim < 2 or name.endswith("A_log")
            (plain if bare else decayed).append(name)
    return decayed, plain


def make_optimizer(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW over two groups; the learning rate is set anew at every step by the loop."""
    parameters = dict(model.named_parameters())
    decayed, plain = decayed_and_plain(model)
    groups = [
        {"params": [parameters[name] for name in decayed], "weight_decay": weight_decay},
        {"params": [parameters[name] for name in plain], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=EPS, fused=True)
