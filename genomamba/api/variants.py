"""Scores of variants as a table: `genomamba score` for those who are in Python already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genomamba.api.model import Model, from_pretrained
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError
from genomamba.score.config import Strands
from genomamba.score.progress import Progress
from genomamba.score.variants.config import Scoring
from genomamba.score.variants.frame import read_variants, scored_frame
from genomamba.score.variants.placing import read_background
from genomamba.score.variants.scorers import choose_scorer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VariantScorer", "score_variants"]

Row = tuple[str, int, str, str]


class VariantScorer:
    """What a model says of the variants of a genome; one may be asked any number of times.

    Numbers are those of `genomamba score`: of an allele alone, whatever else is asked with it, and equal to its float32
    after rounding. CPU threads are those of `torch.set_num_threads`.

    Parameters
    ----------
    model : Model, str or Path
        As `genomamba.from_pretrained` gives it, or takes it.
    fasta : str, Path, sequence of these, or Genome
        The reference: FASTA files, folders or globs; plain, gzip or BGZF.
    scores : str or sequence of str, optional
        Of a causal model llr; of a masked one wt_marginal, masked_marginal, pseudo_llr, distance, divergence. Default:
        llr, or wt_marginal. docs/reference/variants.md has the formulas.
    context : int or "contig", optional
        Bases that the model sees, or all of the contig. Default: those it was trained with, or 8,192.
    horizon : int
        llr: bases from the variant on that are compared. An allele may have half as many.
    flank : int
        pseudo_llr, distance, divergence: bases on either side of an allele that are taken in.
    strand : {"both", "+", "-"}
        llr: both is the mean over the strands. Other scores take both always.
    ref_mismatch : {"skip", "keep"}
        Of an allele whose REF is not what the FASTA has: give it a status alone, or score it all the same.
    batch_size : int, optional
        llr: sequences that go through the model at once; changes no number.
    calibration : str or Path, optional
        Background that `genomamba calibrate` has fitted, such as the calibration.json beside a model: adds pct and z,
        where the first number stands among those of its mutational class.
    chrom_map : str or Path, optional
        Two-column file: contig as in the variants, name in the FASTA. Like `cache_dir`, not of a Genome, which is open.
    cache_dir : str or Path, optional
        Where caches of FASTA files are kept. Default: the user's cache folder.

    Attributes
    ----------
    columns : tuple of str
        Names of the numbers, such as llr and llr_lc.

    Raises
    ------
    DataError
        Where a file is missing or malformed.
    ConfigError
        For a score that the model does not have, a number that is out of its range, and a genome of another alphabet.
    RunError
        Where the background cannot be read, or is of another model or other settings.
    """

    def __init__(
        self,
        model: Model | str | Path,
        fasta: str | Path | Sequence[str | Path] | Genome,
        *,
        scores: str | Sequence[str] | None = None,
        context: int | Literal["contig"] | None = None,
        horizon: int = 2_048,
        flank: int = 32,
        strand: Strands = "both",
        ref_mismatch: Literal["skip", "keep"] = "skip",
        batch_size: int | None = None,
        calibration: str | Path | None = None,
        chrom_map: str | Path | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        if ref_mismatch not in ("skip", "keep"):
            raise ConfigError(f"is {ref_mismatch!r}; it must be skip or keep", option="ref_mismatch")
        scoring = Scoring(
            scores=(scores,) if isinstance(scores, str) else tuple(scores or ()),
            context=context,
            horizon=horizon,
            flank=flank,
            strand=strand,
            ref_mismatch=ref_mismatch,
            batch_size=batch_size,
        )
        self.model = model if isinstance(model, Model) else from_pretrained(model)
        if isinstance(fasta, Genome):
            self.genome = fasta
            if fasta.alphabet is not self.model.alphabet:
                raise ConfigError(
                    f"the genome was opened with {fasta.alphabet.name}, and the model has {self.model.alphabet.name}"
                )
            for option, value in (("chrom_map", chrom_map), ("cache_dir", cache_dir)):
                if value is not None:
                    raise ConfigError(f"is {value}, and the genome is open; give it to Genome.open", option=option)
        else:
            paths = [fasta] if isinstance(fasta, (str, Path)) else list(fasta)
            self.genome = Genome.open(
                paths, self.model.alphabet, cache_dir=cache_dir, contigs=("*",), chrom_map=chrom_map, progress=False
            )
        trained = self.model.provenance.get("context")
        network = self.model.network.eval()
        self._scorer = choose_scorer(network, self.model.name, self.genome, scoring, trained)
        self._background = None
        if calibration is not None:
            self._background = read_background(Path(calibration), self._scorer, network, self.genome)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers."""
        placed = () if self._background is None else tuple(tag.column for tag in self._background.tags)
        return (*self._scorer.columns, *placed)

    def score(
        self, variants: str | Path | pd.DataFrame | Iterable[Variant | Row], *, progress: bool = False
    ) -> pd.DataFrame:
        """Score variants.

        Parameters
        ----------
        variants : str, Path, DataFrame, or iterable
            Path of a VCF or BCF, whose alleles become a row each; a table with columns chrom, pos (1-based), ref, alt,
            and id where it has one, an allele a row; or of `Variant` (0-based), or of tuples (chrom, pos, ref, alt),
            pos 1-based. All but a file may come in any order.
        progress : bool
            Show how far it is.

        Returns
        -------
        DataFrame
            A row an allele, in the order given, with the index of a table that was given: chrom, id, ref, alt and
            status of dtype string, pos int64 (1-based), and `columns` float64, NaN where there is none. Log-likelihood
            ratios are in nats; docs/reference/variants.md has what each status means.

        Raises
        ------
        DataError
            For a file that cannot be read, and a row that is no variant, with its place.
        RunError
            Where the model's numbers are not finite.
        """
        given = read_variants(variants)
        if not progress:
            return scored_frame(self._scorer, self.genome, given, background=self._background)
        with Progress("scoring", "alleles", len(given.variants)) as bar:
            return scored_frame(self._scorer, self.genome, given, bar.add, self._background)


def score_variants(
    model: Model | str | Path,
    fasta: str | Path | Sequence[str | Path] | Genome,
    variants: str | Path | pd.DataFrame | Iterable[Variant | Row],
    *,
    scores: str | Sequence[str] | None = None,
    context: int | Literal["contig"] | None = None,
    horizon: int = 2_048,
    flank: int = 32,
    strand: Strands = "both",
    ref_mismatch: Literal["skip", "keep"] = "skip",
    batch_size: int | None = None,
    calibration: str | Path | None = None,
    chrom_map: str | Path | None = None,
    cache_dir: str | Path | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Score variants with a model: what `VariantScorer` does, at one call.

    Parameters
    ----------
    model, fasta, scores, context, horizon, flank, strand, ref_mismatch, batch_size, calibration, chrom_map, cache_dir
        See `VariantScorer`.
    variants, progress
        See `VariantScorer.score`.

    Returns
    -------
    DataFrame
        See `VariantScorer.score`.

    Raises
    ------
    DataError, ConfigError, RunError
        As `VariantScorer` and its `score` do.
    """
    scorer = VariantScorer(
        model, fasta, scores=scores, context=context, horizon=horizon, flank=flank, strand=strand,
        ref_mismatch=ref_mismatch, batch_size=batch_size, calibration=calibration, chrom_map=chrom_map,
        cache_dir=cache_dir,
    )  # fmt: skip
    return scorer.score(variants, progress=progress)
