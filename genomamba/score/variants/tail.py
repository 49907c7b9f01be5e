"""What lies beyond the horizon: by how much scores change where more bases are compared, on a sample of the alleles."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Final

import numpy as np
import numpy.typing as npt

from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.model import LanguageModel
from genomamba.score.variants.causal import score_causal
from genomamba.score.variants.settings import CausalSettings

__all__ = ["TIMES_FARTHER", "TailSample"]

TIMES_FARTHER: Final = 4
"""Horizons that are compared in place of one."""
_MOST: Final = 32
_LEAST: Final = 4
# Contexts of a whole contig would take as long for a few alleles as for all.
_MOST_HORIZONS: Final = 64


class TailSample:
    """Some of the alleles that are scored, spread evenly.

    Parameters
    ----------
    alleles : int
        How many there are to see.
    """

    def __init__(self, alleles: int) -> None:
        self._every = max(1, math.ceil(alleles / _MOST))
        self._skip = 0
        self._seen: list[tuple[str, Variant, float]] = []

    def see(self, contig: str | None, variant: Variant, llr: float) -> None:
        """Take an allele where it is its turn; NaN is the score of one that has none."""
        if self._skip:
            self._skip -= 1
        elif contig is not None and not math.isnan(llr):
            self._seen.append((contig, variant, llr))
            self._skip = self._every - 1

    def measure(
        self, model: LanguageModel, genome: Genome, settings: CausalSettings, *, budget_s: float = math.inf
    ) -> npt.NDArray[np.float64]:
        """Score alleles again, comparing four times as many bases.

        Parameters
        ----------
        model, genome, settings
            As `score_causal` had them. Where the context is all of a contig, 64 horizons stand for it.
        budget_s : float
            Seconds after which no further allele is begun, once there are four.

        Returns
        -------
        differences : (measured,), float64
            Absolute differences of `llr`, in nats.
        """
        whole = settings.context is None
        if whole:
            settings = dataclasses.replace(settings, context=_MOST_HORIZONS * settings.horizon)
        farther = dataclasses.replace(settings, horizon=TIMES_FARTHER * settings.horizon)
        found: list[float] = []
        began = time.monotonic()
        for contig, variant, llr in self._spread():
            if len(found) >= _LEAST and time.monotonic() - began > budget_s:
                break
            near = _llr(model, genome, contig, variant, settings) if whole else llr
            found.append(abs(_llr(model, genome, contig, variant, farther) - near))
        return np.array(found)

    def _spread(self) -> list[tuple[str, Variant, float]]:
        """Order them so that the first few are spread as evenly as all: by the bits of their numbers, reversed."""
        bits = max(1, (len(self._seen) - 1).bit_length())
        order = sorted(range(len(self._seen)), key=lambda i: f"{i:0{bits}b}"[::-1])
        return [self._seen[i] for i in order]


def _llr(model: LanguageModel, genome: Genome, contig: str, variant: Variant, settings: CausalSettings) -> float:
    (score,) = score_causal(model, genome, contig, [variant], settings)
    return score.llr
