"""Figures of what a head says of labelled sequences, each with its bootstrap interval."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, Literal

import numpy.typing as npt
from torch import Tensor

from genomamba.classify.heads import HeadConfig
from genomamba.classify.losses import probabilities_of, values_of
from genomamba.metrics import Estimate, accuracy, estimate, macro_f1, mcc

__all__ = ["figures_of"]

Name = Literal["accuracy", "mcc", "macro_f1", "auroc", "auprc", "pearson", "spearman"]

_DRAWS: Final = 1_000


def figures_of(config: HeadConfig, logits: Tensor, labels: npt.NDArray[Any]) -> dict[str, dict[str, Any]]:
    """Return figures by name: `value`, `low`, `high` (95 %, bootstrap) and `rows`; None where there is no value.

    Parameters
    ----------
    config : HeadConfig
    logits : (labels, outputs)
    labels : (labels,), or (labels, classes) of 0 and 1
        As of `genomamba.classify.labels.Labels`.

    Returns
    -------
    dict
        One class each: accuracy, mcc, macro_f1, and of two classes auroc and auprc of the second. Several: auroc and
        auprc of each class, by its name. Numbers: pearson and spearman. A class a base: as one class each, without
        intervals, since bases beside each other are not drawn apart.
    """
    return {name: _plain(found) for name, found in _estimates(config, logits, labels)}


def _estimates(config: HeadConfig, logits: Tensor, labels: npt.NDArray[Any]) -> Iterator[tuple[str, Estimate]]:
    if config.kind == "regression":
        for name in ("pearson", "spearman"):
            yield name, _of(name, labels, values_of(config, logits))
        return
    probabilities = probabilities_of(config, logits)
    if config.kind == "multi":
        for column, label in enumerate(config.classes):
            for name in ("auroc", "auprc"):
                yield f"{name} of {label}", _of(name, labels[:, column], probabilities[:, column])
        return
    if config.kind == "per-base":
        said = probabilities.argmax(1)
        for name, measure in (("accuracy", accuracy), ("mcc", mcc), ("macro_f1", macro_f1)):
            yield name, Estimate(measure(labels, said), math.nan, math.nan, labels.size, 0)
        return
    for name in ("accuracy", "mcc", "macro_f1"):
        yield name, _of(name, labels, probabilities.argmax(1))
    if len(config.classes) == 2:
        for name in ("auroc", "auprc"):
            yield name, _of(name, labels, probabilities[:, 1])


def _of(name: Any, truth: npt.NDArray[Any], said: npt.NDArray[Any]) -> Estimate:
    return estimate(name, truth, said, draws=_DRAWS)


def _plain(found: Estimate) -> dict[str, Any]:
    numbers = {"value": found.value, "low": found.low, "high": found.high}
    return {name: None if math.isnan(value) else value for name, value in numbers.items()} | {"rows": found.rows}
