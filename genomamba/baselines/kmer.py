"""Linear models of how often each k-mer occurs: logistic regression and ridge, what they are set to being chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.baselines.letters import OTHER, Codes, encode
from genomamba.baselines.linear import LinearClassifier, LinearRegressor
from genomamba.errors import ConfigError

__all__ = ["LARGEST_K", "KmerClassifier", "KmerRegressor", "canonical_columns", "count_kmers"]

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]

LARGEST_K: Final = 8
_PASS_BASES: Final = 1 << 22


def count_kmers(codes: Codes, k: int, *, canonical: bool = False) -> Float32Array:
    """Count the k-mers of every sequence.

    Parameters
    ----------
    codes : Codes
    k : int
        Bases of a k-mer, 1 to 8.
    canonical : bool
        Count a k-mer and its reverse complement as one, so that a sequence and its reverse complement give the same.

    Returns
    -------
    counts : (sequences, 4^k), float32
        Columns in the order AA, AC, AG, AT, CA, ...; with `canonical`, of these the ones that come before their reverse
        complement. A k-mer with a letter other than A, C, G and T is not counted.
    """
    if not 1 <= k <= LARGEST_K:
        raise ConfigError(f"k is {k}; it must lie between 1 and {LARGEST_K}, such as 5")
    columns, width = canonical_columns(k) if canonical else (np.arange(4**k), 4**k)
    counts = np.zeros((len(codes), width), np.float32)
    for first, last in _passes(codes):
        start, end = int(codes.borders[first]), int(codes.borders[last])
        places = end - start - k + 1
        if places < 1:
            continue
        bases = codes.bases[start:end].astype(np.int64)
        words, is_whole = np.zeros(places, np.int64), np.ones(places, np.bool_)
        for offset in range(k):
            shifted = bases[offset : offset + places]
            words = 4 * words + shifted
            is_whole &= shifted != OTHER
        lengths = codes.lengths[first:last]
        row = np.arange(last - first).repeat(lengths)
        # A k-mer that begins in one sequence and ends in the next is none.
        is_whole &= row[:places] == row[k - 1 :]
        cells = row[:places][is_whole] * width + columns[words[is_whole]]
        counted = np.bincount(cells, minlength=(last - first) * width)
        counts[first:last] = counted.reshape(last - first, width)
    return counts


@lru_cache
def canonical_columns(k: int) -> tuple[Int64Array, int]:
    """Return the column of every k-mer where it shares one with its reverse complement, (4^k,) int64, and their number.

    There are (4^k + p) / 2, with p the 4^(k/2) k-mers that are their own reverse complement, 0 for odd k.
    """
    words = np.arange(4**k)
    other = np.zeros_like(words)
    for place in range(k):
        other = 4 * other + 3 - words // 4**place % 4
    kept, columns = np.unique(np.minimum(words, other), return_inverse=True)
    return columns.astype(np.int64), kept.size


def _passes(codes: Codes) -> Iterator[tuple[int, int]]:
    """Cut the sequences so that those of a pass have a few million bases, or are one."""
    first = 0
    while first < len(codes):
        reached = int(np.searchsorted(codes.borders, codes.borders[first] + _PASS_BASES, side="right")) - 1
        last = max(first + 1, reached)
        yield first, last
        first = last


class _Kmers:
    """What the two k-mer models share: features of a sequence are the counts of its k-mers."""

    ks: Sequence[int]
    canonical: bool

    def _features(self, sequences: Any) -> Iterator[tuple[int, Float32Array]]:
        codes = encode(sequences)
        if not len(self.ks):
            raise ConfigError("ks is empty; give the lengths of k-mers to choose from, such as (3, 4, 5, 6)")
        for k in self.ks:
            yield k, self._of(codes, k)

    def _features_of(self, sequences: Any, choice: int) -> Float32Array:
        return self._of(encode(sequences), choice)

    def _of(self, codes: Codes, k: int) -> Float32Array:
        # Not their shares: how long a sequence is may tell its class, and a baseline is to know what a network sees.
        return count_kmers(codes, k, canonical=self.canonical)


class KmerClassifier(_Kmers, LinearClassifier):
    """Logistic regression on the counts of k-mers, standardised; k and the strength are chosen by cross-validation.

    Parameters
    ----------
    ks : sequence of int
        Lengths of k-mers to choose from.
    strengths : sequence of float
        Of the penalty, 1/C, to choose from.
    canonical : bool
        See `count_kmers`.
    folds : int
        Of the cross-validation inside the data that `fit` is given; accuracy chooses, and where it is the same the
        likelihood.
    seed : int
        Of the folds.

    Attributes
    ----------
    choice_ : int
        The k that was chosen.
    strength_ : float
    classes_ : (classes,)
    """

    def __init__(
        self,
        ks: Sequence[int] = (3, 4, 5, 6),
        strengths: Sequence[float] = (1e1, 1e2, 1e3, 1e4),
        canonical: bool = False,
        folds: int = 3,
        seed: int = 0,
    ) -> None:
        self.ks = ks
        self.strengths = strengths
        self.canonical = canonical
        self.folds = folds
        self.seed = seed


class KmerRegressor(_Kmers, LinearRegressor):
    """Ridge regression on the counts of k-mers, standardised; parameters and attributes as `KmerClassifier`'s."""

    def __init__(
        self,
        ks: Sequence[int] = (3, 4, 5, 6),
        strengths: Sequence[float] = (1e1, 1e2, 1e3, 1e4, 1e5),
        canonical: bool = False,
        folds: int = 3,
        seed: int = 0,
    ) -> None:
        self.ks = ks
        self.strengths = strengths
        self.canonical = canonical
        self.folds = folds
        self.seed = seed
