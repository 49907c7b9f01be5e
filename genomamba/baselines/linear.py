"""Linear models over features of sequences: which features, and how strong a penalty, by cross-validation inside."""

from __future__ import annotations

import itertools
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from genomamba.baselines.classes import OfClasses
from genomamba.errors import ConfigError, DataError

__all__ = ["LinearClassifier", "LinearRegressor"]

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

_MOST_STEPS = 500
_SMALLEST = 1e-12


class _Linear(BaseEstimator):  # type: ignore[misc]
    """A linear model whose features and penalty are chosen by cross-validation in the data that it is fitted on."""

    strengths: Sequence[float]
    folds: int
    seed: int
    _standardised = True

    @abstractmethod
    def _features(self, sequences: Any) -> Iterable[tuple[Any, Float32Array]]:
        """Give each choice of features, by what names it, with those of all sequences: (sequences, features)."""

    @abstractmethod
    def _features_of(self, sequences: Any, choice: Any) -> Float32Array:
        """Return the features of one choice."""

    @abstractmethod
    def _solver(self, strength: float, targets: npt.NDArray[Any]) -> Any:
        """Return the estimator that learns from features."""

    @abstractmethod
    def _losses(self, solver: Any, features: Float32Array, targets: npt.NDArray[Any]) -> Float64Array:
        """Return two losses of a fitted solver on each row, (2, rows); the second chooses where the first is alike."""

    @abstractmethod
    def _folds(self, targets: npt.NDArray[Any], groups: Any) -> list[tuple[Any, Any]]:
        """Return the rows that learn and those that judge, fold by fold."""

    def _fit(self, sequences: Any, targets: npt.NDArray[Any], weights: Any, groups: Any) -> None:
        if not len(self.strengths):
            raise ConfigError("strengths is empty; give penalties to choose from, such as (10, 100)")
        weights = None if weights is None else np.asarray(weights, np.float64)
        # Hundreds of small products: threads that wait for one another cost more than they bring.
        with threadpool_limits(1):
            self._choose(sequences, targets, weights, groups)
        self.n_features_in_ = 1

    def _choose(self, sequences: Any, targets: npt.NDArray[Any], weights: Any, groups: Any) -> None:
        folds: list[tuple[Any, Any]] | None = None
        best: tuple[tuple[float, float], Any, float] | None = None
        chosen = np.zeros((0, 0), np.float32)
        for choice, features in self._features(sequences):
            if len(features) != len(targets):
                raise DataError(f"{len(features):,} sequences and {len(targets):,} labels were given; give one each")
            if folds is None:
                folds = self._folds(targets, groups)
            for strength in self.strengths:
                cost = self._cost(features, targets, weights, strength, folds)
                if best is None or cost < best[0]:
                    best, chosen = (cost, choice, strength), features
        assert best is not None
        self.cost_, self.choice_, self.strength_ = best
        self.solver_ = self._fitted(chosen, targets, weights, self.strength_)

    def _cost(
        self, features: Float32Array, targets: npt.NDArray[Any], weights: Any, strength: float, folds: Any
    ) -> tuple[float, float]:
        lost, counted = np.zeros(2), 0.0
        for learn, judge in folds:
            solver = self._fitted(features[learn], targets[learn], _some(weights, learn), strength)
            losses = self._losses(solver, features[judge], targets[judge])
            shares = np.ones(len(judge)) if weights is None else weights[judge]
            lost, counted = lost + losses @ shares, counted + float(shares.sum())
        first, second = (lost / max(counted, _SMALLEST)).tolist()
        return first, second

    def _fitted(self, features: Float32Array, targets: npt.NDArray[Any], weights: Any, strength: float) -> Any:
        scaler = StandardScaler(with_mean=self._standardised, with_std=self._standardised).fit(features)
        solver = self._solver(strength, targets)
        with warnings.catch_warnings():
            # A path of weak penalties need not end at its optimum to be judged, and a class may be absent from a fold.
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", message="Label .* is present in all training examples")
            if isinstance(solver, OneVsRestClassifier):
                if weights is not None:
                    raise ConfigError("weights of sequences are for one class each, or for numbers; leave them out")
                solver.fit(scaler.transform(features), targets)
            else:
                solver.fit(scaler.transform(features), targets, sample_weight=weights)
        return _Scaled(scaler, solver)

    def _chosen_features(self, sequences: Any) -> Float32Array:
        check_is_fitted(self)
        return self._features_of(sequences, self.choice_)


class _Scaled:
    """A solver behind its scaler."""

    def __init__(self, scaler: StandardScaler, solver: Any) -> None:
        self.scaler, self.solver = scaler, solver

    def __getattr__(self, name: str) -> Any:
        if name in ("scaler", "solver"):
            raise AttributeError(name)
        asked = getattr(self.solver, name)
        if name not in ("predict", "predict_proba", "decision_function"):
            return asked
        return lambda features: asked(self.scaler.transform(features))


class LinearClassifier(OfClasses, _Linear):
    """Logistic regression; with labels (sequences, classes) of 0 and 1, one for each class."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Choose and learn.

        Parameters
        ----------
        X : list, tuple, array or Series of str
        y : (sequences,) or (sequences, classes) of 0 and 1
        sample_weight : (sequences,), optional
        groups : (sequences,), optional
            What must not be in two folds.

        Raises
        ------
        DataError
            For a sequence that cannot be read, and where one class alone is there.
        """
        self._take_classes(y)
        self._fit(X, np.asarray(y), sample_weight, groups)
        return self

    def predict_proba(self, X: Any) -> Float64Array:
        """Return probabilities, (sequences, classes), in the order of `classes_`."""
        return self._probabilities(self.solver_, self._chosen_features(X))

    def _solver(self, strength: float, targets: npt.NDArray[Any]) -> Any:
        single = LogisticRegression(C=1 / strength, max_iter=_MOST_STEPS)
        return single if targets.ndim == 1 else OneVsRestClassifier(single)

    def _probabilities(self, solver: Any, features: Float32Array) -> Float64Array:
        """Return what a fitted solver gives each class, (rows, classes)."""
        probabilities: Float64Array = np.asarray(solver.predict_proba(features), np.float64)
        return probabilities

    def _losses(self, solver: Any, features: Float32Array, targets: npt.NDArray[Any]) -> Float64Array:
        probabilities = np.clip(self._probabilities(solver, features), _SMALLEST, 1 - _SMALLEST)
        if targets.ndim == 2:
            nats = np.where(targets.astype(bool), -np.log(probabilities), -np.log1p(-probabilities))
            return np.stack([((probabilities > 0.5) != targets).mean(1), nats.mean(1)])
        known = {label: column for column, label in enumerate(solver.classes_)}
        columns = np.array([known.get(label, -1) for label in targets])
        right = np.where(columns >= 0, probabilities[np.arange(len(targets)), columns], _SMALLEST)
        return np.stack([solver.classes_[probabilities.argmax(1)] != targets, -np.log(right)])

    def _folds(self, targets: npt.NDArray[Any], groups: Any) -> list[tuple[Any, Any]]:
        if targets.ndim == 2:
            return _unlike(targets, groups, self.folds, self.seed)
        rarest = int(np.unique(targets, return_counts=True)[1].min())
        folds = max(2, min(self.folds, rarest))
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        splitter = kind(folds, shuffle=True, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The least populated class")
            return list(splitter.split(np.zeros(len(targets)), targets, groups))


class LinearRegressor(RegressorMixin, _Linear):  # type: ignore[misc]
    """Ridge regression."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Choose and learn; parameters as of `LinearClassifier.fit`, with numbers for labels."""
        self._fit(X, np.asarray(y, np.float64), sample_weight, groups)
        return self

    def predict(self, X: Any) -> Float64Array:
        """Return a number for each sequence."""
        predicted: Float64Array = np.asarray(self.solver_.predict(self._chosen_features(X)), np.float64)
        return predicted

    def _solver(self, strength: float, targets: npt.NDArray[Any]) -> Any:
        return Ridge(alpha=strength)

    def _losses(self, solver: Any, features: Float32Array, targets: npt.NDArray[Any]) -> Float64Array:
        squares = np.square(np.asarray(solver.predict(features), np.float64) - targets)
        return np.stack([squares, squares])

    def _folds(self, targets: npt.NDArray[Any], groups: Any) -> list[tuple[Any, Any]]:
        return _unlike(targets, groups, self.folds, self.seed)


def _unlike(targets: npt.NDArray[Any], groups: Any, folds: int, seed: int) -> list[tuple[Any, Any]]:
    """Return folds that are not made alike in their labels."""
    count = len(targets) if groups is None else len(set(itertools.chain(groups)))
    if count < 2:
        raise DataError(f"{count} sequence, or group, is too few to choose on; give two at least")
    folds = min(folds, count)
    splitter = KFold(folds, shuffle=True, random_state=seed) if groups is None else GroupKFold(folds)
    return list(splitter.split(np.zeros(len(targets)), targets, groups))


def _some(weights: Any, rows: Any) -> Any:
    return None if weights is None else weights[rows]
