"""Probes: estimators over embeddings, the strength of each chosen by cross-validation in what it is fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC, SVR

from genomamba.baselines.linear import LinearClassifier, LinearRegressor
from genomamba.classify.labels import Kind
from genomamba.errors import ConfigError

__all__ = ["STRENGTHS", "FeatureClassifier", "FeatureRegressor", "Solver", "linear_weights", "make_probe"]

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Solver = Literal["logistic", "ridge", "svm", "boosting"]

STRENGTHS: Final[dict[Solver, tuple[float, ...]]] = {
    "logistic": (0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0),
    "ridge": (1.0, 10.0, 100.0, 1_000.0, 10_000.0),
    "svm": (0.03, 0.1, 0.3, 1.0, 3.0),
    "boosting": (3.0, 10.0, 30.0),
}
"""What is chosen from: the penalty, 1/C; of boosting, one over the learning rate."""

_MOST_STEPS: Final = 1_000
_SURE: Final = 20.0
_SMALLEST: Final = 1e-12
_FACTORS: Final[list[float]] = np.geomspace(0.02, 50, 80).tolist()


class _Features:
    """What the two probes share: they are given features, and have nothing to choose but the strength."""

    def _features(self, given: Any) -> Iterator[tuple[int, Float32Array]]:
        features = self._features_of(given, 0)
        yield features.shape[1], features

    def _features_of(self, given: Any, choice: int) -> Float32Array:
        features: Float32Array = np.asarray(given, np.float32)
        return features


class FeatureClassifier(_Features, LinearClassifier):
    """A classifier over embeddings, standardised.

    Ridge regression on the classes, and support vectors, give scores: probabilities are the softmax of these (of
    several labels, the logistic function) times a factor that is found on folds of the data that `fit` is given.

    Parameters
    ----------
    solver : {"logistic", "ridge", "svm", "boosting"}
        svm has radial basis functions; boosting is of trees, by histograms.
    strengths : sequence of float
        To choose from; see `STRENGTHS`.
    folds, seed : int
        Of the cross-validation inside the data that `fit` is given: accuracy chooses, and where it is the same the
        likelihood.

    Attributes
    ----------
    strength_ : float
    factor_ : float
        Of scores; 1 where probabilities come by themselves.
    classes_ : (classes,)
    """

    def __init__(
        self, solver: Solver = "logistic", strengths: Sequence[float] = STRENGTHS["logistic"], folds: int = 5,
        seed: int = 0,
    ) -> None:  # fmt: skip
        self.solver = solver
        self.strengths = strengths
        self.folds = folds
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Choose and learn; X is (rows, features), and what else as of `LinearClassifier.fit`."""
        self.factor_ = 1.0
        super().fit(X, y, sample_weight, groups)
        if self.solver in ("ridge", "svm"):
            self.factor_ = self._factor(np.asarray(X, np.float32), np.asarray(y), sample_weight, groups)
        return self

    def _factor(self, features: Float32Array, targets: npt.NDArray[Any], weights: Any, groups: Any) -> float:
        """Return what scores of rows that were not learnt from are multiplied by, to be the likeliest."""
        scores, true = [], []
        for learn, judge in self._folds(targets, groups):
            some = None if weights is None else np.asarray(weights)[learn]
            solver = self._fitted(features[learn], targets[learn], some, self.strength_)
            given = _scores_of(solver, features[judge])
            # A class that is absent from a fold has no score there.
            if targets.ndim == 1 and len(solver.classes_) < len(self.classes_):
                continue
            scores.append(given)
            true.append(targets[judge])
        if not scores:
            return 1.0
        together, labels = np.concatenate(scores), np.concatenate(true)

        def nats(factor: float) -> float:
            logits = factor * together
            if labels.ndim == 2:
                return float(np.logaddexp(0, np.where(labels == 1, -logits, logits)).mean())
            right = np.searchsorted(self.classes_, labels)
            return float(-np.log(_softmax(logits)[np.arange(len(labels)), right] + _SMALLEST).mean())

        best: float = min(_FACTORS, key=nats)
        return best

    def _solver(self, strength: float, targets: npt.NDArray[Any]) -> Any:
        single: Any
        match self.solver:
            case "logistic":
                single = LogisticRegression(C=1 / strength, max_iter=_MOST_STEPS)
            case "ridge":
                single = RidgeClassifier(alpha=strength)
            case "svm":
                single = SVC(C=1 / strength, gamma="scale")
            case "boosting":
                single = HistGradientBoostingClassifier(
                    learning_rate=1 / strength, early_stopping=False, random_state=self.seed
                )
        return single if targets.ndim == 1 else OneVsRestClassifier(single)

    def _probabilities(self, solver: Any, features: Float32Array) -> Float64Array:
        if self.solver in ("logistic", "boosting"):
            return super()._probabilities(solver, features)
        logits = self.factor_ * _scores_of(solver, features)
        several = isinstance(solver.solver, OneVsRestClassifier)
        return 1 / (1 + np.exp(-logits)) if several else _softmax(logits)


class FeatureRegressor(_Features, LinearRegressor):
    """A regressor over embeddings; parameters as `FeatureClassifier`'s, without logistic. Numbers are standardised."""

    def __init__(
        self, solver: Solver = "ridge", strengths: Sequence[float] = STRENGTHS["ridge"], folds: int = 5, seed: int = 0
    ) -> None:
        self.solver = solver
        self.strengths = strengths
        self.folds = folds
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Choose and learn; X is (rows, features), y numbers."""
        values = np.asarray(y, np.float64)
        self.mean_, self.scale_ = float(values.mean()), float(values.std()) or 1.0
        super().fit(X, (values - self.mean_) / self.scale_, sample_weight, groups)
        return self

    def predict(self, X: Any) -> Float64Array:
        """Return a number for each row."""
        return super().predict(X) * self.scale_ + self.mean_

    def _solver(self, strength: float, targets: npt.NDArray[Any]) -> Any:
        match self.solver:
            case "svm":
                return SVR(C=1 / strength, gamma="scale")
            case "boosting":
                return HistGradientBoostingRegressor(
                    learning_rate=1 / strength, early_stopping=False, random_state=self.seed
                )
        return Ridge(alpha=strength)


def make_probe(kind: Kind, solver: Solver | None, seed: int) -> FeatureClassifier | FeatureRegressor:
    """Return a probe for labels of a kind, not fitted.

    Parameters
    ----------
    kind : Kind
    solver : Solver, optional
        Default: logistic, and ridge for numbers.
    seed : int

    Raises
    ------
    ConfigError
        For logistic regression of numbers.
    """
    if kind == "regression":
        if solver == "logistic":
            raise ConfigError("is logistic, and labels are numbers; take ridge, svm or boosting", option="classifier")
        solver = solver or "ridge"
        return FeatureRegressor(solver, STRENGTHS[solver], seed=seed)
    solver = solver or "logistic"
    return FeatureClassifier(solver, STRENGTHS[solver], seed=seed)


def linear_weights(probe: FeatureClassifier | FeatureRegressor) -> tuple[Float64Array, Float64Array]:
    """Return what a linear probe multiplies features by, and adds, for its logits.

    Parameters
    ----------
    probe : FeatureClassifier or FeatureRegressor
        Fitted; logistic or ridge.

    Returns
    -------
    weight : (outputs, features), float64
        An output a class; of numbers one, in deviations from the mean.
    bias : (outputs,), float64
    """
    scaler, solver = probe.solver_.scaler, probe.solver_.solver
    if isinstance(solver, OneVsRestClassifier):
        each = [_one_of(one, scaler.n_features_in_) for one in solver.estimators_]
        coefficients, intercepts = np.stack([one for one, _ in each]), np.array([other for _, other in each])
    else:
        coefficients = np.atleast_2d(np.asarray(solver.coef_, np.float64))
        intercepts = np.atleast_1d(np.asarray(solver.intercept_, np.float64))
        if isinstance(probe, FeatureClassifier) and len(coefficients) == 1:
            # Of two classes, the first has 0 for its logit.
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercepts = np.concatenate([np.zeros(1), intercepts])
    factor = getattr(probe, "factor_", 1.0)
    weight: Float64Array = factor * coefficients / scaler.scale_
    bias: Float64Array = factor * intercepts - weight @ scaler.mean_
    return weight, bias


def _one_of(solver: Any, width: int) -> tuple[Float64Array, float]:
    """Return coefficients and intercept of one of several labels; of one that all rows have, or none, certainty."""
    if not hasattr(solver, "coef_"):
        return np.zeros(width), _SURE if solver.predict(np.zeros((1, width)))[0] else -_SURE
    return np.asarray(solver.coef_, np.float64).ravel(), float(np.ravel(solver.intercept_)[0])


def _scores_of(solver: Any, features: Float32Array) -> Float64Array:
    """Return the scores of the classes, (rows, classes); of two classes, that of the first is 0."""
    scores = np.asarray(solver.decision_function(features), np.float64)
    return scores if scores.ndim == 2 else np.stack([np.zeros_like(scores), scores], 1)


def _softmax(logits: Float64Array) -> Float64Array:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    found: Float64Array = powers / powers.sum(1, keepdims=True)
    return found
