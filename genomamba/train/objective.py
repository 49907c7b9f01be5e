"""What is predicted: the next token, or masked tokens. Nats inside; bits per base only where people read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.data.stream import Sample, sample_generator

__all__ = ["Batch", "Collate", "Masked", "NextToken", "PartOfEach", "make_collate", "token_losses"]

MASKED_SHARE, MASK_SHARE, RANDOM_SHARE = 0.15, 0.8, 0.1


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, ready for the network.

    Attributes
    ----------
    first : int
        Id of the first sample; the others follow on.
    inputs, targets : (batch, length), int64
        Tokens read, and tokens to be predicted at the same positions.
    weights : (batch, length), float32
        Weight of each target in the loss; 0 where nothing is predicted.
    begins : (batch,), bool
        Windows that no state is carried into.
    """

    first: int
    inputs: Tensor
    targets: Tensor
    weights: Tensor
    begins: Tensor

    def to(self, device: torch.device) -> Batch:
        """Move the tensors."""
        moved = (x.to(device, non_blocking=True) for x in (self.inputs, self.targets, self.weights, self.begins))
        return Batch(self.first, *moved)

    def columns(self, part: int, parts: int) -> Batch:
        """Return one of so many equal parts of every window."""
        length = self.inputs.shape[1]
        at = slice(length * part // parts, length * (part + 1) // parts)
        return Batch(self.first, self.inputs[:, at], self.targets[:, at], self.weights[:, at], self.begins)

    def pin_memory(self) -> Batch:
        """Put the tensors where a GPU reads them by itself; a data loader calls this."""
        pinned = (x.pin_memory() for x in (self.inputs, self.targets, self.weights, self.begins))
        return Batch(self.first, *pinned)


class Collate(Protocol):
    """Turns samples into a batch; picklable, and a pure function of the samples."""

    def __call__(self, samples: Sequence[Sample]) -> Batch: ...


@dataclass(frozen=True, slots=True)
class NextToken:
    """Predict each base from those before it.

    Before the first stands [BOS], the token of the species, or, where a state is carried, the base that lies there.
    """

    alphabet: str

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Shift the tokens right by one: position t reads token t - 1 and predicts token t."""
        targets = np.stack([sample.tokens for sample in samples])
        weights = np.stack([sample.weights for sample in samples])
        inputs = shift_right(targets, get_alphabet(self.alphabet))
        for row, sample in enumerate(samples):
            first = sample.species if sample.before is None else sample.before
            if first is not None:
                inputs[row, 0] = first
        return make_batch(samples, inputs, targets, weights)


@dataclass(frozen=True, slots=True)
class Masked:
    """Predict 15 % of the bases: of these 80 % read as [MASK], 10 % as a random base, 10 % as they are.

    The token of the species, where there is one, is read in place of the first base, which is then no target.
    Devlin et al. 2019, "BERT", arXiv:1810.04805, section 3.1. Which positions, is a pure function of (seed, sample id).
    """

    alphabet: str
    seed: int

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Mask each sample by its own generator."""
        alphabet = get_alphabet(self.alphabet)
        targets = np.stack([sample.tokens for sample in samples])
        weights = np.stack([sample.weights for sample in samples])
        inputs = targets.copy()
        for row, sample in enumerate(samples):
            generator = sample_generator(self.seed, sample.index, "mask")
            weights[row] *= mask_tokens(inputs[row], alphabet, generator)
            if sample.species is not None:
                inputs[row, 0], weights[row, 0] = sample.species, 0
        return make_batch(samples, inputs, targets, weights)


@dataclass(frozen=True, slots=True)
class PartOfEach:
    """Make a batch by `collate`, and keep one of so many equal parts of each window."""

    collate: Collate
    part: int
    parts: int

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Make the batch of whole windows first: what stands at a border is predicted from what lies before it."""
        return self.collate(samples).columns(self.part, self.parts)


def make_batch(
    samples: Sequence[Sample],
    inputs: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float32],
) -> Batch:
    """Return what was made of samples, as a batch."""
    begins = torch.tensor([sample.before is None for sample in samples])
    read, predicted, weighed = map(torch.from_numpy, (inputs, targets, weights))
    return Batch(samples[0].index, read, predicted, weighed, begins)


def make_collate(objective: str, alphabet: str, seed: int) -> NextToken | Masked:
    """Return the collate function of the objective named."""
    return NextToken(alphabet) if objective == "next_token" else Masked(alphabet, seed)


def shift_right(tokens: npt.NDArray[np.int64], alphabet: Alphabet) -> npt.NDArray[np.int64]:
    """Put [BOS] before each row of (batch, length) tokens and drop the last column."""
    return np.concatenate([np.full_like(tokens[:, :1], alphabet.bos), tokens[:, :-1]], axis=1)


def mask_tokens(
    tokens: npt.NDArray[np.int64], alphabet: Alphabet, generator: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Mask one row in place and return, (length,) bool, which positions are to be predicted.

    Only bases are chosen, never N or specials; where the row has any base, at least one is.
    """
    bases = np.flatnonzero(alphabet.is_target_token[tokens])
    chosen = np.zeros(tokens.shape, np.bool_)
    if not bases.size:
        return chosen
    positions = generator.choice(bases, max(1, round(MASKED_SHARE * bases.size)), replace=False)
    chosen[positions] = True
    draw = generator.random(positions.size)
    tokens[positions[draw < MASK_SHARE]] = alphabet.mask
    swapped = positions[(draw >= MASK_SHARE) & (draw < MASK_SHARE + RANDOM_SHARE)]
    tokens[swapped] = generator.choice(alphabet.targets, swapped.size)
    return chosen


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of each target, in nats, (batch, length), from logits (batch, length, vocab).

    In float32, or in float64 where the logits are.
    """
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(wide.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
