"""In-silico mutagenesis as a table: `genomamba ism` for those who are in Python already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genomamba.api.model import Model
from genomamba.api.variants import VariantScorer
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.score.config import Strands
from genomamba.score.progress import Progress
from genomamba.score.variants.mutations import mutations_of, scored_mutations

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["mutagenesis"]


def mutagenesis(
    model: Model | str | Path,
    fasta: str | Path | Sequence[str | Path] | Genome,
    region: str | Interval,
    *,
    deletions: int | Sequence[int] | None = None,
    scores: str | Sequence[str] | None = None,
    context: int | Literal["contig"] | None = None,
    horizon: int = 2_048,
    flank: int = 32,
    strand: Strands = "both",
    batch_size: int | None = None,
    chrom_map: str | Path | None = None,
    cache_dir: str | Path | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Score every substitution of a base in a region, and every deletion of given lengths.

    Parameters
    ----------
    model, fasta, scores, context, horizon, flank, strand, batch_size, chrom_map, cache_dir
        See `VariantScorer`.
    region : str or Interval
        `"chr1:1,001-1,200"` (1-based, inclusive), or an `Interval` (0-based, half-open); up to 250,000 bases.
    deletions : int or sequence of int, optional
        Bases that are deleted at once; 0 for no deletions. Default: 1, or 0 where no score that is asked for is defined
        for them, as of `wt_marginal` and `masked_marginal`.
    progress : bool
        Show how far it is.

    Returns
    -------
    DataFrame
        A row a variant, in the order of a VCF. Of dtype string: chrom, ref, alt (upper case, with an anchor base in
        deletions, as in VCF), kind (snv, deletion) and status; int64: pos, and site, the first base that is changed or
        deleted (both 1-based); float64: the numbers of `VariantScorer.columns`, as it gives them. Bases other than A,
        C, G and T have no rows, nor has a deletion that holds one.

    Raises
    ------
    DataError
        Where a file is missing or malformed, or the genome does not have the region.
    ConfigError
        For a score that the model does not have, a region that is too long, and a number that is out of its range.
    RunError
        Where the model's numbers are not finite.
    """
    asked = VariantScorer(
        model, fasta, scores=scores, context=context, horizon=horizon, flank=flank, strand=strand,
        batch_size=batch_size, chrom_map=chrom_map, cache_dir=cache_dir,
    )  # fmt: skip
    lengths = () if deletions is None else (deletions,) if isinstance(deletions, int) else tuple(deletions) or (0,)
    mutations = mutations_of(region, asked.genome, lengths, asked._scorer)
    if not progress:
        return scored_mutations(asked._scorer, mutations)
    with Progress("scoring", "variants", len(mutations)) as bar:
        return scored_mutations(asked._scorer, mutations, bar.add)
