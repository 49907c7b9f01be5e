"""What is summed inside, as people read it: nats in, bits per base and perplexity out; means over drawn blocks."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["bits_per_base", "perplexity", "resampled_means"]

Float64Array = npt.NDArray[np.float64]

_LARGEST_EXPONENT = 709.0


def bits_per_base(nats_sum: float, bases: int) -> float:
    """Return the mean cost of one base, in bits.

    Parameters
    ----------
    nats_sum : float
        Negative log-likelihood summed over all scored bases, in nats.
    bases : int
        Number of scored bases, 1 or more.

    Returns
    -------
    float
        Bits per base; 2 for a uniform guess among four. Not finite where the sum is not.

    Raises
    ------
    ValueError
        Where no base was scored.
    """
    return _nats_per_base(nats_sum, bases) / math.log(2)


def perplexity(nats_sum: float, bases: int) -> float:
    """Return exp(mean nats per base): the number of equally likely bases that would be as hard to guess.

    Parameters
    ----------
    nats_sum : float
        Negative log-likelihood summed over all scored bases, in nats.
    bases : int
        Number of scored bases, 1 or more.

    Returns
    -------
    float
        Perplexity, 1 or more for a probability model; infinite where it passes the range of a float.

    Raises
    ------
    ValueError
        Where no base was scored.
    """
    nats = _nats_per_base(nats_sum, bases)
    return math.inf if nats > _LARGEST_EXPONENT else math.exp(nats)


def _nats_per_base(nats_sum: float, bases: int) -> float:
    if bases < 1:
        raise ValueError(f"{bases} bases were scored; a mean needs 1 or more")
    return nats_sum / bases


def resampled_means(
    sums: Float64Array, counts: npt.NDArray[np.int64], *, draws: int = 2_000, seed: int = 0
) -> Float64Array:
    """Return means over blocks that are drawn with replacement: the bootstrap.

    Parameters
    ----------
    sums : (rows, blocks), float64
        Sum of a quantity over each block, a row each quantity.
    counts : (blocks,), int64
        What a mean divides by, of each block.
    draws : int
        How often as many blocks as there are, are drawn.
    seed : int
        Of the draws.

    Returns
    -------
    means : (rows, draws), float64
        Each column is one draw of the blocks, the same for all rows, so that rows can be subtracted.

    References
    ----------
    Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    blocks = counts.size
    times = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=draws).T
    means: Float64Array = (sums @ times) / (counts @ times)
    return means
