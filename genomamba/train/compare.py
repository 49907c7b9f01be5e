"""Interpolated Markov models fitted on the same training bases, to stand beside the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.baselines.markov import InterpolatedMarkov, largest_order
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.data.windows import Split

__all__ = ["markov_table"]

BACKOFF_WEIGHT: Final = 16.0
MAX_BASES: Final = 100_000_000


def markov_table(genome: Genome, split: Split) -> dict[str, Any]:
    """Fit Markov models of every order on the training part and score the held-out parts.

    At most 100 million training bases are counted, in whole stretches from the first on; `fitted_on_bases` says
    how many. The best order is that of the fewest bits on the validation part, or on the test part where there is none.

    Returns
    -------
    dict
        `best_order`, `weight`, `fitted_on_bases`, and `orders`: a list of `order`, `valid`, `test` in bits per base.
    """
    alphabet = genome.alphabet
    targets = alphabet.targets
    code_of_token = np.full(alphabet.vocab_size, -1, np.int16)
    code_of_token[targets] = np.arange(targets.size)
    code_of_symbol = code_of_token[alphabet.token_of_symbol % alphabet.vocab_size]
    complement = None
    if alphabet.complement_of_token is not None:
        complement = code_of_token[alphabet.complement_of_token[targets]].astype(np.int64)
    model = InterpolatedMarkov(targets.size, largest_order(targets.size), BACKOFF_WEIGHT)
    fitted = _within(split.train, MAX_BASES)
    model.fit(_codes(genome, fitted, code_of_symbol), complement)
    bits = {
        name: model.bits(_codes(genome, part, code_of_symbol)).tolist()
        for name, part in (("valid", split.valid), ("test", split.test))
        if part
    }
    judged = bits.get("valid") or bits.get("test") or [0.0]
    count = len(next(iter(bits.values()), []))
    orders = [{"order": k, **{name: values[k] for name, values in bits.items()}} for k in range(count)]
    return {
        "best_order": int(np.argmin(judged)),
        "weight": BACKOFF_WEIGHT,
        "fitted_on_bases": sum(map(len, fitted)),
        "orders": orders,
    }


def _codes(
    genome: Genome, intervals: Sequence[Interval], code_of_symbol: npt.NDArray[np.int16]
) -> Iterator[npt.NDArray[np.int16]]:
    for interval in intervals:
        yield code_of_symbol[genome.fetch(interval.contig, interval.start, interval.end)]


def _within(intervals: Sequence[Interval], bases: int) -> list[Interval]:
    taken, left = [], bases
    for interval in intervals:
        if left <= 0:
            break
        taken.append(Interval(interval.contig, interval.start, min(interval.end, interval.start + left)))
        left -= len(taken[-1])
    return taken
