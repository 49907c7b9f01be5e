"""Scores by a model that sees both sides of a base: what it says at a site, and what an allele changes around it.

A contig is cut into cores of half the context. Every variant of a core is scored in the same window, the core with a
quarter of the context on either side, or what there is: one forward of the reference serves them all. What depends on
one site or one allele alone takes a forward of its own. No number depends on other variants, by a bit: each forward is
of one sequence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor

from genomamba.alphabet import TokenArray
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, RunError
from genomamba.model import LanguageModel
from genomamba.model.streaming import stream
from genomamba.score.likelihood import default_chunk
from genomamba.score.variants.changes import Pair, Predictions
from genomamba.score.variants.haplotype import Edit, StrandOfContig, haplotype

__all__ = ["COLUMNS", "MarginalScore", "MarginalSettings", "Windows", "score_marginal"]

MarginalScore = Literal["wt_marginal", "masked_marginal", "pseudo_llr", "distance", "divergence"]
COLUMNS: Final[dict[MarginalScore, tuple[str, ...]]] = {
    "wt_marginal": ("wt_marginal",),
    "masked_marginal": ("masked_marginal",),
    "pseudo_llr": ("pseudo_llr",),
    "distance": ("l2_site", "cosine_site", "l2_pooled", "cosine_pooled"),
    "divergence": ("js_divergence", "influence", "influence_at"),
}
"""Numbers that each score consists of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MarginalSettings:
    """What is computed, and from how much sequence.

    Attributes
    ----------
    context : int, optional
        Bases that the model sees, 4 or more. None: the contig.
    scores : sequence of str
        Keys of `COLUMNS`.
    flank : int
        Bases on either side of an allele that `pseudo_llr`, pooled distances and `js_divergence` take in.
    """

    context: int | None
    scores: tuple[MarginalScore, ...] = ("wt_marginal",)
    flank: int = 32

    def __post_init__(self) -> None:
        if self.context is not None and self.context < 4:
            raise ConfigError(f"is {self.context}; it must be 4 or more, such as 1024", option="context")
        if unknown := set(self.scores) - set(COLUMNS):
            raise ConfigError(
                f"has {min(unknown)!r}, which is no score; there are {', '.join(COLUMNS)}", option="scores"
            )
        if self.flank < 0:
            raise ConfigError(f"is {self.flank}; it must be 0 or more, such as 32", option="flank")


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the window lies that a position is scored in: cores on an absolute grid, and a margin on either side."""

    context: int | None
    length: int

    def core(self, position: int) -> int:
        """Return the number of the core that a position lies in; the contig's end lies in the last one."""
        if self.context is None:
            return 0
        return min(position, max(self.length - 1, 0)) // (self.context // 2)

    def window(self, core: int) -> tuple[int, int]:
        """Return where the window of a core starts and ends."""
        if self.context is None:
            return 0, self.length
        half = self.context // 2
        margin = (self.context - half) // 2
        return max(0, core * half - margin), min(self.length, (core + 1) * half + margin)


def score_marginal(
    model: LanguageModel, genome: Genome, contig: str, variants: Iterable[Variant], settings: MarginalSettings
) -> Iterator[dict[str, float]]:
    """Score variants of one contig by a bidirectional model, averaged over both strands.

    Parameters
    ----------
    model : LanguageModel
        Bidirectional or equivariant, in evaluation mode.
    genome : Genome
        Where the variants lie, in the model's alphabet.
    contig : str
        Its name in the genome.
    variants : iterable of Variant
        By position. Each lies within the contig, with the genome's bases as `ref`.
    settings : MarginalSettings
        What is computed.

    Yields
    ------
    dict
        For each variant in turn, the `COLUMNS` of the scores asked for. Log-likelihoods in nats, divergences in bits,
        `influence_at` in bases from the variant's start (positions behind it count from the end of its alleles on the
        reference). NaN where a score is not defined: marginals of an insertion or deletion, and where the
        genome has no base (REF being another, as `keep` allows), and of a window that the variant's reference allele
        does not fit in.

    Raises
    ------
    ConfigError
        For a causal model.
    RunError
        Where the model's numbers are not finite.
    """
    if model.config.direction == "causal" and not model.config.equivariant:
        raise ConfigError("marginal scores need a model that sees both sides; a causal one has llr")
    sequence = StrandOfContig(genome, contig, "+")
    windows = Windows(settings.context, len(sequence))
    for core, group in groupby(variants, lambda variant: windows.core(variant.start)):
        start, end = windows.window(core)
        yield from _Core(model, sequence, start, end, settings).scores(group)


class _Core:
    """The variants of one core, in their window."""

    def __init__(
        self, model: LanguageModel, sequence: StrandOfContig, start: int, end: int, settings: MarginalSettings
    ) -> None:
        self._model, self._sequence, self._settings = model, sequence, settings
        self._start, self._end = start, end
        self._tokens = sequence.tokens(start, end)
        self._alphabet = sequence.genome.alphabet
        # The other strand of an equivariant model says the same.
        both = self._alphabet.has_complement and not model.config.equivariant
        self._strands = (False, True) if both else (False,)
        self._reference: list[Predictions] | None = None

    def scores(self, variants: Iterable[Variant]) -> Iterator[dict[str, float]]:
        """Score each of them."""
        masked: dict[tuple[int, ...], list[Predictions]] = {}
        for variant in variants:
            edit = self._sequence.edit(variant)
            found: dict[str, float] = {}
            for score in self._settings.scores:
                if edit.start + edit.removed > self._end:
                    values: Sequence[float] = [np.nan] * len(COLUMNS[score])
                elif score in ("wt_marginal", "masked_marginal"):
                    values = [self._marginal(edit, masked if score == "masked_marginal" else None)]
                else:
                    continue
                found |= zip(COLUMNS[score], values, strict=True)
            yield found | self._changes(edit) if edit.start + edit.removed <= self._end else found

    def _marginal(self, edit: Edit, masked: dict[tuple[int, ...], list[Predictions]] | None) -> float:
        """Sum log p(alt) - log p(ref) over the changed bases of an allele as long as the reference's."""
        if edit.longer:
            return float("nan")
        first = edit.start - self._start
        ref = self._tokens[first : first + edit.removed]
        changed = np.flatnonzero(ref != edit.inserted)
        if not self._alphabet.is_target_token[ref[changed]].all():
            return float("nan")
        at = first + changed
        if masked is None:
            predictions = self._references()
        else:
            key = tuple(at.tolist())
            if key not in masked:
                # Sites come by position: one that is left behind does not come back.
                masked.clear()
                tokens = self._tokens.copy()
                tokens[at] = self._alphabet.mask
                masked[key] = self._predict(tokens)
            predictions = masked[key]
        terms = [(one.logp[at, edit.inserted[changed]] - one.logp[at, ref[changed]]).sum() for one in predictions]
        return float(np.mean(terms))

    def _changes(self, edit: Edit) -> dict[str, float]:
        """Compare what the model says of both haplotypes."""
        asked = [score for score in self._settings.scores if score in ("pseudo_llr", "distance", "divergence")]
        if not asked:
            return {}
        count = len(self._tokens) + edit.longer
        alt_tokens = haplotype(self._sequence, edit, self._start, count)[:count]
        per_strand = []
        for ref, alt in zip(self._references(), self._predict(alt_tokens), strict=True):
            pair = Pair(
                ref, alt, self._tokens, alt_tokens, edit, edit.start - self._start, self._alphabet.is_target_token,
                self._settings.flank,
            )  # fmt: skip
            found: dict[str, float] = {}
            for score in asked:
                found |= zip(COLUMNS[score], getattr(pair, score)(), strict=True)
            per_strand.append(found)
        means = {name: float(np.mean([one[name] for one in per_strand])) for name in per_strand[0]}
        if "divergence" in asked:
            # A place has no mean: that of the strand with the larger influence.
            means["influence_at"] = max(per_strand, key=lambda one: one["influence"])["influence_at"]
        return means

    def _references(self) -> list[Predictions]:
        if self._reference is None:
            self._reference = self._predict(self._tokens)
        return self._reference

    def _predict(self, tokens: TokenArray) -> list[Predictions]:
        return [self._run(tokens, other) for other in self._strands]

    def _run(self, tokens: TokenArray, other: bool) -> Predictions:
        given = self._alphabet.reverse_complement(tokens) if other else tokens
        logits = self._stream(given, "logits").log_softmax(-1)
        hidden = self._stream(given, "hidden") if "distance" in self._settings.scores else None
        if other:
            # The columns of complements change places with the strand.
            columns = torch.from_numpy(np.asarray(self._alphabet.complements(logits.shape[1])))
            logits = logits.flip(0)[:, columns]
            hidden = None if hidden is None else hidden.flip(0)
        return Predictions(logits.numpy(), None if hidden is None else hidden.numpy())

    def _stream(self, tokens: TokenArray, output: Literal["logits", "hidden"]) -> Tensor:
        whole = torch.from_numpy(np.ascontiguousarray(tokens))[None]
        chunk = default_chunk(self._model.config)
        pieces = deque(stream(self._model, whole, output=output, chunk=chunk))
        values = torch.cat([piece[0].double().cpu() for piece in pieces])
        if not values.isfinite().all():
            raise RunError("the model's numbers are not finite; are its weights whole?")
        return values
