"""A small convolutional network from random weights, of the kind that Genomic Benchmarks has as its baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from genomamba.baselines.classes import OfClasses
from genomamba.baselines.letters import OTHER, Codes, encode
from genomamba.errors import DataError

__all__ = ["MOST_PARAMETERS", "Cnn", "CnnClassifier", "CnnRegressor"]

MOST_PARAMETERS: Final = 264_000
"""Of the network of Genomic Benchmarks, which ours does not pass."""

_Losses = Callable[[Tensor, Tensor], Tensor]
"""Of outputs, (batch, outputs), and targets: (batch,)."""

_CHANNELS: Final = (32, 16, 16)
_TAPS: Final = 9
_HIDDEN: Final = 128
_SHORTEST: Final = 2 ** len(_CHANNELS)
# So that what stands where can be told, up to the length at which the weights of that layer are too many.
_LONGEST_FLAT: Final = 800
_SCORED_TOGETHER: Final = 256


class Cnn(nn.Module):
    """Three times convolution, norm, ReLU and a maximum over two; then one hidden layer.

    Parameters
    ----------
    outputs : int
        Numbers a sequence.
    length : int or None
        Bases of every sequence: what stands where then counts. None: of several lengths, or long ones; what is found is
        pooled over the positions, by mean and maximum.

    References
    ----------
    Gresova et al. 2023, "Genomic benchmarks", BMC Genomic Data 24:25.
    """

    def __init__(self, outputs: int, length: int | None) -> None:
        super().__init__()
        self.length = length
        before = (4, *_CHANNELS[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, wider, _TAPS, padding=_TAPS // 2)
            for channels, wider in zip(before, _CHANNELS, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels) for channels in _CHANNELS)
        positions = 2 if length is None else max(length, _SHORTEST) // _SHORTEST
        self.hidden = nn.Linear(positions * _CHANNELS[-1], _HIDDEN)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(_HIDDEN, outputs)

    def forward(self, codes: Tensor, lengths: Tensor) -> Tensor:
        """Return (batch, outputs) of padded codes (batch, longest), int64, and lengths (batch,).

        What lies behind the end of a sequence is 0 at every layer, so that padding changes no number.
        """
        x_bcl = F.one_hot(codes, OTHER + 1)[..., :OTHER].float().transpose(1, 2)
        left = lengths.clamp(min=_SHORTEST)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x_bcl = F.max_pool1d(F.relu(norm(convolution(x_bcl))), 2)
            # A last base without a pair falls out here too, as it does without padding.
            left = left // 2
            x_bcl = x_bcl * _inside(left, x_bcl.shape[2])
        if self.length is None:
            # Nothing is below 0 behind the ReLU, so that zeros behind the end change no maximum.
            x_bf = torch.cat([x_bcl.sum(2) / left[:, None], x_bcl.amax(2)], dim=1)
        else:
            x_bf = x_bcl.flatten(1)
        outputs: Tensor = self.output(self.dropout(F.relu(self.hidden(x_bf))))
        return outputs


def _inside(lengths: Tensor, longest: int) -> Tensor:
    return (torch.arange(longest) < lengths[:, None])[:, None].float()


class _CnnEstimator(BaseEstimator):  # type: ignore[misc]
    """What the two estimators share: training with early stopping, and passes over sequences."""

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    valid_share: float
    seed: int

    def _fit(
        self, sequences: Any, targets: Tensor, outputs: int, losses: _Losses, strata: Any, weights: Any, valid: Any
    ) -> None:
        codes = encode(sequences)
        if len(codes) != len(targets):
            raise DataError(f"{len(codes):,} sequences and {len(targets):,} labels were given; give one each")
        shares = torch.ones(len(codes)) if weights is None else torch.tensor(np.asarray(weights, np.float32))
        learn, judge = self._parts(len(codes), strata, valid)
        alike = np.unique(codes.lengths)
        length = int(alike[0]) if alike.size == 1 and alike[0] <= _LONGEST_FLAT else None
        # What torch draws is drawn from the seed, and what others draw after it is as if nothing had been.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network_ = Cnn(outputs, length)
            self.n_features_in_ = 1
            self._train(codes, targets, losses, shares, learn, judge)
        self.network_.eval()

    def _parts(self, count: int, strata: Any, valid: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the rows that learn and those that say when to stop."""
        rows = np.arange(count)
        if valid is not None:
            chosen = np.asarray(valid, np.bool_)
            if chosen.all() or not chosen.any():
                raise DataError("valid names all sequences or none; some must learn, and some say when to stop")
            return rows[~chosen], rows[chosen]
        if strata is not None and np.unique(strata, return_counts=True)[1].min() < 2:
            strata = None
        if strata is not None and max(1, round(self.valid_share * count)) < np.unique(strata).size:
            strata = None
        learn, judge = train_test_split(rows, test_size=self.valid_share, random_state=self.seed, stratify=strata)
        return learn, judge

    def _train(self, codes: Codes, targets: Tensor, losses: _Losses, shares: Tensor, learn: Any, judge: Any) -> None:
        network = self.network_
        optimizer = torch.optim.AdamW(network.parameters(), lr=self.learning_rate, weight_decay=1e-2)
        best, best_state, waited = float("inf"), network.state_dict(), 0
        self.epochs_ = 0
        while self.epochs_ < self.epochs and waited < self.patience:
            self.epochs_ += 1
            network.train()
            order = learn[torch.randperm(len(learn)).numpy()]
            for rows in np.array_split(order, max(1, len(order) // self.batch_size)):
                each = losses(network(*_batch(codes, rows)), targets[rows])
                loss = (each * shares[rows]).sum() / shares[rows].sum().clamp(min=1e-6)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            network.eval()
            each = losses(self._passes(codes, judge), targets[judge])
            cost = float((each * shares[judge]).sum())
            if cost < best:
                best, waited = cost, 0
                best_state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            else:
                waited += 1
        network.load_state_dict(best_state)

    @torch.no_grad()
    def _passes(self, codes: Codes, rows: npt.NDArray[Any]) -> Tensor:
        parts = [rows[start : start + _SCORED_TOGETHER] for start in range(0, len(rows), _SCORED_TOGETHER)]
        return torch.cat([self.network_(*_batch(codes, part)) for part in parts])

    def _run(self, sequences: Any) -> Tensor:
        check_is_fitted(self, "network_")
        codes = encode(sequences)
        wanted = self.network_.length
        if wanted is not None and (codes.lengths != wanted).any():
            odd = int(codes.lengths[codes.lengths != wanted][0])
            raise DataError(f"a sequence has {odd:,} bases, and the network was fitted on {wanted:,} each")
        return self._passes(codes, np.arange(len(codes)))


class CnnClassifier(OfClasses, _CnnEstimator):
    """The network as a classifier; with labels (sequences, classes) of 0 and 1, each class is told by itself.

    The same data, seed and number of threads give the same weights, bit for bit, on a CPU.

    Parameters
    ----------
    epochs : int
        Most passes over the training part.
    batch_size : int
    learning_rate : float
        Of AdamW.
    patience : int
        Passes without a better validation after which training stops; the best weights are kept.
    valid_share : float
        Share of what `fit` is given that says when to stop, where `valid` does not name it.
    seed : int
        Of the weights, of the order, and of that part.

    Attributes
    ----------
    network_ : Cnn
    epochs_ : int
        Passes that were made.
    classes_ : (classes,)
    """

    def __init__(
        self,
        epochs: int = 60,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        patience: int = 8,
        valid_share: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.valid_share = valid_share
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None, valid: Any = None) -> Self:
        """Train.

        Parameters
        ----------
        X : list, tuple, array or Series of str
        y : (sequences,) or (sequences, classes) of 0 and 1
        sample_weight : (sequences,), optional
        valid : (sequences,), bool, optional
            Those that say when to stop, and do not learn.
        """
        labels = self._take_classes(y)
        targets = torch.tensor(labels, dtype=torch.float32 if self._several else torch.int64)
        losses, strata = (_losses_of_several, None) if self._several else (_losses_of_one, labels)
        self._fit(X, targets, len(self.classes_), losses, strata, sample_weight, valid)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return probabilities, (sequences, classes), in the order of `classes_`."""
        outputs = self._run(X).double()
        probabilities = outputs.sigmoid() if self._several else outputs.softmax(1)
        return probabilities.numpy()


class CnnRegressor(RegressorMixin, _CnnEstimator):  # type: ignore[misc]
    """The network as a regressor; parameters as `CnnClassifier`'s."""

    def __init__(
        self,
        epochs: int = 60,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        patience: int = 8,
        valid_share: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.valid_share = valid_share
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None, valid: Any = None) -> Self:
        """Train; parameters as of `CnnClassifier.fit`, with numbers for labels."""
        values = np.asarray(y, np.float64)
        self.mean_, self.scale_ = float(values.mean()), float(values.std()) or 1.0
        targets = torch.tensor((values - self.mean_) / self.scale_, dtype=torch.float32)
        self._fit(X, targets, 1, _losses_of_numbers, None, sample_weight, valid)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return a number for each sequence."""
        predicted: npt.NDArray[np.float64] = self._run(X)[:, 0].double().numpy() * self.scale_ + self.mean_
        return predicted


def _losses_of_one(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="none")


def _losses_of_several(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(1)


def _losses_of_numbers(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs[:, 0] - targets).square()


def _batch(codes: Codes, rows: npt.NDArray[Any]) -> tuple[Tensor, Tensor]:
    """Return codes padded with N to the longest of some sequences, and to 8, (batch, longest); and the lengths."""
    lengths = codes.lengths[rows]
    longest = max(_SHORTEST, int(lengths.max()))
    columns = np.arange(longest)
    places = np.minimum(codes.borders[rows][:, None] + columns, codes.bases.size - 1)
    padded = np.where(columns < lengths[:, None], codes.bases[places], OTHER)
    return torch.from_numpy(padded.astype(np.int64)), torch.from_numpy(lengths)
