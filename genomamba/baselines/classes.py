"""What classifiers in scikit-learn's shape share: their classes, predictions from probabilities, and the score."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from genomamba.errors import DataError

__all__ = ["OfClasses"]


class OfClasses(ClassifierMixin):  # type: ignore[misc]
    """A classifier of one class a row, or of several, whose labels are then (rows, classes) of 0 and 1.

    Attributes
    ----------
    classes_ : (classes,)
        Labels; of several a row, the numbers of their columns.
    """

    classes_: npt.NDArray[Any]
    _several: bool

    @abstractmethod
    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return probabilities, (rows, classes), in the order of `classes_`; of several labels each by itself."""

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the likeliest class of each row; of several labels, those above one half, as 0 and 1."""
        probabilities = self.predict_proba(X)
        if self._several:
            return (probabilities > 0.5).astype(np.int64)
        predicted: npt.NDArray[Any] = self.classes_[probabilities.argmax(1)]
        return predicted

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; of several labels, the share of rows whose labels are all right."""
        return float(accuracy_score(np.asarray(y), self.predict(X), sample_weight=sample_weight))

    def _take_classes(self, y: Any, *, fewest: int = 2) -> npt.NDArray[Any]:
        """Learn which classes there are, and return labels as their numbers, (rows,), or (rows, classes) of 0 and 1.

        Raises
        ------
        DataError
            Where there are fewer.
        ValueError
            Where a label is missing, or of another type than the others; of several a row, where one is not 0 or 1.
        """
        given = np.asarray(y)
        self._several = given.ndim == 2
        if self._several:
            if not np.isin(given, (0, 1)).all():
                raise ValueError("y has two dimensions, and not all of it is 0 or 1; give 0 or 1 for each class")
            self.classes_ = np.arange(given.shape[1])
            return given
        # Among texts NumPy makes a text of it, too; NaN alone is not what it is.
        if any(isinstance(label, float) and label != label for label in (y.tolist() if hasattr(y, "tolist") else y)):
            raise ValueError("Input y contains NaN; give each row a label, or leave it out")
        try:
            self.classes_, codes = np.unique(given, return_inverse=True)
        except TypeError:
            kinds = ", ".join(sorted({type(label).__name__ for label in given}))
            raise ValueError(
                f"Input y must be uniformly strings or numbers; it has {kinds}; give each row a label, or leave it out"
            ) from None
        if len(self.classes_) < fewest:
            raise DataError(f"every label is {str(self.classes_[0])!r}; two classes are needed to tell them apart")
        return codes
