"""What is said of every sequence alike: how often each class was in training, or the mean."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

__all__ = ["MajorityClassifier", "MeanRegressor"]


class MajorityClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The most frequent class, with the shares of the classes for probabilities.

    Attributes
    ----------
    shares_ : (classes,), float64
    classes_ : (classes,)
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Count the classes; y is (sequences,), or (sequences, classes) of 0 and 1."""
        labels = np.asarray(y)
        weights = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        self._several = labels.ndim == 2
        if self._several:
            self.classes_, columns = np.arange(labels.shape[1]), labels
        else:
            self.classes_, codes = np.unique(labels, return_inverse=True)
            columns = np.eye(len(self.classes_))[codes]
        self.shares_ = weights @ columns / weights.sum()
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return (sequences, classes)."""
        check_is_fitted(self)
        return np.tile(self.shares_, (len(X), 1))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most frequent class for each sequence; of several labels, those of more than half."""
        check_is_fitted(self)
        if self._several:
            return np.tile((self.shares_ > 0.5).astype(np.int64), (len(X), 1))
        return np.full(len(X), self.classes_[self.shares_.argmax()])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; of several labels, the share of sequences whose labels are all right."""
        return float(accuracy_score(np.asarray(y), self.predict(X), sample_weight=sample_weight))


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
