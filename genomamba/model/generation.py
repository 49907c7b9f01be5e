"""Sequences that a causal model draws, token by token; what a token costs does not depend on how many came before it.

Numbers are in float64 whatever the weights are. A draw compares a random number with a sum of probabilities: float32,
whose last digits depend on the size of the batch, would sooner or later draw another base in another batch.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.errors import ConfigError, RunError
from genomamba.model.language_model import LanguageModel
from genomamba.model.state import MambaState
from genomamba.model.streaming import read

__all__ = ["Generated", "Sampling", "generate"]

# Random numbers are drawn so many tokens ahead.
_AHEAD = 1_024


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How a token is drawn from the probabilities of the bases, in this order.

    Attributes
    ----------
    temperature : float
        Log-probabilities are divided by it: below 1 likely bases become likelier. 0 takes the likeliest.
    top_k : int, optional
        Draw from the k likeliest alone.
    top_p : float, optional
        Draw from the fewest likeliest whose probabilities add up to this share, 0 to 1, or more.
    seed : int
        Sequence j of prompt i is a pure function of (model, prompt, seed, i, j).

    Raises
    ------
    ConfigError
        Where a number is out of its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ConfigError(f"is {self.temperature}; it must be 0 or more, such as 1", option="temperature")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"is {self.top_k}; it must be 1 or more", option="top_k")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"is {self.top_p}; it must be above 0 and at most 1", option="top_p")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"is {self.seed}; it must be 0 or more, and below 2^63", option="seed")


@dataclass(frozen=True, slots=True)
class Generated:
    """One sequence that was drawn.

    Attributes
    ----------
    prompt, sample : int
        Number of its prompt, and its own among those of that prompt, from 0.
    tokens : (length,), uint8 or int64
        Ids of the model's alphabet, all of them bases; without the prompt.
    log_likelihood : float
        Of these tokens given the prompt, in nats, under the model itself: over its whole vocabulary at temperature 1.
    """

    prompt: int
    sample: int
    tokens: Tensor
    log_likelihood: float


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a sequence begins: the state and the logits after its prompt."""

    prompt: int
    sample: int
    state: MambaState
    logits: Tensor


def generate(
    model: LanguageModel,
    prompts: Iterable[Iterable[Tensor]],
    length: int,
    *,
    samples: int = 1,
    sampling: Sampling | None = None,
    batch_size: int = 32,
    after_token: Callable[[int], None] | None = None,
) -> Iterator[Generated]:
    """Draw sequences that go on from prompts.

    A prompt is read once, piece by piece, and its state handed to all its samples. A sequence takes the memory of its
    state and a byte a token (8 where the vocabulary passes 256 ids).

    Parameters
    ----------
    model : LanguageModel
        Causal. Of weights that are not float64 a copy is made.
    prompts : iterable of iterable of (1, bases), int64 or uint8
        Each prompt in pieces, left to right, without [BOS]; one without pieces stands for [BOS] alone.
    length : int
        Bases to draw after each prompt.
    samples : int
        Sequences for each prompt.
    sampling : Sampling, optional
        How a base is drawn. Default: from the model's probabilities as they are.
    batch_size : int
        Sequences drawn at once. No sequence depends on it.
    after_token : callable, optional
        Called with the number of sequences after every token of theirs.

    Yields
    ------
    Generated
        Prompt after prompt, sample after sample.

    Raises
    ------
    ConfigError
        For a model that sees both sides, and for a number that is out of its range.
    RunError
        Where the model's numbers are not finite.
    """
    sampling = sampling or Sampling()
    config, alphabet = model.config, get_alphabet(model.config.alphabet)
    for name, value in (("length", length), ("samples", samples), ("batch_size", batch_size)):
        if value < 1:
            raise ConfigError(f"is {value}; it must be 1 or more", option=name)
    if not model.predicts_bases:
        raise ConfigError("the network was trained to tell labels, and predicts no bases; give what it was made from")
    if config.direction != "causal" or config.equivariant:
        raise ConfigError(
            "a masked model fills gaps between bases it is given and has no order in which to write new ones;"
            " generating needs a causal one, as pretrain --objective next_token makes it"
        )
    if sampling.top_k is not None and sampling.top_k > alphabet.targets.size:
        raise ConfigError(f"is {sampling.top_k}; there are {alphabet.targets.size} tokens to draw from", option="top_k")
    exact = (model if model.embedding.weight.dtype == torch.float64 else copy.deepcopy(model).double()).eval()
    return _generate(exact, prompts, length, samples, sampling, batch_size, after_token)


@torch.no_grad()
def _generate(
    model: LanguageModel,
    prompts: Iterable[Iterable[Tensor]],
    length: int,
    samples: int,
    sampling: Sampling,
    batch_size: int,
    after_token: Callable[[int], None] | None,
) -> Iterator[Generated]:
    batch: list[_Start] = []
    for start in _starts(model, prompts, samples):
        batch.append(start)
        if len(batch) == batch_size:
            yield from _draw_batch(model, batch, length, sampling, after_token)
            batch = []
    if batch:
        yield from _draw_batch(model, batch, length, sampling, after_token)


def _starts(model: LanguageModel, prompts: Iterable[Iterable[Tensor]], samples: int) -> Iterator[_Start]:
    alphabet = get_alphabet(model.config.alphabet)
    for number, pieces in enumerate(prompts):
        # What comes before the last piece is of no use once its state is passed on.
        (last,) = deque(read(model, _behind_bos(pieces, alphabet)), maxlen=1)
        hidden, state = last
        logits = model.logits_of(hidden[:, -1])
        for sample in range(samples):
            yield _Start(number, sample, state, logits)


def _behind_bos(pieces: Iterable[Tensor], alphabet: Alphabet) -> Iterator[Tensor]:
    yield torch.tensor([[alphabet.bos]])
    yield from (piece for piece in pieces if piece.shape[1])


def _draw_batch(
    model: LanguageModel,
    starts: Sequence[_Start],
    length: int,
    sampling: Sampling,
    after_token: Callable[[int], None] | None,
) -> Iterator[Generated]:
    """Draw all sequences of a batch, one token each at a time."""
    state = MambaState.stack([start.state for start in starts])
    logits = torch.cat([start.logits for start in starts])
    targets = torch.from_numpy(get_alphabet(model.config.alphabet).targets).to(logits.device)
    randoms = _Randoms(starts, sampling.seed)
    tokens = torch.empty(len(starts), length, dtype=torch.uint8 if targets.max() < 256 else torch.int64)
    total = torch.zeros(len(starts), dtype=torch.float64, device=logits.device)
    for t in range(length):
        logp = logits.log_softmax(-1)
        chosen = targets[_choose(logp[:, targets], randoms.next().to(logits.device), sampling)]
        total += logp.gather(1, chosen[:, None])[:, 0]
        tokens[:, t] = chosen
        if t + 1 < length:
            hidden, state = model.advance(chosen[:, None], state)
            logits = model.logits_of(hidden[:, -1])
        if after_token is not None:
            after_token(len(starts))
    if not total.isfinite().all():
        raise RunError("the model's probabilities are not finite; are its weights whole?")
    for start, row, log_likelihood in zip(starts, tokens, total.tolist(), strict=True):
        yield Generated(start.prompt, start.sample, row, log_likelihood)


def _choose(logp: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
    """Draw a column for each row.

    Parameters
    ----------
    logp : (batch, tokens), float64
        Log-probabilities, of any sum.
    uniform : (batch,), float64
        Random numbers in [0, 1).

    Returns
    -------
    column : (batch,), int64
    """
    if sampling.temperature == 0:
        return logp.argmax(1)
    p = ((logp - logp.amax(1, keepdim=True)) / sampling.temperature).softmax(1)
    if sampling.top_k is not None or sampling.top_p is not None:
        p = _truncate(p, sampling)
    reached = p.cumsum(1)
    # The first whose sum passes the number; one of probability 0 passes none.
    column = (reached <= uniform[:, None] * reached[:, -1:]).sum(1)
    return column.clamp(max=logp.shape[1] - 1)


def _truncate(p: Tensor, sampling: Sampling) -> Tensor:
    """Set to 0 what `top_k` and `top_p` leave out."""
    ranked, order = p.sort(dim=1, descending=True, stable=True)
    if sampling.top_k is not None:
        ranked[:, sampling.top_k :] = 0
    if sampling.top_p is not None:
        before = ranked.cumsum(1) - ranked
        ranked = ranked.masked_fill(before >= sampling.top_p * ranked.sum(1, keepdim=True), 0)
    return torch.zeros_like(p).scatter(1, order, ranked)


class _Randoms:
    """A stream of random numbers for each sequence, of its own whatever the batch."""

    def __init__(self, starts: Sequence[_Start], seed: int) -> None:
        keys = [np.random.SeedSequence(seed, spawn_key=(start.prompt, start.sample)) for start in starts]
        self._generators = [np.random.default_rng(key) for key in keys]
        self._block = torch.empty(len(starts), 0, dtype=torch.float64)
        self._next = 0

    def next(self) -> Tensor:
        """Return the next number in [0, 1) of each sequence: (batch,), float64."""
        if self._next == self._block.shape[1]:
            self._block = torch.from_numpy(np.stack([one.random(_AHEAD) for one in self._generators]))
            self._next = 0
        self._next += 1
        return self._block[:, self._next - 1]
