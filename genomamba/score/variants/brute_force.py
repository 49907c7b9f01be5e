"""The log-likelihood ratio of one variant by its definition: each haplotype is written out and run by itself.

Nothing is shared here, neither work between alleles nor code with `causal`, whose oracle this is. Slow.
"""

from __future__ import annotations

import numpy as np
import torch

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.model import LanguageModel
from genomamba.model.streaming import stream
from genomamba.score.variants.lanes import Float64Array
from genomamba.score.variants.settings import CausalSettings

__all__ = ["score_haplotypes", "score_variant"]


def score_variant(
    model: LanguageModel, genome: Genome, contig: str, variant: Variant, settings: CausalSettings
) -> tuple[float, float]:
    """Score a variant that lies within its contig.

    Returns
    -------
    llr, llr_length_corrected : float
        In nats, means over the strands.
    """
    length, removed, horizon = genome.length(contig), len(variant.ref), settings.horizon
    scores = []
    for strand in settings.strands:
        start = variant.start if strand == "+" else length - variant.start - removed
        half = length + 1 if settings.context is None else settings.context // 2
        first = max(0, start // half - 1) * half
        last = min(length, start + removed + horizon)
        if strand == "+":
            reference, alt = _text(genome, contig, first, last), variant.alt.upper()
        else:
            reference, alt = _turned(_text(genome, contig, length - last, length - first)), _turned(variant.alt.upper())
        at = start - first
        alternative = reference[:at] + alt + reference[at + removed :]
        longer = len(alt) - removed
        scores.append(score_haplotypes(model, reference, alternative, at=at, longer=longer, horizon=horizon))
    llr, corrected = np.mean(scores, axis=0).tolist()
    return llr, corrected


def score_haplotypes(
    model: LanguageModel, reference: str, alternative: str, *, at: int, longer: int, horizon: int
) -> tuple[float, float]:
    """Compare two haplotypes along one strand.

    Parameters
    ----------
    reference, alternative : str
        From the first base that is read to the contig's end, or farther than is compared.
    at : int
        First base of the variant in both.
    longer : int
        By how many bases the variant makes the alternative longer.
    horizon : int
        Most bases of each, from the variant on, that are compared.

    Returns
    -------
    llr, llr_length_corrected : float
        In nats.
    """
    ref = _terms(model, reference[: at + horizon])[at:]
    alt = _terms(model, alternative[: at + horizon])[at:]
    equal = min(len(ref), len(alt))
    llr = float((alt[:equal] - ref[:equal]).sum())
    if not longer:
        return llr, llr
    # Both end with the same base of the reference, and neither passes the horizon.
    count = min(horizon, horizon - longer, len(ref))
    mean = ref[:count].sum() / count
    return llr, float(alt[: count + longer].sum() - ref[:count].sum() - longer * mean)


def _terms(model: LanguageModel, text: str) -> Float64Array:
    """Return the log-likelihood of each letter given those before it, 0 where it is no base."""
    tokens = torch.from_numpy(get_alphabet(model.config.alphabet).encode(text))[None]
    terms = torch.cat(list(stream(model, tokens, output="log_likelihood")), dim=1)[0]
    numbers: Float64Array = terms.double().cpu().numpy()
    return np.nan_to_num(numbers)


def _text(genome: Genome, contig: str, start: int, end: int) -> str:
    alphabet = genome.alphabet
    return alphabet.decode(alphabet.token_of_symbol[genome.fetch(contig, start, end)]).decode("latin-1")


def _turned(text: str) -> str:
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))
