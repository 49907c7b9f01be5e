"""Learning rate, and when a run ends, as functions of its progress."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Limits", "learning_rate"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a run ends: at whichever limit comes first. At least one is given."""

    max_steps: int | None = None
    max_tokens: int | None = None
    max_minutes: float | None = None

    def progress(self, *, steps: int, tokens: int, elapsed_s: float) -> float:
        """Share of the run that is done, 0 to 1, by the limit that is nearest."""
        shares = [
            done / limit
            for done, limit in (
                (steps, self.max_steps),
                (tokens, self.max_tokens),
                (elapsed_s / 60, self.max_minutes),
            )
            if limit is not None
        ]
        return min(1.0, max(shares))


def learning_rate(progress: float, *, peak: float, warmup: float, floor: float = 0.02) -> float:
    """Rise linearly to `peak` over the share `warmup` of the run, then fall on a half cosine to `floor * peak`.

    Parameters
    ----------
    progress : float
        Share of the run done, 0 to 1.
    peak : float
        Largest learning rate.
    warmup : float
        Share of the run that rises, 0 to 1.
    floor : float
        Share of the peak at which the run ends.
    """
    if progress < warmup:
        return peak * progress / warmup
    falling = (progress - warmup) / (1 - warmup) if warmup < 1 else 0.0
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * falling)))
