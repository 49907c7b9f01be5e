"""How long the mutations of a region take: a few are timed, and the rest follows from the sequence that each takes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from itertools import islice
from typing import Final

from genomamba.coordinates import Variant
from genomamba.model import LanguageModel
from genomamba.score.variants.config import Scoring
from genomamba.score.variants.grid import PIECE
from genomamba.score.variants.mutations import Mutations
from genomamba.score.variants.scorers import Scorer, choose_scorer

__all__ = ["seconds_for"]

_WARM_UP: Final = 2
_TIMED: Final = 64
_HORIZON: Final = 4 * PIECE
_CONTEXT: Final = 2 * PIECE
_PER_ALLELE: Final = frozenset({"pseudo_llr", "distance", "divergence"})


def seconds_for(
    model: LanguageModel, name: str, mutations: Mutations, scoring: Scoring, trained_context: int | None
) -> float:
    """Return about how many seconds the mutations take, from less than some seconds of trying.

    Parameters
    ----------
    model, name, scoring, trained_context
        As `choose_scorer` takes them.
    mutations : Mutations
        What is to be scored.
    """
    if not len(mutations):
        return 0.0
    whole = choose_scorer(model, name, mutations.genome, scoring, trained_context)
    context = whole.settings["context"] or mutations.genome.length(mutations.region.contig)
    if whole.causal is not None:
        horizon = min(scoring.horizon, _HORIZON)
        small = dataclasses.replace(scoring, horizon=horizon, context=min(context, _CONTEXT))
        count, seconds = _time(choose_scorer(model, name, mutations.genome, small, None), mutations, _TIMED)
        read = count * (PIECE + horizon) + 2 * _CONTEXT + horizon
        asked = len(mutations) * (PIECE + scoring.horizon) + context + len(mutations.region) + scoring.horizon
        return seconds * asked / read
    # A forward of a window: one for all substitutions of half a context, for a site, or for an allele.
    small = dataclasses.replace(scoring, scores=("wt_marginal",))
    _, seconds = _time(choose_scorer(model, name, mutations.genome, small, trained_context), mutations, 1)
    scores = scoring.scores or ("wt_marginal",)
    windows = 1 + 2 * len(mutations.region) // context
    forwards = windows + (mutations.substitutions // 3) * ("masked_marginal" in scores)
    return seconds * (forwards + len(mutations) * bool(_PER_ALLELE.intersection(scores)))


def _time(scorer: Scorer, mutations: Mutations, count: int) -> tuple[int, float]:
    """Return how many mutations were scored, and the seconds that it took once what is compiled was compiled."""
    variants = [variant for _, variant in islice(mutations, count)]
    _score(scorer, mutations.region.contig, variants[:_WARM_UP])
    start = time.perf_counter()
    _score(scorer, mutations.region.contig, variants)
    return len(variants), time.perf_counter() - start


def _score(scorer: Scorer, contig: str, variants: Iterable[Variant]) -> None:
    for _ in scorer.scores(contig, variants):
        pass
