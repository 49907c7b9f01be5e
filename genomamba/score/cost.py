"""What reading a sequence costs on this machine: timed where there is time, and said to be extrapolated where not."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from genomamba.alphabet import get_alphabet
from genomamba.model import LanguageModel
from genomamba.model.process import peak_memory_mib, synchronize
from genomamba.model.streaming import bytes_per_base, stream
from genomamba.score.likelihood import default_chunk

__all__ = ["PROBES", "Cost", "measure_costs"]

PROBES: Final = (1_024, 16_384)
"""Lengths from which others may be extrapolated."""

_WARM_UP: Final = 64
_REPEATS: Final = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """One sequence through a model, without gradient, in pieces, as `likelihood` and `Model.logits` run a long one.

    Attributes
    ----------
    length : int
        In tokens.
    seconds : float
        Until the last logit.
    memory_mib : float
        Largest resident memory of the process, weights and libraries included; on a GPU, largest memory taken there.
    extrapolated_from : int or None
        The length that was timed in its place; None where this one was.
    """

    length: int
    seconds: float
    memory_mib: float
    extrapolated_from: int | None = None

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second."""
        return self.length / self.seconds


def measure_costs(model: LanguageModel, lengths: Iterable[int], *, max_seconds: float) -> list[Cost]:
    """Time sequences of made tokens, shortest first, as far as the time goes.

    Time grows with the length, as the time of the longest one that was timed; memory by `bytes_per_base`.

    Parameters
    ----------
    model : LanguageModel
        In evaluation mode.
    lengths : iterable of int
        In tokens, 1 or more. `PROBES` are timed as well.
    max_seconds : float
        A length that would go beyond it, all taken together, is extrapolated; the first is always timed.

    Returns
    -------
    list of Cost
        By length, each once.
    """
    began = time.perf_counter()
    # What is compiled and allocated at first use is no part of the cost.
    _time(model, _WARM_UP)
    costs: list[Cost] = []
    timed: Cost | None = None
    for length in sorted({*lengths, *PROBES}):
        if timed is not None and timed.seconds * length / timed.length > max_seconds - (time.perf_counter() - began):
            costs.append(_extrapolate(model, timed, length))
            continue
        seconds = _time(model, length)
        # A short one is soon done again, and the first may have met a cold cache.
        repeats = range(_REPEATS if seconds < 0.05 * max_seconds else 0)
        timed = Cost(
            length,
            min([seconds, *(_time(model, length) for _ in repeats)]),
            peak_memory_mib(model.embedding.weight.device),
        )
        costs.append(timed)
    return costs


def _time(model: LanguageModel, length: int) -> float:
    chunk = default_chunk(model.config)
    start = time.perf_counter()
    # Each piece goes when the next one comes.
    deque(stream(model, _made_tokens(model, length, chunk), chunk=chunk), maxlen=0)
    synchronize(model.embedding.weight.device)
    return time.perf_counter() - start


def _made_tokens(model: LanguageModel, length: int, chunk: int) -> Iterator[Tensor]:
    alphabet = get_alphabet(model.config.alphabet)
    known: Sequence[int] = alphabet.targets.tolist() or range(model.config.vocab_size)
    generator = torch.Generator().manual_seed(0)
    ids = torch.tensor(known)
    for start in range(0, length, chunk):
        yield ids[torch.randint(len(known), (1, min(chunk, length - start)), generator=generator)]


def _extrapolate(model: LanguageModel, timed: Cost, length: int) -> Cost:
    more_mib = bytes_per_base(model) * (length - timed.length) / 2**20
    return Cost(length, timed.seconds * length / timed.length, timed.memory_mib + more_mib, timed.length)
