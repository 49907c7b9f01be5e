"""Figures that people read, from what is summed inside: nats in, bits per base and perplexity out."""

from __future__ import annotations

import math

__all__ = ["bits_per_base", "perplexity"]

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
