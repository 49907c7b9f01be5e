"""Classifiers and regressors of sequences in the shape of scikit-learn's, over a pretrained network or a fresh one."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from torch import Tensor

from genomamba.alphabet import get_alphabet
from genomamba.baselines.classes import OfClasses
from genomamba.classify.classifier_files import load_classifier, read_training, save_classifier
from genomamba.classify.examples import ClassWeight, Examples
from genomamba.classify.fitting import Fit, FitSettings
from genomamba.classify.heads import HeadPool, HeadStrand, SequenceModel
from genomamba.classify.labels import Kind, Labels
from genomamba.classify.losses import probabilities_of, values_of
from genomamba.classify.predicting import predict_logits
from genomamba.classify.sequences import SequenceList, SequenceListBuilder
from genomamba.classify.splits import folds_of
from genomamba.classify.starting import head_config, load_network, sequence_model
from genomamba.errors import ConfigError, DataError, RunError

__all__ = ["SequenceClassifier", "SequenceRegressor"]

Float64Array = npt.NDArray[np.float64]
Strand = Literal["given", "both", "pooled", "random"]

_DTYPES: Final = {"int": np.int64, "float": np.float64, "bool": np.bool_}
"""Kinds of class labels that come back from a folder as they were; any other comes back as text."""


class _SequenceEstimator(BaseEstimator):  # type: ignore[misc]
    """What both have: training, passes over sequences, folders."""

    model: str | Path
    pool: HeadPool
    strand: Strand | None
    hidden: int
    dropout: float
    freeze: bool
    random_weights: bool
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup: float
    clip: float
    patience: int
    valid_share: float
    seed: int

    def _settings(self) -> FitSettings:
        weight: ClassWeight = "balanced" if getattr(self, "class_weight", None) == "balanced" else "none"
        return FitSettings(
            freeze=self.freeze, augment=self.strand == "random", epochs=self.epochs, batch_size=self.batch_size,
            learning_rate=self.learning_rate, weight_decay=self.weight_decay, warmup=self.warmup, clip=self.clip,
            class_weight=weight, patience=self.patience, seed=self.seed,
        )  # fmt: skip

    def _fit(self, sequences: Any, labels: Labels, weights: Any, valid: Any) -> None:
        settings = self._settings()
        network = load_network(self.model, random_weights=self.random_weights, seed=self.seed)
        given = _sequence_list(sequences, network.config.alphabet)
        train, judge = self._parts(labels, len(given), valid)
        strand: HeadStrand | None = "both" if self.strand == "random" else self.strand
        examples = Examples(given, labels, None if weights is None else np.asarray(weights, np.float64))
        config = head_config(
            network.config, examples, pool=self.pool, strand=strand, hidden=self.hidden, dropout=self.dropout,
            train=train,
        )  # fmt: skip
        built = sequence_model(network, config)
        self.fitted_ = Fit(built, examples, train, judge, settings).fit()
        self.network_ = built
        self.n_features_in_ = 1

    def _parts(self, labels: Labels, count: int, valid: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        rows = np.arange(count)
        if valid is not None:
            chosen = np.asarray(valid, np.bool_)
            if chosen.shape != rows.shape or chosen.all():
                raise DataError(f"valid has the shape {chosen.shape}; it must name some of the {count} sequences")
            return rows[~chosen], rows[chosen]
        folds = round(1 / self.valid_share) if self.valid_share else 0
        if folds < 2 or count < 2 * folds:
            return rows, rows[:0]
        judged = folds_of(labels, count, folds, seed=self.seed) == 0
        return rows[~judged], rows[judged]

    def _logits(self, sequences: Any) -> Tensor:
        check_is_fitted(self, "network_")
        return predict_logits(self.network_, _sequence_list(sequences, self.network_.model_config.alphabet))

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write what was fitted into a folder, without pickle: `load` and `genomamba predict` read it.

        Parameters
        ----------
        folder : str or Path
            Made where it is not there.
        force : bool
            Write into a folder that holds files already, over those of the same names.

        Raises
        ------
        RunError
            Where the folder is not empty, or cannot be written.
        """
        check_is_fitted(self, "network_")
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not force and any(path.iterdir()):
                raise RunError(f"{path}: is not empty; give force=True to write over it, or another folder")
        except OSError as error:
            raise RunError(f"{path}: cannot be made ({error.strerror}); name another folder") from error
        given = self.get_params()
        parameters = {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}
        facts = {"objective": "labels", "network_trained": not self.freeze, "estimator": parameters}
        save_classifier(path, self.network_, facts | self._saved_facts())

    @classmethod
    def load(cls, model: str | Path, *, revision: str | None = None) -> Self:
        """Read what `save` or `genomamba finetune` wrote.

        Parameters
        ----------
        model : str or Path
            A folder, or OWNER/NAME on the Hugging Face hub.
        revision : str, optional
            Branch, tag or commit of a name on the hub.

        Raises
        ------
        RunError
            Where there is no such model, where it is damaged, or tells something of another kind.
        """
        built = load_classifier(model, revision=revision)
        facts = read_training(model, revision=revision)
        known = cls().get_params()
        given = facts.get("estimator", {"model": str(model)})
        made = cls(**{name: value for name, value in given.items() if name in known})
        made.network_ = built
        made.n_features_in_ = 1
        made._take(built, facts, str(model))
        return made

    def _saved_facts(self) -> dict[str, Any]:
        return {}

    @abstractmethod
    def _take(self, built: SequenceModel, facts: dict[str, Any], name: str) -> None:
        """Take up what a folder says of the labels; raises `RunError` where it is of another kind."""


class SequenceClassifier(OfClasses, _SequenceEstimator):
    """A classifier of sequences: a head over a network, trained together or by itself.

    Works in scikit-learn's `cross_val_score`, `Pipeline`, `GridSearchCV` and `clone`. The same data, parameters, seed
    and number of threads give the same weights, bit for bit, on a CPU.

    Parameters
    ----------
    model : str or Path
        A run or checkpoint folder, OWNER/NAME on the Hugging Face hub, or a preset (tiny, small, base, large, xl) for a
        network that reads both directions, from random weights.
    pool : {"mean", "sum", "max", "last", "middle", "concat"}
        What is made of the positions. middle is for sequences about a site in their middle.
    strand : {"given", "both", "pooled", "random"}, optional
        given: one is read. both: the mean of the logits of the two; pooled: the head reads the mean of both; either way
        a sequence and its reverse complement are told alike. random: one drawn for each sample in training, and both in
        prediction. Default: both for an equivariant network, else given.
    hidden : int
        Width of a hidden layer of the head; 0 for a linear head.
    dropout : float
        Share of what the head reads that is set to 0 in training.
    freeze : bool
        Train the head alone; what it reads is computed once.
    random_weights : bool
        Take the model's shape alone, and draw its weights.
    epochs, batch_size, learning_rate, weight_decay, warmup, clip, patience
        See `genomamba.classify.fitting.FitSettings`.
    class_weight : {"balanced"}, optional
        Each class counts the same, however rare it is.
    valid_share : float
        Share of what `fit` is given that says when to stop, where `valid` does not name it: one fold of 1/valid_share,
        alike in classes. 0: train for all epochs.
    seed : int
        Of all that is drawn.

    Attributes
    ----------
    classes_ : (classes,)
        Labels; of several a sequence, their columns.
    network_ : SequenceModel
    fitted_ : Fitted
        Steps, epochs, and the loss of the validation part.
    """

    def __init__(
        self,
        model: str | Path = "tiny",
        *,
        pool: HeadPool = "mean",
        strand: Strand | None = None,
        hidden: int = 0,
        dropout: float = 0.1,
        freeze: bool = False,
        random_weights: bool = False,
        epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        warmup: float = 0.1,
        clip: float = 1.0,
        class_weight: Literal["balanced"] | None = None,
        patience: int = 5,
        valid_share: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.pool = pool
        self.strand = strand
        self.hidden = hidden
        self.dropout = dropout
        self.freeze = freeze
        self.random_weights = random_weights
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.clip = clip
        self.class_weight = class_weight
        self.patience = patience
        self.valid_share = valid_share
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None, valid: Any = None) -> Self:
        """Train.

        Parameters
        ----------
        X : list, tuple, array or Series of str
        y : (sequences,) of any labels, or (sequences, classes) of 0 and 1 where a sequence has several
        sample_weight : (sequences,), optional
        valid : (sequences,), bool, optional
            Those that say when to stop, and do not learn.

        Raises
        ------
        DataError
            For a sequence that cannot be read, and where one class alone is there.
        ValueError
            Where X, y and weights are not equally many, or a label is missing.
        ConfigError, RunError
            For parameters and models that cannot be used.
        """
        if self.class_weight not in (None, "balanced"):
            raise ConfigError(f"is {self.class_weight!r}; it must be None or 'balanced'", option="class_weight")
        X = _as_list(X)
        check_consistent_length(X, y, sample_weight)
        values = self._take_classes(y)
        kind: Kind = "multi" if self._several else "single"
        values = values.astype(np.uint8 if self._several else np.int32)
        self._fit(X, Labels(kind, tuple(map(str, self.classes_)), values), sample_weight, valid)
        return self

    def predict_proba(self, X: Any) -> Float64Array:
        """Return probabilities, (sequences, classes), in the order of `classes_`; of several labels each by itself."""
        logits = self._logits(X)
        return probabilities_of(self.network_.config, logits)

    def _saved_facts(self) -> dict[str, Any]:
        kinds = {np.bool_: "bool", np.integer: "int", np.floating: "float"}
        kind = next((name for base, name in kinds.items() if np.issubdtype(self.classes_.dtype, base)), "text")
        return {"class_kind": kind}

    def _take(self, built: SequenceModel, facts: dict[str, Any], name: str) -> None:
        if built.config.kind not in ("single", "multi"):
            raise RunError(f"{name}: its head is of kind {built.config.kind}; a SequenceClassifier tells classes")
        self._several = built.config.kind == "multi"
        names, kind = built.config.classes, facts.get("class_kind", "text")
        try:
            if kind == "text":
                self.classes_ = np.array(names)
            elif kind == "bool":
                self.classes_ = np.array([one == "True" for one in names])
            else:
                self.classes_ = np.array(names).astype(_DTYPES[kind])
        except (KeyError, ValueError) as error:
            raise RunError(f"{name}: class_kind is {kind!r}, which its classes {', '.join(names)} are not") from error


class SequenceRegressor(RegressorMixin, _SequenceEstimator):  # type: ignore[misc]
    """A regressor of sequences; parameters and attributes as `SequenceClassifier`'s, without those of classes."""

    def __init__(
        self,
        model: str | Path = "tiny",
        *,
        pool: HeadPool = "mean",
        strand: Strand | None = None,
        hidden: int = 0,
        dropout: float = 0.1,
        freeze: bool = False,
        random_weights: bool = False,
        epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        warmup: float = 0.1,
        clip: float = 1.0,
        patience: int = 5,
        valid_share: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.pool = pool
        self.strand = strand
        self.hidden = hidden
        self.dropout = dropout
        self.freeze = freeze
        self.random_weights = random_weights
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.clip = clip
        self.patience = patience
        self.valid_share = valid_share
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None, valid: Any = None) -> Self:
        """Train; parameters and errors as of `SequenceClassifier.fit`, with finite numbers for labels."""
        X = _as_list(X)
        check_consistent_length(X, y, sample_weight)
        values = np.asarray(y, np.float64)
        if values.ndim != 1 or not np.isfinite(values).all():
            raise DataError(f"labels have the shape {values.shape}; give a finite number for each sequence")
        self._fit(X, Labels("regression", (), values), sample_weight, valid)
        return self

    def predict(self, X: Any) -> Float64Array:
        """Return a number for each sequence."""
        logits = self._logits(X)
        return values_of(self.network_.config, logits)

    def _take(self, built: SequenceModel, facts: dict[str, Any], name: str) -> None:
        if built.config.kind != "regression":
            raise RunError(f"{name}: its head is of kind {built.config.kind}; a SequenceRegressor tells numbers")


def _as_list(sequences: Any) -> list[Any]:
    if isinstance(sequences, str | bytes):
        raise DataError("one text was given; give a list of sequences")
    if not (given := list(sequences)):
        raise DataError("no sequence was given; give one at least")
    return given


def _sequence_list(sequences: Any, alphabet: str) -> SequenceList:
    builder = SequenceListBuilder(get_alphabet(alphabet))
    for number, text in enumerate(_as_list(sequences)):
        if not isinstance(text, str):
            raise DataError(f"sequence {number} is of type {type(text).__name__}; it must be text")
        try:
            builder.add(text)
        except DataError as error:
            raise DataError(f"sequence {number}: {error}") from None
    return builder.build()
