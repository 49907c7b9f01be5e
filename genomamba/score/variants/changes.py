"""What an allele changes in what a model says of the sequence around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import TokenArray
from genomamba.score.variants.haplotype import Edit

__all__ = ["Pair", "Predictions"]

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the model says of a sequence read along one strand, left to right on the plus strand.

    Attributes
    ----------
    logp : (length, vocabulary), float64
        Log-probabilities of the plus strand's tokens.
    hidden : (length, channels), float64, or None
        Where asked for.
    """

    logp: Float64Array
    hidden: Float64Array | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Both haplotypes of a window along one strand; their bases are the same before and behind the allele."""

    ref: Predictions
    alt: Predictions
    ref_tokens: TokenArray
    alt_tokens: TokenArray
    edit: Edit
    first: int
    """Where the alleles begin in the window."""
    is_target: npt.NDArray[np.bool_]
    """Of each token, whether it is a base that is known."""
    flank: int

    def pseudo_llr(self) -> tuple[float]:
        """Pseudo-log-likelihood of the allele and its flanks less that of the reference, at the reference's length."""
        ref, alt = (
            logp[near, tokens[near]].sum()
            for logp, tokens, near in (
                (self.ref.logp, self.ref_tokens, self._near(self.edit.removed, self.ref_tokens)),
                (self.alt.logp, self.alt_tokens, self._near(len(self.edit.inserted), self.alt_tokens)),
            )
        )
        bases = self._near(self.edit.removed, self.ref_tokens).size
        return (float(alt - ref - self.edit.longer * ref / bases) if bases else float("nan"),)

    def distance(self) -> tuple[float, float, float, float]:
        """Distances of the embeddings at the first base, and of their means over alleles and flanks."""
        ref, alt = self.ref.hidden, self.alt.hidden
        assert ref is not None
        assert alt is not None
        near = self._near(self.edit.removed, self.ref_tokens), self._near(len(self.edit.inserted), self.alt_tokens)
        if not near[0].size or not near[1].size:
            return (float("nan"),) * 4
        site = (x[min(self.first, len(x) - 1)] for x in (ref, alt))
        return (*_distances(*site), *_distances(ref[near[0]].mean(0), alt[near[1]].mean(0)))

    def divergence(self) -> tuple[float, float, float]:
        """Jensen-Shannon divergences in bits: their mean over the flanks, and the largest of the window and where."""
        behind = self.first + self.edit.removed
        left = np.arange(self.first)
        right = np.arange(behind, len(self.ref_tokens))
        at = np.concatenate([left, right])
        if not at.size:
            return float("nan"), float("nan"), float("nan")
        there = np.concatenate([left, right + self.edit.longer])
        found = _js_divergence(self.ref.logp[at], self.alt.logp[there])
        near = (at >= self.first - self.flank) & (at < behind + self.flank)
        largest = int(found.argmax())
        mean = float(found[near].mean()) if near.any() else float("nan")
        return mean, float(found[largest]), float(at[largest] - self.first)

    def _near(self, bases: int, tokens: TokenArray) -> npt.NDArray[np.int64]:
        """Return the positions of an allele of so many bases and of its flanks, where a base that is known stands."""
        near = np.arange(max(0, self.first - self.flank), min(len(tokens), self.first + bases + self.flank))
        return near[self.is_target[tokens[near]]]


def _distances(a: Float64Array, b: Float64Array) -> tuple[float, float]:
    """Return the Euclidean distance, and 1 less the cosine."""
    return float(np.linalg.norm(a - b)), float(1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _js_divergence(a: Float64Array, b: Float64Array) -> Float64Array:
    """Return the Jensen-Shannon divergence of log-probabilities (positions, vocabulary): (positions,), 0 to 1 bit."""
    mean = np.logaddexp(a, b) - np.log(2)
    found: Float64Array = ((np.exp(a) * (a - mean) + np.exp(b) * (b - mean)).sum(1) / (2 * np.log(2))).clip(0, 1)
    return found
