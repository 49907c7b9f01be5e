"""Log-likelihood of every base under a causal model: long stretches as streams, short ones packed together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from torch import Tensor

from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, RunError
from genomamba.model import LanguageModel
from genomamba.model.streaming import stream
from genomamba.model.together import run_together
from genomamba.score.reading import Reading, Window, packs, windows

__all__ = ["Scores", "check_causal", "check_predicts", "default_chunk", "log_likelihoods"]

_NUMBERS_A_TENSOR = 1 << 19


def default_chunk(config: ModelConfig) -> int:
    """Return the bases of a forward pass whose largest tensors take 2 MiB: larger ones are no faster on a CPU."""
    return min(16_384, max(512, _NUMBERS_A_TENSOR // config.d_inner))


@dataclass(frozen=True, slots=True)
class Scores:
    """Log-likelihoods of bases next to each other, left to right.

    Attributes
    ----------
    reading : Reading
        What was read.
    start : int
        Position of the first base on its contig, 0-based.
    bits : (bases,), float32
        log2 of the probability of each base given all that was read before it; NaN for a base that is not scored.
    """

    reading: Reading
    start: int
    bits: npt.NDArray[np.float32]


def check_predicts(model: LanguageModel, name: str) -> None:
    """Raise `ConfigError` for a network that was trained on to tell labels."""
    if not model.predicts_bases:
        raise ConfigError(
            f"{name}: was trained to tell labels, and predicts no bases any more; give the model that it was made from"
        )


def check_causal(model: LanguageModel, name: str) -> None:
    """Raise `ConfigError` for a model that sees both sides of a base, or predicts none."""
    check_predicts(model, name)
    if model.config.direction != "causal" or model.config.equivariant:
        raise ConfigError(
            f"{name}: a masked model, which predicts a base from both its sides: such predictions do not multiply to"
            " the probability of a sequence; likelihood needs a causal one, as pretrain --objective next_token makes it"
        )


def log_likelihoods(
    model: LanguageModel, readings: Iterable[Reading], *, context: int | None = None, chunk: int | None = None
) -> Iterator[Scores]:
    """Score the bases of stretches; memory does not grow with their lengths.

    Each reading is a sequence of its own behind [BOS], whatever stands before it in the batch. Probabilities are over
    the whole vocabulary of the model.

    Parameters
    ----------
    model : LanguageModel
        Causal, in evaluation mode.
    readings : iterable of Reading
        What to score, taken one by one.
    context : int, optional
        See `genomamba.score.reading.windows`.
    chunk : int, optional
        Bases of a forward pass. Default: `default_chunk`.

    Yields
    ------
    Scores
        Reading after reading, along its strand; each scored base of each reading once.

    Raises
    ------
    ConfigError
        For a model that is not causal.
    RunError
        Where the model's numbers are not finite.
    """
    chunk = chunk or default_chunk(model.config)
    for pack in packs(itertools.chain.from_iterable(map(partial(windows, context=context), readings)), chunk):
        yield from _score_alone(model, pack[0], chunk) if len(pack) == 1 else _score_together(model, pack)


def _score_alone(model: LanguageModel, window: Window, chunk: int) -> Iterator[Scores]:
    starts = range(window.start, window.end, chunk)
    pieces = (window.reading.tokens(start, min(start + chunk, window.end)) for start in starts)
    given, kept = itertools.tee(pieces)
    values = stream(model, given, output="log_likelihood", chunk=chunk)
    for start, tokens, nats in zip(starts, kept, values, strict=True):
        if start + tokens.shape[1] > window.scored:
            yield _scores(window, start, tokens[0], nats[0])


def _score_together(model: LanguageModel, pack: Sequence[Window]) -> Iterator[Scores]:
    sequences = [window.reading.tokens(window.start, window.end)[0] for window in pack]
    nats = run_together(model, sequences, "log_likelihood")
    for window, tokens, values in zip(pack, sequences, nats, strict=True):
        yield _scores(window, window.start, tokens, values)


def _scores(window: Window, start: int, tokens: Tensor, nats: Tensor) -> Scores:
    """Turn the numbers of tokens from offset `start` on into bits on the contig; those before `window.scored` drop."""
    reading = window.reading
    unscored = max(0, window.scored - start)
    values = nats[unscored:].cpu().numpy().astype(np.float64)
    is_target = reading.genome.alphabet.is_target_token[tokens[unscored:].numpy()]
    if not np.isfinite(values[is_target]).all():
        raise RunError(f"{reading.interval}: the model's log-likelihoods are not finite; are its weights whole?")
    place, bits = reading.place(start + unscored, (values / math.log(2)).astype(np.float32))
    return Scores(reading, place, bits)
