"""Linear models of which base stands where, for sequences of one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from genomamba.baselines.letters import OTHER, encode
from genomamba.baselines.linear import LinearClassifier, LinearRegressor
from genomamba.errors import DataError

__all__ = ["OneHotClassifier", "OneHotRegressor", "one_hot"]

Float32Array = npt.NDArray[np.float32]


def one_hot(sequences: Any) -> Float32Array:
    """Return 1 where a base stands: (sequences, 4 * length), float32, A, C, G and T of each position; N has none.

    Raises
    ------
    DataError
        Where sequences are of several lengths.
    """
    codes = encode(sequences)
    lengths = np.unique(codes.lengths)
    if lengths.size != 1:
        raise DataError(
            f"sequences have {lengths.min():,} to {lengths.max():,} bases; one column a position needs one length"
        )
    table = np.zeros((OTHER + 1, 4), np.float32)
    table[:4] = np.eye(4)
    return table[codes.bases].reshape(len(codes), -1)


class _OneHot:
    """What the two models share."""

    _standardised = False

    def _features(self, sequences: Any) -> Iterator[tuple[int, Float32Array]]:
        features = one_hot(sequences)
        yield features.shape[1] // 4, features

    def _features_of(self, sequences: Any, choice: int) -> Float32Array:
        features = one_hot(sequences)
        if features.shape[1] != 4 * choice:
            raise DataError(
                f"sequences have {features.shape[1] // 4:,} bases, and the model was fitted on {choice:,}; "
                "one column a position needs one length"
            )
        return features


class OneHotClassifier(_OneHot, LinearClassifier):
    """Logistic regression on which base stands where; the strength of its penalty is chosen by cross-validation.

    Parameters
    ----------
    strengths : sequence of float
        Of the penalty, 1/C, to choose from.
    folds, seed : int
        Of the cross-validation inside the data that `fit` is given.

    Attributes
    ----------
    choice_ : int
        Bases of a sequence.
    strength_ : float
    classes_ : (classes,)
    """

    def __init__(
        self, strengths: Sequence[float] = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0), folds: int = 5, seed: int = 0
    ) -> None:
        self.strengths = strengths
        self.folds = folds
        self.seed = seed


class OneHotRegressor(_OneHot, LinearRegressor):
    """Ridge regression on which base stands where; parameters and attributes as `OneHotClassifier`'s."""

    def __init__(
        self, strengths: Sequence[float] = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0), folds: int = 5, seed: int = 0
    ) -> None:
        self.strengths = strengths
        self.folds = folds
        self.seed = seed
