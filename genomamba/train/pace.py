"""How much of a device a run makes use of: floating-point operations of the model against those of a matrix product.

The share is (operations a base) x (bases a second) / (operations a second of a large matrix product, measured on the
same device, in the same precision and with the same threads). Operations are those that the model needs, whatever the
kernels do: 2 for each weight that a base meets in a product or a convolution, and 7 for each update of a state (step
times A, exponential, input, decay, sum, and 2 for the output), three times over, for forward and backward. Layers that
are computed again are counted once.

A scan multiplies no matrices, so that the share of a Mamba stays well below 1 where all kernels are as fast as can be.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Final, Self

import torch

from genomamba.config import ModelConfig
from genomamba.train.plan import Plan

__all__ = ["Pace", "flops_per_base", "product_rate"]

SIZES: Final = {"cpu": 1_024}
"""Rows and columns of the matrices, by device; of others, 8,192."""
TRIES: Final = 4
PER_UPDATE: Final = 7


@dataclass(frozen=True, slots=True)
class Pace:
    """What a base costs, and what the device could do.

    Attributes
    ----------
    flops_per_base : float
        Of a training step.
    peak : float
        Operations a second of a matrix product, as measured; of several processes, so many times that of one.
    """

    flops_per_base: float
    peak: float

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Measure the device of a plan."""
        peak = product_rate(plan.device, plan.precision, plan.threads) * plan.ranks.size
        return cls(flops_per_base(plan.model.config), peak)

    def share(self, bases_per_s: float) -> float:
        """Return the share of the device's peak at so many bases a second."""
        return self.flops_per_base * bases_per_s / self.peak


def flops_per_base(config: ModelConfig) -> float:
    """Return the floating-point operations that one base of a training step needs; the module's text says which."""
    d_inner, d_state = config.d_inner, config.d_state
    directions = 2 if config.direction == "bidirectional" else 1
    projected = 1 if config.tie_directions else directions
    in_and_out = 3 * config.d_model * d_inner
    inside = d_inner * (config.d_conv + 2 * config.resolved_dt_rank + 2 * d_state)
    weights = config.num_layers * (projected * in_and_out + directions * inside) + config.d_model * config.vocab_size
    updates = config.num_layers * directions * d_inner * d_state
    return 3 * (2 if config.equivariant else 1) * (2 * weights + PER_UPDATE * updates)


@cache
def product_rate(device: torch.device, precision: torch.dtype, threads: int) -> float:
    """Return the operations a second of a product of two square matrices, the best of a few, on so many CPU threads."""
    assert device.type != "cpu" or threads == torch.get_num_threads()
    size = SIZES.get(device.type, 8_192)
    one, other = (torch.ones(size, size, dtype=precision, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(TRIES + 1):
        start = time.perf_counter()
        # Reading a number of the product waits for a device that works behind.
        float((one @ other)[0, 0])
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best
