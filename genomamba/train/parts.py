"""Held-out figures by parts of what was scored: genomes of a mixture, classes of bases, and both at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from genomamba.metrics import bits_per_base, perplexity, resampled_means
from genomamba.train.evaluate import Scored, by_genome, total

__all__ = ["figures_of", "parts_in_words", "parts_of"]

FEWEST_BLOCKS: Final = 10
"""Of which an interval is told."""


def parts_of(scored: Mapping[str, Scored], *, is_mixture: bool) -> Iterator[tuple[str, str, Scored]]:
    """Give genome, class and sums of each part that has a scored base.

    An empty genome stands for all of them, an empty class for all bases; the whole is not given. Bases of genomes whose
    classes are not known are in no class.

    Parameters
    ----------
    scored : mapping
        By contig; those of a mixture are named GENOME/CONTIG.
    is_mixture : bool
        Whether there are several genomes.
    """
    wholes = {"": total(scored)} | (by_genome(scored) if is_mixture else {})
    for genome, whole in wholes.items():
        if genome:
            yield genome, "", whole
        for name, one in whole.by_class.items():
            if one.bases:
                yield genome, name, one


def parts_in_words(scored: Mapping[str, Scored], *, is_mixture: bool) -> str:
    """Return the bits per base of each genome, and of each class, in brackets; nothing where there is but the whole."""
    kinds: tuple[list[str], list[str]] = [], []
    for genome, name, one in parts_of(scored, is_mixture=is_mixture):
        if not (genome and name):
            kinds[not genome].append(f"{genome or name} {bits_per_base(one.nats, one.bases):.4f}")
    told = "; ".join(", ".join(kind) for kind in kinds if kind)
    return f" ({told})" if told else ""


def figures_of(scored: Mapping[str, Scored], *, is_mixture: bool) -> dict[str, Any]:
    """Return the figures of the whole, of each contig, and of the parts that there are, for evaluation.json."""
    figures = _figures(total(scored))
    figures["by_contig"] = {contig: _of(one) for contig, one in scored.items() if one.bases}
    if is_mixture:
        figures["by_genome"] = {genome: _figures(one) for genome, one in by_genome(scored).items()}
    return figures


def _figures(scored: Scored) -> dict[str, Any]:
    by_class = {name: _of(one) | _interval(one) for name, one in scored.by_class.items() if one.bases}
    return _of(scored) | _interval(scored) | ({"by_class": by_class} if by_class else {})


def _of(scored: Scored) -> dict[str, Any]:
    return {
        "bases": scored.bases,
        "bits_per_base": bits_per_base(scored.nats, scored.bases),
        "perplexity": perplexity(scored.nats, scored.bases),
    }


def _interval(scored: Scored) -> dict[str, float | None]:
    """Return the 95 % interval of the bits per base, from drawing the blocks anew; None where they are few."""
    sums = [of_block for _, of_block in sorted(scored.by_block.items()) if of_block[1]]
    if len(sums) < FEWEST_BLOCKS:
        return {"low": None, "high": None}
    nats, bases = (np.array(column) for column in zip(*sums, strict=True))
    bits = resampled_means(nats[None], bases) / math.log(2)
    low, high = np.quantile(bits, (0.025, 0.975)).tolist()
    return {"low": low, "high": high}
