"""What is said of every sequence alike: how often each class was in training, or the mean."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from genomamba.baselines.classes import OfClasses

__all__ = ["MajorityClassifier", "MeanRegressor"]


class MajorityClassifier(OfClasses, BaseEstimator):  # type: ignore[misc]
    """The most frequent class, with the shares of the classes for probabilities.

    Attributes
    ----------
    shares_ : (classes,), float64
    classes_ : (classes,)
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Count the classes; y is (sequences,), or (sequences, classes) of 0 and 1."""
        labels = self._take_classes(y, fewest=1)
        weights = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        columns = labels if self._several else np.eye(len(self.classes_))[labels]
        self.shares_ = weights @ columns / weights.sum()
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return (sequences, classes)."""
        check_is_fitted(self)
        return np.tile(self.shares_, (len(X), 1))


class MeanRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """The mean of the numbers in training.

    Attributes
    ----------
    mean_ : float
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Take the mean."""
        self.mean_ = float(np.average(np.asarray(y, np.float64), weights=sample_weight))
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return it for each sequence."""
        check_is_fitted(self)
        return np.full(len(X), self.mean_)
