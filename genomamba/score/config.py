"""Settings of `genomamba likelihood`, as a frozen dataclass that the command line is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from genomamba.errors import ConfigError

__all__ = ["LikelihoodConfig", "Strands"]

Strands = Literal["+", "-", "both"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LikelihoodConfig:
    """Everything that `genomamba likelihood` can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "revision": "Model", "fasta": "Data", "strand": "Scoring", "out": "Output", "device": "Machine",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Model
    revision: str | None = None
    """Branch, tag or commit, where MODEL is a name on the hub."""
    alphabet: str | None = None
    """What the model's token ids stand for, where no file beside its weights says so."""

    # Data
    fasta: tuple[str, ...] = field(default=(), metadata={"splits": False})
    """FASTA files, folders or globs; plain, gzip or BGZF. Default: chromosome I of three yeasts, built in."""
    contigs: tuple[str, ...] = ()
    """Contigs to score: names, or patterns such as 'chr*'. Default: all but alternative, unplaced, viral."""
    chrom_map: str | None = None
    """Two-column file: name given in an option, name in the FASTA."""
    region: str | None = None
    """Score this stretch alone: chr1, or chr1:1,001-2,000 (1-based, inclusive, as in samtools)."""
    cache_dir: str | None = None
    """Where caches of FASTA files are kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""

    # Scoring
    strand: Strands = "+"
    """+ reads the file's strand left to right, - the other one; both is the mean of the two, base by base."""
    lead: int = 0
    """Bases before --region that are read and not scored."""
    context: int | None = None
    """Forget what lies further back, in windows of so many bases that overlap by half.
    Default: nothing is forgotten, from the first base of a contig to its last."""
    chunk: int | None = None
    """Bases a pass of the network; takes memory, and changes no number beyond rounding.
    Default: 512 to 16,384, the fewer the wider the network."""

    # Output
    out: str | None = None
    """File to write: .bedgraph, .bw, .parquet or .tsv; the texts also as .gz (BGZF). Needed."""
    per_record: bool = False
    """One row a sequence, .tsv or .parquet, in place of one a base."""
    force: bool = False
    """Replace --out, and what an interrupted command has left of it."""

    # Machine
    device: str = "auto"
    """Where to compute: cpu. auto takes the best there is."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""

    def __post_init__(self) -> None:
        for name in ("context", "chunk", "threads"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"--{name} is {value}; it must be above 0")
        if self.lead < 0:
            raise ConfigError(f"--lead is {self.lead}; it must be 0 or more")
        if self.lead and self.region is None:
            raise ConfigError("--lead reads bases before a region; give --region, or leave it out")
        if self.out is None:
            raise ConfigError("no file to write; name one by --out, such as track.bedgraph.gz")
