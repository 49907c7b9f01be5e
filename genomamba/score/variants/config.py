"""Settings of `genomamba score` and `genomamba calibrate`, frozen dataclasses that command lines are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal, get_args

from genomamba.errors import ConfigError
from genomamba.score.config import Strands

__all__ = [
    "WHOLE_CONTIG", "CalibrateConfig", "RefMismatch", "ScoreConfig", "ScorerConfig", "Scoring", "StudyConfig",
    "VariantsConfig", "refuse_one_name_twice",
]  # fmt: skip

WHOLE_CONTIG = "contig"
_SHARD = re.compile(r"(\d+)/(\d+)")

RefMismatch = Literal["skip", "skip-all", "error", "keep"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scoring:
    """What is asked of a model about variants; the numbers depend on it, `batch_size` aside. See `ScoreConfig`."""

    scores: tuple[str, ...] = ()
    context: int | str | None = None
    """Bases, `WHOLE_CONTIG`, or None for those that the model was trained with."""
    horizon: int = 2_048
    flank: int = 32
    strand: Strands = "both"
    ref_mismatch: RefMismatch = "skip"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.context, str) and self.context != WHOLE_CONTIG:
            raise ConfigError(
                f"is {self.context!r}; it must be a number of bases, such as 8192, or contig", option="context"
            )
        if self.strand not in ("+", "-", "both"):
            raise ConfigError(f"is {self.strand!r}; it must be +, - or both", option="strand")
        if self.ref_mismatch not in get_args(RefMismatch):
            raise ConfigError(
                f"is {self.ref_mismatch!r}; it must be one of {', '.join(get_args(RefMismatch))}", option="ref_mismatch"
            )


def refuse_one_name_twice(**files: str | None) -> None:
    """Raise `ConfigError` where two files to write, by the names of their options, are the same."""
    seen: dict[Path, str] = {}
    for option, name in files.items():
        if name is not None and (first := seen.setdefault(Path(name), option)) != option:
            raise ConfigError(f"--{option} is {name}, and so is --{first}; give another name")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyConfig:
    """What is asked about scores once they are there; the fields are those of `ScoreConfig`."""

    labels: str | None = None
    positive: tuple[str, ...] = ()
    compare: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    markov_order: int | None = None
    metrics: str | None = None
    report: str | None = None

    def __post_init__(self) -> None:
        if self.labels is None:
            for name in ("positive", "compare", "metrics"):
                if getattr(self, name):
                    raise ConfigError(f"--{name} is about labels; name their field by --labels")
        if "none" in self.baselines and len(self.baselines) > 1:
            raise ConfigError(f"--baselines is {','.join(self.baselines)}; none stands alone")

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return self.labels is not None or self.report is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorerConfig:
    """What every command that scores variants can be told, beside the model and where they come from."""

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
    chrom_map: str | None = None
    """Two-column file: contig as in other files and options, name in the FASTA."""
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
    """File to write. Needed."""
    dry_run: bool = False
    """Print what would be done, and stop."""
    force: bool = False
    """Replace --out."""

    # Machine
    device: str = "auto"
    """Where to compute: cpu, cuda, cuda:1, ... auto is cpu: passes on GPUs have not been timed yet."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"is {self.threads}; it must be above 0", option="threads")
        if not self.fasta:
            raise ConfigError("no reference; name its FASTA by --fasta")
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


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantsConfig(ScorerConfig):
    """What every command that scores the variants of a VCF can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {**ScorerConfig.SECTIONS, "vcf": "Data", "resume": "Output"}
    """First setting of each section, and the section's heading in the help."""

    vcf: str | None = None
    """Variants: VCF, plain, gzip or BGZF, or BCF, sorted; - is standard input. Needed."""
    region: str | None = None
    """Take the records of this stretch alone: chr1, or chr1:1,001-2,000 (1-based, inclusive, as in samtools)."""
    regions_bed: str | None = None
    """Take the records of the stretches in this BED file alone."""
    ref_mismatch: RefMismatch = "skip"
    """A record whose REF is not what the FASTA has: skip it with a status, and stop above 1 % of them; skip-all
    of them; stop at the first; or score it all the same."""
    out: str | None = None
    """File to write: .vcf, .vcf.gz, .bcf, .tsv, .tsv.gz or .parquet; - is standard output. Needed."""
    dry_run: bool = False
    """Read the variants, print what would be done, and stop."""
    resume: bool = False
    """Go on where an interrupted command was stopped."""
    force: bool = False
    """Replace --out, and what an interrupted command has left of it."""

    def __post_init__(self) -> None:
        ScorerConfig.__post_init__(self)
        if self.region is not None and self.regions_bed is not None:
            raise ConfigError("--region and --regions-bed both say what to take; give one of them")
        if self.resume and self.force:
            raise ConfigError("--resume goes on and --force begins anew; give one of them")

    @property
    def scoring(self) -> Scoring:
        """What is asked of the model. Raises `ConfigError` where it cannot be."""
        return replace(super(VariantsConfig, self).scoring, ref_mismatch=self.ref_mismatch)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreConfig(VariantsConfig):
    """Everything that `genomamba score` can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        **VariantsConfig.SECTIONS, "shard": "Data", "labels": "Labels", "output_type": "Output",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    shard: str | None = None
    """Take one of several equal parts of the records, such as 3/16; genomamba merge puts them together."""
    labels: str | None = None
    """Hold the scores against this field of INFO, or ID, QUAL, FILTER: a class, or a number."""
    positive: tuple[str, ...] = ()
    """Classes of --labels that are positive; all others are not."""
    compare: tuple[str, ...] = ()
    """Fields of numbers to hold against the labels beside the scores."""
    baselines: tuple[Literal["markov", "random", "none"], ...] = ("markov", "random")
    """What else to hold against them: a Markov model of the FASTA, the network with random weights (as much time
    again), or none."""
    markov_order: int | None = None
    """Bases that the Markov model sees. Default: 8."""
    metrics: str | None = None
    """File of what was found: .json, or a table divided by tabs."""
    output_type: str | None = None
    """v, z or b, as in bcftools, where the name of --out does not say it."""
    warnings: str | None = None
    """TSV of what was not scored: line of the VCF, code, text."""
    report: str | None = None
    """HTML page of what was scored: counts, histograms, the farthest variants, and what --labels found."""
    calibration: str = "auto"
    """Background that genomamba calibrate has fitted, for GM_PCT and GM_Z: a file, or none.
    auto is calibration.json beside the model, where it is there and fits."""

    def __post_init__(self) -> None:
        VariantsConfig.__post_init__(self)
        if self.vcf is None:
            raise ConfigError("no variants; name their VCF by --vcf, or - for standard input")
        if self.out is None and not self.dry_run:
            raise ConfigError("no file to write; name one by --out, such as scored.vcf.gz")
        if self.labels is not None and self.shard is not None:
            raise ConfigError("--labels takes all records; score the shards, and give --labels to genomamba merge")
        refuse_one_name_twice(out=self.out, warnings=self.warnings, metrics=self.metrics, report=self.report)
        self.part  # noqa: B018
        self.study  # noqa: B018

    @property
    def part(self) -> tuple[int, int]:
        """Number of the shard, from 0, and how many there are. Raises `ConfigError` where `shard` is none."""
        if self.shard is None:
            return 0, 1
        match = _SHARD.fullmatch(self.shard)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ConfigError(f"is {self.shard!r}; it must be as 3/16: the third of sixteen", option="shard")
        return int(match[1]) - 1, int(match[2])

    @property
    def study(self) -> StudyConfig:
        """What is asked about the scores. Raises `ConfigError` where that contradicts itself."""
        return StudyConfig(
            labels=self.labels,
            positive=self.positive,
            compare=self.compare,
            baselines=self.baselines,
            markov_order=self.markov_order,
            metrics=self.metrics,
            report=self.report,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrateConfig(VariantsConfig):
    """Everything that `genomamba calibrate` can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {**VariantsConfig.SECTIONS, "number": "Data"}
    """First setting of each section, and the section's heading in the help."""

    vcf: str | None = None
    """Background variants, such as common ones: VCF, plain, gzip or BGZF, or BCF, sorted; - is standard input.
    Default: random ones, drawn from the FASTA."""
    region: str | None = None
    """Take variants of this stretch alone: chr1, or chr1:1,001-2,000 (1-based, inclusive, as in samtools)."""
    regions_bed: str | None = None
    """Take variants of the stretches in this BED file alone.
    Where neither is given, random ones are drawn in all contigs but alternative, unplaced, viral."""
    out: str | None = None
    """File to write. Default: calibration.json beside the weights. Needed for a name on the hub."""
    number: int | None = None
    """Random variants of each class (three bases, ALT and case; kind, length and case). Default: 200."""
    seed: int | None = None
    """Of the draw of random variants. Default: 0."""

    def __post_init__(self) -> None:
        VariantsConfig.__post_init__(self)
        for name in ("number", "seed"):
            value = getattr(self, name)
            if value is not None and self.vcf is not None:
                raise ConfigError("is of random variants, and --vcf names others; give one of them", option=name)
        if self.number is not None and self.number < 1:
            raise ConfigError(f"is {self.number}; it must be above 0, such as 200", option="number")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise ConfigError(f"is {self.seed}; it must be 0 or more, and below 2^63", option="seed")
