"""Settings of `genomamba ism`, a frozen dataclass that its command line is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from genomamba.errors import ConfigError
from genomamba.score.config import Strands
from genomamba.score.variants.config import Scoring

__all__ = ["NO_PICTURE", "MutagenesisConfig"]

NO_PICTURE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class MutagenesisConfig:
    """Everything that `genomamba ism` can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "revision": "Model", "fasta": "Data", "deletions": "Scoring", "out": "Output", "device": "Machine",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Model
    revision: str | None = None
    """Branch, tag or commit, where MODEL is a name on the hub."""
    alphabet: str | None = None
    """What the model's token ids stand for, where no file beside its weights says so."""

    # Data
    fasta: tuple[str, ...] = field(default=(), metadata={"splits": False})
    """FASTA files, folders or globs; plain, gzip or BGZF. Needed."""
    region: str | None = None
    """Change the bases of this stretch: chr1:1,001-2,000 (1-based, inclusive, as in samtools). Needed."""
    gff: str | None = None
    """Genes to draw: GFF3 or GTF, plain, gzip or BGZF."""
    chrom_map: str | None = None
    """Two-column file: contig as in --region and --gff, name in the FASTA."""
    cache_dir: str | None = None
    """Where caches of FASTA files are kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""

    # Scoring
    deletions: tuple[int, ...] = ()
    """Bases that are deleted at once, such as 1,3; 0 for no deletions.
    Default: 1, or 0 where no score that is asked for has a number for them."""
    scores: tuple[str, ...] = ()
    """llr of a causal model; wt_marginal, masked_marginal, pseudo_llr, distance, divergence of a masked one.
    Default: llr, or wt_marginal."""
    context: str | None = None
    """Bases that the model sees, or contig for all there are. Default: those it was trained with, or 8192."""
    horizon: int = 2_048
    """llr: bases from the change on that are compared."""
    flank: int = 32
    """pseudo_llr, distance, divergence: bases on either side of a change that are taken in."""
    strand: Strands = "both"
    """llr: both is the mean over the strands. Other scores take both always."""
    batch_size: int | None = None
    """llr: sequences that go through the model at once; changes no number. Default: by the width of the network."""

    # Output
    out: str | None = None
    """Table to write: .tsv, .tsv.gz or .parquet; - is standard output. Needed."""
    plot: str | None = None
    """Picture to write, .svg or .png; none for none. Default: the name of --out with .svg, up to 5,000 bases."""
    plot_score: str | None = None
    """Column to draw. Default: llr_lc, or the first."""
    dry_run: bool = False
    """Say how many variants there are and about how long they take, and stop."""
    force: bool = False
    """Replace --out and --plot."""

    # Machine
    device: str = "auto"
    """Where to compute: cpu, cuda, cuda:1, ... auto is cpu: passes on GPUs have not been timed yet."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"is {self.threads}; it must be above 0", option="threads")
        if not self.fasta:
            raise ConfigError("no genome; name its FASTA by --fasta")
        if self.region is None:
            raise ConfigError("no region; name it by --region, such as chr1:1,001-1,200")
        if self.out is None and not self.dry_run:
            raise ConfigError("no file to write; name one by --out, such as ism.tsv")
        self.scoring  # noqa: B018

    @property
    def scoring(self) -> Scoring:
        """What is asked of the model. Raises `ConfigError` where it cannot be."""
        is_number = self.context is not None and self.context.isdecimal()
        return Scoring(
            scores=self.scores,
            context=int(self.context or 0) if is_number else self.context,
            horizon=self.horizon,
            flank=self.flank,
            strand=self.strand,
            batch_size=self.batch_size,
        )
