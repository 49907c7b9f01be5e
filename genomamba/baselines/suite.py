"""Which baselines stand beside a result, by name."""

from __future__ import annotations

from typing import Any, Literal

from genomamba.baselines.cnn import CnnClassifier, CnnRegressor
from genomamba.baselines.constant import MajorityClassifier, MeanRegressor
from genomamba.baselines.kmer import KmerClassifier, KmerRegressor
from genomamba.baselines.onehot import OneHotClassifier, OneHotRegressor

__all__ = ["make_baselines"]

_LONGEST_ONE_HOT = 1_000


def make_baselines(
    kind: Literal["single", "multi", "regression"], *, length: int | None, seed: int = 0, canonical: bool = False
) -> dict[str, Any]:
    """Return estimators of scikit-learn's form, not fitted, by name, from the simplest on.

    All take a list of texts for X and have `fit`, `predict` and `score`; classifiers have `predict_proba`, which gives
    (sequences, classes), and `classes_`.

    Parameters
    ----------
    kind : {"single", "multi", "regression"}
        One class a sequence, any number of them, (sequences, classes) of 0 and 1, or a number.
    length : int or None
        Bases of every sequence; None where they differ. One column a position needs one length, of 1,000 at most.
    seed : int
    canonical : bool
        k-mers and their reverse complements count as one.

    Returns
    -------
    dict of str to estimator
        majority (for numbers: mean), k-mer, one-hot where there is one length, and cnn.
    """
    if kind == "regression":
        made = {"mean": MeanRegressor(), "k-mer": KmerRegressor(canonical=canonical, seed=seed)}
        if length is not None and length <= _LONGEST_ONE_HOT:
            made["one-hot"] = OneHotRegressor(seed=seed)
        return made | {"cnn": CnnRegressor(seed=seed)}
    made = {
        "majority": MajorityClassifier(),
        "k-mer": KmerClassifier(canonical=canonical, seed=seed),
    }
    if length is not None and length <= _LONGEST_ONE_HOT:
        made["one-hot"] = OneHotClassifier(seed=seed)
    return made | {"cnn": CnnClassifier(seed=seed)}
