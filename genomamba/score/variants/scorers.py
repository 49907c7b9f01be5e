"""The scores that there are, what a file says of them, and how the variants of a contig come to theirs."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.data.vcf_header import Tag
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.score.reading import Strand
from genomamba.score.variants.causal import CausalSettings, score_causal
from genomamba.score.variants.config import WHOLE_CONTIG, Scoring
from genomamba.score.variants.marginal import COLUMNS, MarginalScore, MarginalSettings, score_marginal
from genomamba.score.variants.status import Status, status_of

__all__ = ["DEFAULT_CONTEXT", "STATUS_TAG", "Scorer", "choose_scorer", "tags_of"]

DEFAULT_CONTEXT: Final = 8_192
"""Bases that a model sees where neither the user nor the checkpoint says how many."""

_LLR: Final = "llr"
_TAGS: Final = {
    "llr": "log P(alternative) - log P(reference) over as many bases of each from the variant on, natural logarithm;"
    " below 0 the model finds the alternative less likely",
    "llr_lc": "As GM_LLR, both ending at the same base of the reference, corrected for the difference in length",
    "wt_marginal": "log p(ALT) - log p(REF) at the changed bases, given the reference, natural logarithm; below 0 the"
    " model finds the alternative less likely; substitutions only",
    "masked_marginal": "As GM_WT_MARGINAL, with the changed bases masked",
    "pseudo_llr": "Pseudo-log-likelihood of the allele and its flanks less that of the reference, natural logarithm,"
    " corrected for the difference in length; below 0 the model finds the alternative less likely",
    "l2_site": "Euclidean distance of the embeddings of both haplotypes at the variant's first base",
    "cosine_site": "1 - cosine of the embeddings of both haplotypes at the variant's first base",
    "l2_pooled": "Euclidean distance of the mean embeddings of allele and flanks",
    "cosine_pooled": "1 - cosine of the mean embeddings of allele and flanks",
    "js_divergence": "Mean Jensen-Shannon divergence of the predictions at the flanks, in bits, 0 to 1",
    "influence": "Largest Jensen-Shannon divergence of the predictions at any base of the window but the variant's,"
    " in bits, 0 to 1",
    "influence_at": "Where that is, in bases of the reference from the variant's first; negative is to its left",
}
STATUS_TAG: Final = Tag(
    id="GM_STATUS",
    number="A",
    type="String",
    description=f"OK where the allele was scored, or why it was not: {', '.join(list(Status)[1:])}",
)


class Scorer:
    """Scores of one kind of model, in the form of a file: a number a column, NaN where there is none.

    Attributes
    ----------
    columns : tuple of str
        Names of the numbers.
    longest : int
        Bases that an allele may have.
    causal : CausalSettings, optional
        Of a causal model.
    settings : dict
        What the numbers depend on, as plain values.
    folded : bool
        Whether a variant and its mirror on the other strand have the same numbers.
    """

    def __init__(self, model: LanguageModel, genome: Genome, scoring: Scoring, context: int | None) -> None:
        self._model, self._genome = model, genome
        self._keep = scoring.ref_mismatch == "keep"
        self._strands: tuple[Strand, ...] = ("+", "-") if scoring.strand == "both" else (scoring.strand,)
        self.folded = len(self._strands) > 1 and genome.alphabet.has_complement
        self.causal: CausalSettings | None = None
        self._marginal: MarginalSettings | None = None
        if _is_causal(model):
            self.causal = CausalSettings(
                # Half of it on either side of a block's border.
                context=context and context + context % 2,
                horizon=scoring.horizon,
                strands=self._strands,
                keep_mismatches=self._keep,
                batch_size=scoring.batch_size,
            )
            self.columns: tuple[str, ...] = ("llr", "llr_lc")
            self.longest = self.causal.longest
            self.settings: dict[str, Any] = {
                "scores": list(self.columns),
                "context": self.causal.context,
                "horizon": scoring.horizon,
                "strand": scoring.strand,
            }
        else:
            scores: tuple[MarginalScore, ...] = scoring.scores or ("wt_marginal",)  # type: ignore[assignment]
            self._marginal = MarginalSettings(context=context, scores=scores, flank=scoring.flank)
            self.columns = tuple(name for score in scores for name in COLUMNS[score])
            self.longest = max(1, (context or 4 * scoring.horizon) // 4)
            self.settings = {"scores": list(self.columns), "context": context, "flank": scoring.flank}

    def status(self, contig: str | None, variant: Variant) -> Status:
        """Tell whether an allele is scored, and if not, why."""
        return status_of(variant, self._genome, contig, self.longest, self._strands)

    def scores(self, contig: str | None, variants: Iterable[Variant]) -> Iterator[tuple[Status, tuple[float, ...]]]:
        """Score variants of one contig in their order; None stands for a contig that the genome does not have."""
        if contig is None:
            for variant in variants:
                yield self.status(None, variant), self._nothing()
        elif self.causal is not None:
            for one in score_causal(self._model, self._genome, contig, variants, self.causal):
                yield one.status, (one.llr, one.llr_length_corrected)
        else:
            yield from self._marginals(contig, variants)

    def _marginals(self, contig: str, variants: Iterable[Variant]) -> Iterator[tuple[Status, tuple[float, ...]]]:
        assert self._marginal is not None
        statuses: deque[Status] = deque()

        def scored() -> Iterator[Variant]:
            for variant in variants:
                statuses.append(self.status(contig, variant))
                if self._is_scored(statuses[-1]):
                    yield variant

        for found in score_marginal(self._model, self._genome, contig, scored(), self._marginal):
            while not self._is_scored(statuses[0]):
                yield statuses.popleft(), self._nothing()
            yield statuses.popleft(), tuple(found[name] for name in self.columns)
        while statuses:
            yield statuses.popleft(), self._nothing()

    def _is_scored(self, status: Status) -> bool:
        return status is Status.OK or (status is Status.REF_MISMATCH and self._keep)

    def _nothing(self) -> tuple[float, ...]:
        return (math.nan,) * len(self.columns)


def choose_scorer(
    model: LanguageModel, name: str, genome: Genome, scoring: Scoring, trained_context: int | None
) -> Scorer:
    """Return what scores by a model.

    Raises
    ------
    ConfigError
        For a score that the model does not have, and for a strand or a context that cannot be.
    """
    causal = _is_causal(model)
    known = (_LLR,) if causal else tuple(COLUMNS)
    for score in scoring.scores:
        if score not in known:
            kind = "causal" if causal else "masked"
            raise ConfigError(f"has {score!r}; {name} is a {kind} model, which has {', '.join(known)}", option="scores")
    if not causal and scoring.strand != "both":
        raise ConfigError(
            f"is {scoring.strand}; scores of a masked model take both strands: leave it out", option="strand"
        )
    if causal and scoring.strand != "+" and not genome.alphabet.has_complement:
        raise ConfigError(
            f"is {scoring.strand}; the {genome.alphabet.name} alphabet has one strand alone, +", option="strand"
        )
    if scoring.context == WHOLE_CONTIG:
        context = None
    else:
        context = int(scoring.context) if scoring.context is not None else trained_context or DEFAULT_CONTEXT
    return Scorer(model, genome, scoring, context)


def tags_of(scorer: Scorer, others: Sequence[Tag] = ()) -> list[Tag]:
    """Return the tags of a scorer's columns, behind them others, and then that of the status."""
    return [
        *(Tag(id=f"GM_{name.upper()}", number="A", type="Float", description=_TAGS[name]) for name in scorer.columns),
        *others,
        STATUS_TAG,
    ]


def _is_causal(model: LanguageModel) -> bool:
    return model.config.direction == "causal" and not model.config.equivariant
