"""Interpolated Markov models fitted on the same training bases, to stand beside the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.baselines.markov import InterpolatedMarkov, largest_order
from genomamba.coordinates import Interval
from genomamba.data.classes import RegionClasses
from genomamba.data.genome import Genome
from genomamba.data.windows import Split

__all__ = ["MAX_BASES", "Codes", "markov_table", "within"]

BACKOFF_WEIGHTS: Final = (16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
MAX_BASES: Final = 100_000_000
JUDGED_BASES: Final = 1_000_000


def markov_table(
    genome: Genome,
    split: Split,
    *,
    classes: RegionClasses | None = None,
    before_stretch: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Fit Markov models of every order on the training part and score the held-out parts.

    At most 100 million training bases are counted, in whole stretches from the first on. The weight with which each
    order backs off to the one below is that of the fewest bits on the first million bases that validate, the order
    that of the fewest on all of them; where none validate, the weight is 16 and the order is judged on the test part.
    `before_stretch` is called before each stretch is read, and may raise to stop.

    Returns
    -------
    dict
        `best_order`, `weight`, `fitted_on_bases`, and `orders`: a list of `order`, `valid`, `test` in bits per base,
        all with that weight. `by_class`, where classes of bases are given: of each part, bits per base of the best
        order by class.
    """
    codes = Codes(genome, before_stretch)
    fitted = within(split.train, MAX_BASES)
    # A context longer than this is met less than once on average, and its order adds nothing but memory.
    useful = math.ceil(math.log(max(sum(map(len, fitted)), 2), codes.num_symbols))
    model = InterpolatedMarkov(codes.num_symbols, min(useful, largest_order(codes.num_symbols)), BACKOFF_WEIGHTS[0])
    model.fit(codes(fitted), codes.complement)
    parts = {"valid": split.valid, "test": split.test}
    parts = {name: part for name, part in parts.items() if any((one >= 0).any() for one in codes(part))}
    if "valid" in parts:
        model.weight = _best_weight(model, codes, within(split.valid, JUDGED_BASES))
    bits = {name: model.bits(codes(part)).tolist() for name, part in parts.items()}
    judged = bits.get("valid") or bits.get("test") or [0.0]
    orders = [{"order": k, **{name: bits[name][k] for name in bits}} for k in range(model.max_order + 1)]
    best = int(np.argmin(judged))
    table = {"best_order": best, "weight": model.weight, "fitted_on_bases": model.bases, "orders": orders}
    if classes is not None:
        table["by_class"] = {name: _by_class(model, codes, part, classes, best) for name, part in parts.items()}
    return table


def _by_class(
    model: InterpolatedMarkov, codes: Codes, part: Sequence[Interval], classes: RegionClasses, order: int
) -> dict[str, float]:
    known = [interval for interval in part if interval.contig in classes.runs]
    groups = (found for interval in known if (found := classes.of(interval)) is not None)
    sums, bases = model.bits_by_group(codes(known), groups, order=order, num_groups=len(classes.names))
    named = zip(classes.names, sums.tolist(), bases.tolist(), strict=True)
    return {name: bits / count for name, bits, count in named if count}


def _best_weight(model: InterpolatedMarkov, codes: Codes, judged: Sequence[Interval]) -> float:
    if not any((one >= 0).any() for one in codes(judged)):
        return model.weight
    fewest = {}
    for model.weight in BACKOFF_WEIGHTS:
        fewest[model.weight] = model.bits(codes(judged)).min()
    return min(fewest, key=lambda weight: fewest[weight])


class Codes:
    """Reads stretches as 0 to num_symbols - 1, and -1 where a base is no target.

    Attributes
    ----------
    num_symbols : int
        Bases that may be predicted.
    of_symbol : (256,), int16
        Code of each symbol of the alphabet.
    complement : (num_symbols,), int64, or None
        Code of the complement of each; None where it has no meaning.
    """

    def __init__(self, genome: Genome, before_stretch: Callable[[], None] = lambda: None) -> None:
        alphabet, self._genome, self._before_stretch = genome.alphabet, genome, before_stretch
        targets = alphabet.targets
        self.num_symbols = targets.size
        code_of_token = np.full(alphabet.vocab_size, -1, np.int16)
        code_of_token[targets] = np.arange(targets.size)
        self.of_symbol = code_of_token[alphabet.token_of_symbol % alphabet.vocab_size]
        self.complement: npt.NDArray[np.int64] | None = None
        if alphabet.complement_of_token is not None:
            self.complement = code_of_token[alphabet.complement_of_token[targets]].astype(np.int64)

    def __call__(self, intervals: Sequence[Interval]) -> Iterator[npt.NDArray[np.int16]]:
        for interval in intervals:
            self._before_stretch()
            yield self.of_symbol[self._genome.fetch(interval.contig, interval.start, interval.end)]


def within(intervals: Sequence[Interval], bases: int) -> list[Interval]:
    """Return the first stretches, the last of them cut, that make up so many bases at most."""
    taken, left = [], bases
    for interval in intervals:
        if left <= 0:
            break
        taken.append(Interval(interval.contig, interval.start, min(interval.end, interval.start + left)))
        left -= len(taken[-1])
    return taken
