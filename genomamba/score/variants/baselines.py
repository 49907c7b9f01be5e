"""What a score of a model has to beat: a Markov model's ratio for the same alleles, and the same network untrained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from genomamba.baselines.markov import InterpolatedMarkov, largest_order
from genomamba.coordinates import Interval, Variant
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.train.compare import MAX_BASES, Codes, within

__all__ = ["DEFAULT_ORDER", "RANDOM_SEED", "MarkovScorer", "checked_order", "with_random_weights"]

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int16]

DEFAULT_ORDER: Final = 8
RANDOM_SEED: Final = 0


class MarkovScorer:
    """Log-likelihood ratios of an interpolated Markov model that is fitted on both strands of the genome itself.

    The bases whose probability an allele changes are its own and the k behind it, k being the order. Over those, the
    sum of ln P of the alternative haplotype less that of the reference is taken, and for alleles of another length
    corrected by the mean of the reference's bases, as GM_LLR_LC is; the mean of both strands.

    Parameters
    ----------
    genome : Genome
        Its first 100 million bases are counted; the sites to be scored lie among them unless it is larger.
    order : int, optional
        Bases of context; by default 8, or as many as fit.

    Attributes
    ----------
    order, bases : int
        The order, and the bases that were counted.

    Raises
    ------
    ConfigError
        Where the order is below 0, or its table would not fit.
    """

    def __init__(self, genome: Genome, order: int | None = None) -> None:
        self._genome, self._codes = genome, Codes(genome)
        self.order = checked_order(genome, order)
        self._model = InterpolatedMarkov(self._codes.num_symbols, self.order)
        whole = [Interval(contig.name, 0, contig.length) for contig in genome.contigs]
        self._model.fit(self._codes(within(whole, MAX_BASES)), self._codes.complement)
        self.bases = self._model.bases

    def scores(self, alleles: Sequence[tuple[str, Variant]]) -> Float64Array:
        """Score alleles, each with the name of its contig in the genome, that lie on it and are sequences.

        Returns
        -------
        (alleles,), float64
            Nats; below 0 the alternative is the less likely. NaN where no base counts.
        """
        if not alleles:
            return np.empty(0)
        sums, terms = self._sums([window for contig, variant in alleles for window in self._windows(contig, variant)])
        # [alleles, strands, reference and alternative]
        sums, terms = sums.reshape(len(alleles), -1, 2), terms.reshape(len(alleles), -1, 2)
        longer = np.array([len(variant.alt) - len(variant.ref) for _, variant in alleles])[:, None]
        with np.errstate(invalid="ignore"):
            mean = np.where(terms[..., 0] > 0, sums[..., 0] / terms[..., 0], math.nan)
        found: Float64Array = (sums[..., 1] - sums[..., 0] - longer * mean).mean(1)
        return found

    def _windows(self, contig: str, variant: Variant) -> Iterator[tuple[IntArray, int]]:
        """Yield sequences of codes, reference and alternative of each strand, and where their terms begin."""
        order, length = self.order, self._genome.length(contig)
        first, last = max(0, variant.start - order), min(length, variant.end + order)
        of = self._codes.of_symbol
        reference = of[self._genome.fetch(contig, first, last)]
        left, right = reference[: variant.start - first], reference[variant.end - first :]
        alternative = np.concatenate([left, of[self._genome.alphabet.symbols(variant.alt)], right])
        yield reference, left.size
        yield alternative, left.size
        if self._codes.complement is not None:
            # A base that is no target, -1, stays what it is.
            complement = np.append(self._codes.complement, -1).astype(np.int16)
            yield complement[reference[::-1]], right.size
            yield complement[alternative[::-1]], right.size

    def _sums(self, windows: Sequence[tuple[IntArray, int]]) -> tuple[Float64Array, npt.NDArray[np.int64]]:
        """Return the sum of each window's terms, and how many there are."""
        divider = np.full(1, -1, np.int16)
        joined = np.concatenate([part for window, _ in windows for part in (window, divider)])
        terms = self._model.log_likelihoods(joined)
        ends = np.cumsum([window.size + 1 for window, _ in windows]) - 1
        starts = np.array([end - window.size + first for end, (window, first) in zip(ends, windows, strict=True)])
        # Between the end of one and the start of the next lie the divider and the context.
        places = np.stack([starts, ends], axis=1).ravel()
        is_known = ~np.isnan(terms)
        return (
            np.add.reduceat(np.where(is_known, terms, 0.0), places)[::2],
            np.add.reduceat(is_known.astype(np.int64), places)[::2],
        )


def checked_order(genome: Genome, order: int | None) -> int:
    """Return the order of the Markov model of a genome. Raises `ConfigError` where it cannot be."""
    highest = largest_order(genome.alphabet.targets.size)
    if order is None:
        return min(DEFAULT_ORDER, highest)
    if not 0 <= order <= highest:
        raise ConfigError(f"--markov-order is {order}; it must lie between 0 and {highest}")
    return order


def with_random_weights(model: LanguageModel, seed: int = RANDOM_SEED) -> LanguageModel:
    """Return a network of the same shape, device and type whose weights are as before training; torch's generator
    is left as it was.
    """
    parameter = model.embedding.weight
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = LanguageModel(model.config)
    return made.to(device=parameter.device, dtype=parameter.dtype).eval().requires_grad_(False)
