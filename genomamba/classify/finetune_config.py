"""Settings of `genomamba finetune` and `genomamba predict`, beside those of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from genomamba.classify.probe_config import DEFAULT_BASELINES, check_baselines, check_folds
from genomamba.errors import ConfigError

__all__ = ["FinetuneConfig", "PredictConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FinetuneConfig:
    """Everything that `genomamba finetune` can be told, beside the model and the data."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "revision": "Model", "pool": "Head", "freeze": "Training", "baselines": "Comparison",
        "out": "Run",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Model
    revision: str | None = None
    """Branch, tag or commit, where MODEL is a name on the hub."""
    alphabet: str | None = None
    """What the model's token ids stand for, where no file beside its weights says so."""
    random_weights: bool = False
    """Take the shape of MODEL alone, and draw its weights."""

    # Head
    pool: Literal["mean", "sum", "max", "last", "middle", "concat"] = "mean"
    """What is made of the positions; sum tells the length, too, middle is for windows about a site, and concat is mean
    beside max."""
    strand: Literal["given", "both", "pooled", "random"] | None = None
    """given: one is read; both: the mean of the logits of the two; pooled: the head reads the mean of both;
    random: one drawn for each sample in training, both in prediction. Default: both for an equivariant model, else
    given."""
    hidden: int = 0
    """Width of a hidden layer; 0 for a linear head."""
    dropout: float = 0.1
    """Share of what the head reads that is set to 0 in training."""

    # Training
    freeze: bool = False
    """Train the head alone; what it reads is computed once."""
    epochs: int = 20
    """Most passes over the training part."""
    batch_size: int = 32
    """Sequences a step."""
    learning_rate: tuple[float, ...] = (1e-3,)
    """Peak learning rate; of several, the one whose validation is best."""
    weight_decay: float = 0.01
    """AdamW's decay; not on norms and biases."""
    warmup: float = 0.1
    """Share of the passes over which the learning rate rises; then it falls on a half cosine."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    class_weight: Literal["none", "balanced"] = "none"
    """balanced: each class counts the same, however rare it is."""
    patience: int = 5
    """Passes without a better validation after which training stops; the best weights are kept."""
    folds: int = 0
    """Train so many times, each with another part of all data to test on, in place of the parts of the data; 0: no."""
    repeats: int = 1
    """Train so many times, from seeds that follow one another."""
    redraw_valid: bool = False
    """With --repeats: take the part that validates anew from train and valid for each seed."""

    # Comparison
    baselines: tuple[str, ...] = DEFAULT_BASELINES
    """What stands beside the result: none, or some of majority, k-mer, one-hot, cnn, random. random is the same
    training from weights drawn anew."""
    report: bool = True
    """Write report.html into the run folder."""

    # Run
    out: str | None = None
    """Run folder. Needed."""
    device: str = "auto"
    """Where to train: cpu, cuda, cuda:1, ... auto is the GPU where torch sees one whose kernels are right, else cpu."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""
    resume: bool = False
    """Go on with the run in --out."""
    force: bool = False
    """Replace what is in --out."""

    def __post_init__(self) -> None:
        if self.out is None:
            raise ConfigError("no run folder; name one by --out, such as runs/promoters")
        for name in ("epochs", "batch_size", "clip", "patience", "repeats", "threads"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"--{name.replace('_', '-')} is {value}; it must be above 0")
        if not self.learning_rate or not all(rate > 0 for rate in self.learning_rate):
            raise ConfigError(f"--learning-rate is {self.learning_rate}; give numbers above 0, such as 1e-3,3e-3")
        check_folds(self.folds, self.repeats)
        check_baselines(self.baselines)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"--dropout is {self.dropout}; it must be 0 or more, and below 1")
        if not 0 <= self.warmup <= 1:
            raise ConfigError(f"--warmup is {self.warmup}; it must lie between 0 and 1")
        for name in ("weight_decay", "hidden"):
            if getattr(self, name) < 0:
                raise ConfigError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be 0 or more")
        if self.resume and self.force:
            raise ConfigError("--resume goes on with a run and --force replaces it; give one of the two")


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictConfig:
    """Everything that `genomamba predict` can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "revision": "Model", "data": "Sequences", "window": "Windows of a genome", "out": "Output",
        "device": "Machine",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Model
    revision: str | None = None
    """Branch, tag or commit, where MODEL is a name on the hub."""

    # Sequences
    data: str | None = None
    """Table of sequences (.tsv, .csv, also .gz, .parquet) or folder of FASTA files."""
    sequence_column: str | None = None
    """Column of the sequence. Default: sequence, or seq."""
    label_column: tuple[str, ...] = ()
    """Column of the label, where there is one; of several each is a class, 0 or 1. Default: label, or class."""
    name_column: str | None = None
    """Column of a sequence's name. Default: name, or id."""
    fasta: tuple[str, ...] = field(default=(), metadata={"splits": False})
    """FASTA files, folders or globs: every sequence of them; a genome with --bed or --window."""
    bed: str | None = None
    """Stretches of --fasta, strand - as reverse complements."""
    contigs: tuple[str, ...] = ()
    """Contigs to use: names, or patterns such as 'chr*'. Default: all."""
    chrom_map: str | None = None
    """Two-column file: name given, name in the FASTA."""
    cache_dir: str | None = None
    """Where caches of FASTA files are kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""

    # Windows of a genome
    window: int | None = None
    """Cut contigs into windows of so many bases."""
    stride: int | None = None
    """Bases between the starts of two windows; each speaks for so many in its middle. Default: half of --window."""
    class_name: str | None = None
    """Class whose probability a bedGraph holds. Default: of two classes the second."""

    # Output
    out: str | None = None
    """File to write: .tsv, .tsv.gz or .parquet; of windows also .bedgraph and .bedgraph.gz. Needed."""
    metrics: str | None = None
    """TSV of the figures that are printed where --data has labels, and of those of each class."""
    force: bool = False
    """Replace --out and --metrics."""

    # Machine
    device: str = "auto"
    """Where to compute: cpu, cuda, cuda:1, ... auto is cpu."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""

    def __post_init__(self) -> None:
        if self.out is None:
            raise ConfigError("no file to write; name one by --out, such as predictions.tsv")
        for name in ("window", "stride", "threads"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"--{name} is {value}; it must be above 0")
        if self.data is None and not self.fasta and self.bed is not None:
            raise ConfigError("--bed names stretches of a FASTA; give it by --fasta")
        if (self.data is None) == (not self.fasta):
            raise ConfigError("name sequences by --data, or by --fasta; one of the two")
        if self.data is not None and (self.bed or self.window or self.contigs):
            raise ConfigError("--bed, --window and --contigs are for --fasta; leave them out with --data")
        if self.metrics is not None and self.data is None:
            raise ConfigError("--metrics is of labels, which --fasta has none of; give labelled sequences by --data")
        if self.window is not None and self.bed is not None:
            raise ConfigError("--window cuts contigs, and --bed names stretches; give one of the two")
        if self.window is None and self.stride is not None:
            raise ConfigError("--stride is of windows; give their length by --window")
        if self.window is not None and self.stride is not None and self.stride > self.window:
            raise ConfigError(f"--stride is {self.stride}; it must be {self.window} at most, as --window")
