"""Contenders: what each says of what tests in a trial, having learnt and chosen from the other parts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.baselines.cnn import CnnClassifier, CnnRegressor
from genomamba.baselines.linear import LinearClassifier, LinearRegressor
from genomamba.baselines.suite import make_baselines
from genomamba.classify.examples import Examples
from genomamba.classify.labelled import Labelled
from genomamba.classify.labels import Kind
from genomamba.classify.probes import FeatureClassifier, FeatureRegressor, Solver, make_probe
from genomamba.classify.splits import carve_valid
from genomamba.classify.trials import VALID, Trial, Trials
from genomamba.model import count_parameters

__all__ = [
    "Answer", "baseline_answers", "baselines_of", "cost_of", "probe_answer",
]  # fmt: skip

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

_CARVED: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one contender says in one trial.

    Attributes
    ----------
    said : (rows, classes), or (rows,) for numbers; float64
        Probabilities, or numbers, of what tests, `Trial.judged`; of labels of bases a row a base.
    cost : float or None
        Its error on what it did not learn from, inside train and valid: the share that is wrong, or the mean square.
    judged_by : str
        How that was found.
    parameters, trained : int or None
        Numbers that it holds, and those of them that were learnt here; None where nobody counts them.
    seconds : float
    chosen : dict
        What it chose, as plain values.
    """

    said: Float64Array
    cost: float | None
    judged_by: str
    parameters: int | None
    trained: int | None
    seconds: float
    chosen: dict[str, Any] = field(default_factory=dict)


def _why_left_out(name: str, data: Labelled) -> str:
    """Say why a baseline is not for such data; empty where it is."""
    assert data.labels is not None
    if name in ("majority", "random"):
        return ""
    if data.labels.kind == "per-base":
        return "it tells labels of whole sequences"
    if data.sequences.alphabet.letters != "dna":
        return "it reads DNA"
    lengths = data.sequences.lengths
    if name == "one-hot" and (lengths.min() != lengths.max() or lengths[0] > 1_000):
        return "sequences are of several lengths, or longer than 1,000 bases"
    return ""


def baselines_of(names: Sequence[str], data: Labelled) -> tuple[list[str], dict[str, str]]:
    """Return the baselines that are for the data, and of the others why not."""
    reasons = {name: _why_left_out(name, data) for name in names}
    return [name for name in names if not reasons[name]], {name: why for name, why in reasons.items() if why}


def baseline_answers(name: str, trials: Trials) -> list[Answer]:
    """Fit a baseline, other than random, in each trial.

    What draws nothing, over the same parts, is fitted once. The linear ones learn from train and valid, for they choose
    by cross-validation; the convolutional network learns from train, and stops by valid.
    """
    found: list[Answer] = []
    for number, trial in enumerate(trials.each):
        again = number and not trials.folds and name in ("majority", "k-mer", "one-hot")
        found.append(found[0] if again else _baseline_answer(name, trial))
    return found


def _baseline_answer(name: str, trial: Trial) -> Answer:
    began = time.monotonic()
    data = trial.data
    assert data.labels is not None
    if data.labels.kind == "per-base":
        return _majority_of_bases(trial, began)
    lengths = data.sequences.lengths
    length = int(lengths[0]) if lengths.min() == lengths.max() else None
    made = make_baselines(data.labels.kind, length=length, seed=trial.seed)
    estimator = made["mean" if name == "majority" and data.labels.kind == "regression" else name]
    known, test = trial.known, [data.sequences.text(row) for row in trial.judged.tolist()]
    texts, values = [data.sequences.text(row) for row in known.tolist()], data.labels.values[known]
    weights = None if data.weights is None else data.weights[known]
    if isinstance(estimator, LinearClassifier | LinearRegressor):
        weights = None if data.labels.kind == "multi" else weights
        groups = None if data.groups is None else data.groups.codes[known]
        estimator.fit(texts, values, sample_weight=weights, groups=groups)
        cost, judged = float(estimator.cost_[0]), f"{estimator.folds} folds of train and valid"
    elif isinstance(estimator, CnnClassifier | CnnRegressor):
        judges = _judges(trial)[known]
        estimator.fit(texts, values, sample_weight=weights, valid=judges)
        rows = np.flatnonzero(judges)
        said = _said(estimator, [texts[row] for row in rows], len(data.labels.classes))
        cost, judged = cost_of(data.labels.kind, said, values[rows]), "the part that says when to stop"
    else:
        estimator.fit(texts, values, sample_weight=weights)
        cost = cost_of(data.labels.kind, _said(estimator, texts, len(data.labels.classes)), values)
        judged = "train and valid"
    said = _said(estimator, test, len(data.labels.classes))
    parameters = _parameters(estimator)
    return Answer(
        said=said, cost=cost, judged_by=judged, parameters=parameters, trained=parameters,
        seconds=time.monotonic() - began, chosen=_choices(estimator),
    )  # fmt: skip


def probe_answer(
    trial: Trial, features: npt.NDArray[np.float32], solver: Solver | None, *, frozen: int, seconds: float
) -> tuple[Answer, FeatureClassifier | FeatureRegressor]:
    """Fit a probe on train and valid, and return what it says with the probe itself.

    Parameters
    ----------
    trial : Trial
    features : (sequences, features), or (bases, features) for labels of bases; float32
    solver : Solver, optional
    frozen : int
        Weights of the network that made them.
    seconds : float
        What that took.
    """
    began = time.monotonic()
    data = trial.data
    assert data.labels is not None
    examples, kind = Examples.of(data), data.labels.kind
    probe = make_probe(kind, solver, trial.seed)
    known, test = (examples.bases(rows) if kind == "per-base" else rows for rows in (trial.known, trial.judged))
    weights = None if data.weights is None or kind == "multi" else examples.counts(trial.known)
    probe.fit(features[known], examples.targets(trial.known), sample_weight=weights, groups=_groups(data, trial.known))
    said = _said(probe, features[test], len(data.labels.classes))
    trained = _parameters(probe)
    scale = probe.scale_ if isinstance(probe, FeatureRegressor) else 1.0
    answer = Answer(
        said=said, cost=scale**2 * float(probe.cost_[0]), judged_by=f"{probe.folds} folds of train and valid",
        parameters=None if trained is None else frozen + trained, trained=trained,
        seconds=seconds + time.monotonic() - began, chosen=_choices(probe),
    )  # fmt: skip
    return answer, probe


def _groups(data: Labelled, rows: Int64Array) -> Int64Array | None:
    """Return what must not be in two folds: groups, and of labels of bases the sequence of each."""
    assert data.labels is not None
    groups = None if data.groups is None else data.groups.codes[rows].astype(np.int64)
    if data.labels.kind != "per-base":
        return groups
    return np.repeat(rows if groups is None else groups, data.sequences.lengths[rows])


def _judges(trial: Trial) -> npt.NDArray[np.bool_]:
    """Return which sequences say when to stop: those that validate, or where there are none a tenth of train."""
    assert trial.data.splits is not None
    splits = carve_valid(trial.data, trial.data.splits, _CARVED, trial.seed, trial.data.groups)
    return np.asarray(splits == VALID)


def _majority_of_bases(trial: Trial, began: float) -> Answer:
    assert trial.data.labels is not None
    examples = Examples.of(trial.data)
    targets = examples.targets(trial.known).astype(np.int64)
    count = len(trial.data.labels.classes)
    shares = np.bincount(targets, examples.counts(trial.known).astype(np.float64), minlength=count)
    shares = shares / shares.sum()
    said = np.tile(shares, (examples.bases(trial.test).size, 1))
    return Answer(
        said=said, cost=float((targets != shares.argmax()).mean()), judged_by="train and valid", parameters=count,
        trained=count, seconds=time.monotonic() - began,
    )  # fmt: skip


def _said(estimator: Any, given: Any, classes: int) -> Float64Array:
    """Return probabilities of all classes, those that were not learnt being 0, or numbers."""
    if not hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict(given), np.float64)
    probabilities = np.asarray(estimator.predict_proba(given), np.float64)
    if probabilities.shape[1] == classes:
        return probabilities
    whole = np.zeros((len(probabilities), classes))
    whole[:, estimator.classes_] = probabilities
    return whole


def cost_of(kind: Kind, said: Float64Array, values: npt.NDArray[Any]) -> float:
    """Return the share of labels that are said wrong, or of numbers the mean square of what is amiss."""
    if kind == "regression":
        return float(np.square(said - values).mean())
    return float(((said > 0.5) != values).mean() if kind == "multi" else (said.argmax(1) != values).mean())


def _parameters(estimator: Any) -> int | None:
    """Return how many numbers an estimator holds; None for trees."""
    if hasattr(estimator, "network_"):
        return count_parameters(estimator.network_)
    if not hasattr(estimator, "solver_"):
        return len(getattr(estimator, "shares_", (0,)))
    solver = estimator.solver_.solver
    total = 0
    for one in getattr(solver, "estimators_", None) or [solver]:
        if hasattr(one, "support_vectors_"):
            total += int(one.support_vectors_.size + one.dual_coef_.size + np.size(one.intercept_))
        elif hasattr(one, "coef_"):
            total += int(np.size(one.coef_) + np.size(one.intercept_))
        else:
            return None
    return total


def _choices(estimator: Any) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if hasattr(estimator, "ks"):
        chosen["k"] = int(estimator.choice_)
    if hasattr(estimator, "strength_"):
        chosen["strength"] = float(estimator.strength_)
    if hasattr(estimator, "epochs_"):
        chosen["epochs"] = int(estimator.epochs_)
    return chosen
