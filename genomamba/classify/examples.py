"""What a network learns from: labelled sequences as packed batches, in an order that a seed gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genomamba.classify.labelled import Labelled
from genomamba.classify.labels import Labels
from genomamba.classify.sequences import SequenceList
from genomamba.data.draws import derive_key, mix, permute

__all__ = ["PASS_BASES", "ClassWeight", "Examples", "Order", "passes_of"]

ClassWeight = Literal["none", "balanced"]

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PASS_BASES: Final = 1 << 16
"""Bases of a pass of the network."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which sequence sample i is, and on which strand it is read: pure functions of (seed, i).

    Every `count` samples visit each sequence once, in an order of their own.

    Attributes
    ----------
    count : int
        Sequences to draw from.
    seed : int
    """

    count: int
    seed: int

    def places(self, first: int, last: int) -> Int64Array:
        """Return the places, 0 to count - 1, of samples [first, last)."""
        keys: dict[int, int] = {}
        places = np.empty(last - first, np.int64)
        for sample in range(first, last):
            epoch, position = divmod(sample, self.count)
            if epoch not in keys:
                keys[epoch] = derive_key(self.seed, f"order of epoch {epoch}")
            places[sample - first] = permute(position, self.count, keys[epoch])
        return places

    def flips(self, first: int, last: int) -> BoolArray:
        """Return which of samples [first, last) are read along the other strand: half of them."""
        key = derive_key(self.seed, "strand")
        return np.array([mix(key ^ sample) & 1 for sample in range(first, last)], np.bool_)


class Examples:
    """Labelled sequences, with what each counts in training.

    Parameters
    ----------
    sequences : SequenceList
        In the model's alphabet.
    labels : Labels
    weights : (sequences,), float, optional
    """

    def __init__(
        self, sequences: SequenceList, labels: Labels, weights: npt.NDArray[np.floating] | None = None
    ) -> None:
        self.sequences, self.labels = sequences, labels
        self.weights = np.ones(len(sequences), np.float32) if weights is None else weights.astype(np.float32)

    @classmethod
    def of(cls, data: Labelled) -> Examples:
        """Take labelled data, which has labels."""
        assert data.labels is not None
        return cls(data.sequences, data.labels, data.weights)

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def is_per_base(self) -> bool:
        """Whether each base has a label of its own."""
        return self.labels.kind == "per-base"

    def tokens(self, rows: Int64Array) -> tuple[Tensor, Tensor]:
        """Return the tokens of some sequences, packed, (total,) int64, and their lengths, (rows,) int64."""
        chosen = self.sequences.symbols[self.bases(rows)]
        ids = torch.from_numpy(self.sequences.alphabet.token_of_symbol[chosen])
        return ids, torch.from_numpy(self.sequences.lengths[rows])

    def bases(self, rows: Int64Array) -> Int64Array:
        """Return where the bases of some sequences lie among those of all, (total,)."""
        borders = self.sequences.borders
        if not rows.size:
            return np.zeros(0, np.int64)
        return np.concatenate([np.arange(borders[row], borders[row + 1]) for row in rows])

    def targets(self, rows: Int64Array) -> npt.NDArray[np.generic]:
        """Return the labels of some sequences: one each, or one a base."""
        values: npt.NDArray[np.generic] = self.labels.values[self.bases(rows) if self.is_per_base else rows]
        return values

    def counts(self, rows: Int64Array) -> npt.NDArray[np.float32]:
        """Return what each label of some sequences counts."""
        weights = self.weights[rows]
        return weights.repeat(self.sequences.lengths[rows]) if self.is_per_base else weights

    def class_weights(self, rows: Int64Array, rule: ClassWeight) -> Tensor | None:
        """Return the weight of each class, (classes,), float32, as it must be for all to count alike.

        One class a sequence, or a base: labels / (classes * labels of the class). Several: what a 1 counts beside a 0,
        zeros / ones. Sequences count by their weights.
        """
        labels = self.labels
        if rule == "none" or labels.kind == "regression":
            return None
        targets, counts = self.targets(rows), self.counts(rows).astype(np.float64)
        if labels.kind == "multi":
            ones = counts @ targets.astype(np.float64)
            return torch.tensor((counts.sum() - ones) / np.maximum(ones, 1e-9), dtype=torch.float32)
        present = np.bincount(targets.astype(np.int64), counts, minlength=len(labels.classes))
        return torch.tensor(counts.sum() / (len(present) * np.maximum(present, 1e-9)), dtype=torch.float32)


def passes_of(lengths: Int64Array, *, strands: int = 1, bases: int = PASS_BASES) -> Iterator[slice]:
    """Cut sequences that follow each other so that a pass of the network holds so many bases, or one sequence."""
    start = taken = 0
    for place, length in enumerate((strands * lengths).tolist()):
        if place > start and taken + length > bases:
            yield slice(start, place)
            start, taken = place, 0
        taken += length
    if start < len(lengths):
        yield slice(start, len(lengths))
