"""Settings of `genomamba likelihood` and `genomamba evaluate`, frozen dataclasses that command lines are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from genomamba.errors import ConfigError

__all__ = ["EvaluateConfig", "LikelihoodConfig", "Strands", "read_shard"]

Strands = Literal["+", "-", "both"]
_SHARD = re.compile(r"(\d+)/(\d+)")


def read_shard(text: str | None) -> tuple[int, int]:
    """Return the number of a part, from 0, and how many there are: 3/16 is (2, 16). Raises `ConfigError`."""
    if text is None:
        return 0, 1
    match = _SHARD.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"--shard is {text!r}; it must be as 3/16: the third of sixteen")
    return int(match[1]) - 1, int(match[2])


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
    """Where to compute: cpu, cuda, cuda:1, ... auto is cpu: passes on GPUs have not been timed yet."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """Everything that `genomamba evaluate` can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "revision": "Model", "fasta": "Data", "contexts": "Scoring", "out": "Output", "device": "Machine",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Model
    revision: str | None = None
    """Branch, tag or commit, where MODEL is a name on the hub."""
    alphabet: str | None = None
    """What the model's token ids stand for, where no file beside its weights says so."""

    # Data
    fasta: tuple[str, ...] = field(default=(), metadata={"splits": False})
    """FASTA files, folders or globs; plain, gzip or BGZF.
    Default: those that a run was trained on; for other models chromosome I of three yeasts, built in."""
    contigs: tuple[str, ...] = ()
    """Contigs to use: names, or patterns such as 'chr*'. Default: all but alternative, unplaced, viral."""
    chrom_map: str | None = None
    """Two-column file: name given in an option, name in the FASTA."""
    region: str | None = None
    """Score bases of this stretch: chr1, or chr1:1,001-2,000 (1-based, inclusive, as in samtools)."""
    bed: str | None = None
    """Score bases of the stretches in this BED file.
    Where neither is given: what a run held out, or all contigs of a FASTA that it has not read."""
    classes: str | None = None
    """Tell what bases of each class cost too: BED, whose fourth column names a class such as exon or repeat,
    or GFF3 or GTF, which give CDS, exon, intron and intergenic. Default: the file that a run was given."""
    split: Literal["test", "valid"] | None = None
    """Which of the parts that a run held out. Default: test."""
    cache_dir: str | None = None
    """Where caches of FASTA files are kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""

    # Scoring
    contexts: tuple[int, ...] = (1_024, 8_192, 65_536)
    """Bases that the model sees: before a block of a causal model, in all of a masked one."""
    blocks: int = 128
    """Blocks to score, drawn by --seed; all that there are where they are fewer."""
    block_size: int = 256
    """Bases of a block, no more than the smallest context."""
    seed: int = 0
    """Of the draw of the blocks, of the masks and of the intervals."""
    chunk: int | None = None
    """Bases a pass of the network; takes memory, and changes no number beyond rounding.
    Default: 512 to 16,384, the fewer the wider the network."""
    spill: str | None = None
    """Folder for what a masked model keeps of a long window, 8 bytes a channel and base (and strand).
    Default: in memory."""

    # Output
    out: str | None = None
    """Folder for the table, the figures of every block and the plot. Default: the table is printed alone."""
    force: bool = False
    """Replace the files in --out, and what an interrupted command has left of them."""

    # Machine
    device: str = "auto"
    """Where to compute: cpu, cuda, cuda:1, ... auto is cpu: passes on GPUs have not been timed yet."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""

    def __post_init__(self) -> None:
        for name in ("blocks", "block_size", "chunk", "threads"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"--{name.replace('_', '-')} is {value}; it must be above 0")
        if not self.contexts:
            raise ConfigError("--contexts is empty; name some, such as 1024,8192,65536")
        if (smallest := min(self.contexts)) < self.block_size:
            raise ConfigError(
                f"--contexts has {smallest}; it must be --block-size, {self.block_size}, or more, so that the bases of"
                " a block see about as much as each other"
            )
        if self.region is not None and self.bed is not None:
            raise ConfigError("--region and --bed both say what to score; give one of them")
        if self.split is not None and (self.region is not None or self.bed is not None):
            raise ConfigError("--split is a part that a run held out; leave it out, or --region and --bed")
