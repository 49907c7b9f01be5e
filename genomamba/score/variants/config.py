"""Settings of `genomamba score`, a frozen dataclass that its command line is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from genomamba.errors import ConfigError
from genomamba.score.config import Strands, read_shard

__all__ = ["WHOLE_CONTIG", "ScoreConfig"]

WHOLE_CONTIG = "contig"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreConfig:
    """Everything that `genomamba score` can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "revision": "Model", "fasta": "Data", "scores": "Scoring", "out": "Output", "device": "Machine",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Model
    revision: str | None = None
    """Branch, tag or commit, where MODEL is a name on the hub."""
    alphabet: str | None = None
    """What the model's token ids stand for, where no file beside its weights says so."""

    # Data
    fasta: tuple[str, ...] = field(default=(), metadata={"splits": False})
    """FASTA files, folders or globs of the reference; plain, gzip or BGZF. Needed."""
    vcf: str | None = None
    """Variants: VCF, plain, gzip or BGZF, or BCF, sorted; - is standard input. Needed."""
    chrom_map: str | None = None
    """Two-column file: contig as in the VCF, name in the FASTA."""
    region: str | None = None
    """Take the records of this stretch alone: chr1, or chr1:1,001-2,000 (1-based, inclusive, as in samtools)."""
    regions_bed: str | None = None
    """Take the records of the stretches in this BED file alone."""
    shard: str | None = None
    """Take one of several equal parts of the records, such as 3/16; genomamba merge puts them together."""
    ref_mismatch: Literal["skip", "error", "keep"] = "skip"
    """A record whose REF is not what the FASTA has: skip it with a status, stop, or score it all the same."""
    cache_dir: str | None = None
    """Where caches of FASTA files are kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""

    # Scoring
    scores: tuple[str, ...] = ()
    """llr of a causal model; wt_marginal, masked_marginal, pseudo_llr, distance, divergence of a masked one.
    Default: llr, or wt_marginal."""
    context: str | None = None
    """Bases that the model sees, or contig for all there are. Default: those it was trained with, or 8192."""
    horizon: int = 2_048
    """llr: bases from the variant on that are compared. An allele may have half as many."""
    flank: int = 32
    """pseudo_llr, distance, divergence: bases on either side of an allele that are taken in."""
    strand: Strands = "both"
    """llr: both is the mean over the strands. Other scores take both always."""
    batch_size: int | None = None
    """llr: sequences that go through the model at once; changes no number. Default: by the width of the network."""

    # Output
    out: str | None = None
    """File to write: .vcf, .vcf.gz, .bcf, .tsv, .tsv.gz or .parquet; - is standard output. Needed."""
    output_type: str | None = None
    """v, z or b, as in bcftools, where the name of --out does not say it."""
    warnings: str | None = None
    """TSV of what was not scored: line of the VCF, code, text."""
    dry_run: bool = False
    """Read the variants, print what would be done, and stop."""
    resume: bool = False
    """Go on where an interrupted command was stopped."""
    force: bool = False
    """Replace --out, and what an interrupted command has left of it."""

    # Machine
    device: str = "auto"
    """Where to compute: cpu, cuda, cuda:1, ... auto is cpu: passes on GPUs have not been timed yet."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"--threads is {self.threads}; it must be above 0")
        if not self.fasta:
            raise ConfigError("no reference; name its FASTA by --fasta")
        if self.vcf is None:
            raise ConfigError("no variants; name their VCF by --vcf, or - for standard input")
        if self.out is None and not self.dry_run:
            raise ConfigError("no file to write; name one by --out, such as scored.vcf.gz")
        if self.region is not None and self.regions_bed is not None:
            raise ConfigError("--region and --regions-bed both say what to take; give one of them")
        if self.resume and self.force:
            raise ConfigError("--resume goes on and --force begins anew; give one of them")
        if self.context not in (None, WHOLE_CONTIG) and not (self.context.isdecimal() and int(self.context) > 0):
            raise ConfigError(f"--context is {self.context!r}; it must be a number of bases, such as 8192, or contig")
        self.part  # noqa: B018

    @property
    def part(self) -> tuple[int, int]:
        """Number of the shard, from 0, and how many there are. Raises `ConfigError` where `shard` is none."""
        return read_shard(self.shard)
