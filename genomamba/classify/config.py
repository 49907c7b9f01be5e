"""Settings of labelled data, and of the commands that read or make it: frozen dataclasses, made into options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from genomamba.classify.labels import MOST_NUMBERED_CLASSES
from genomamba.errors import ConfigError
from genomamba.score.config import read_shard

__all__ = ["DataConfig", "EmbedConfig", "PartsConfig", "Pool", "StrandUse", "TaskConfig"]

Pool = Literal["mean", "sum", "max", "last", "middle", "none"]
StrandUse = Literal["+", "-", "mean", "both"]

assert MOST_NUMBERED_CLASSES == 20, "the help of --kind says so"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Where labelled sequences come from."""

    SECTIONS: ClassVar[Mapping[str, str]] = {"data": "Data"}
    """First setting of each section, and the section's heading in the help."""

    # Data
    data: str | None = None
    """Table (.tsv, .csv, also .gz, .parquet), folder of classes, or BED file of stretches of --fasta."""
    kind: Literal["single", "multi", "regression"] | None = None
    """One class a sequence; several, with ; between; or a number.
    Default: several where any has a ; and numbers where all are, and one is not whole or more than 20 differ."""
    sequence_column: str | None = None
    """Column of the sequence. Default: sequence, or seq."""
    label_column: tuple[str, ...] = ()
    """Column of the label; of several each is a class, 0 or 1. Default: label, or class; name in BED."""
    split_column: str | None = None
    """Column that says train, valid or test. Default: split."""
    group_column: str | None = None
    """Column of what must not be in two parts. Default: group."""
    contig_column: str | None = None
    """Column of the contig. Default: contig, or chrom."""
    weight_column: str | None = None
    """Column of a sequence's weight in training. Default: weight."""
    name_column: str | None = None
    """Column of a sequence's name. Default: name, or id."""
    fasta: tuple[str, ...] = field(default=(), metadata={"splits": False})
    """FASTA files, folders or globs: the genome of a BED file, or, to be embedded, the sequences themselves."""
    chrom_map: str | None = None
    """Two-column file: name given, name in the FASTA."""
    cache_dir: str | None = None
    """Where caches of FASTA files are kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""
    base_labels: str | None = None
    """BED file whose fourth column is the class of the bases: a label for each base, none where no line is."""
    window: int | None = None
    """With --base-labels and without --data: bases of the windows that contigs are cut into. Default: 1,024."""

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise ConfigError(f"--window is {self.window}; it must be above 0")
        if self.window is not None and (self.base_labels is None or self.data is not None):
            raise ConfigError("--window cuts contigs for --base-labels; leave it out where --data names stretches")


@dataclass(frozen=True, kw_only=True, slots=True)
class PartsConfig:
    """Which sequences train, validate and test, and what is done about those that two parts share."""

    SECTIONS: ClassVar[Mapping[str, str]] = {"split_by": "Parts of the data", "near": "Leaks"}
    """First setting of each section, and the section's heading in the help."""

    # Parts of the data
    split_by: Literal["column", "group", "contig", "random"] | None = None
    """Where the parts come from.
    Default: the column, where there is one; contig where --test or --valid is given; group; else random."""
    valid: tuple[str, ...] = ()
    """Contigs, or groups, that validate: names, or patterns such as 'chr2*'."""
    test: tuple[str, ...] = ()
    """Contigs, or groups, that test."""
    test_share: float = 0.2
    """Share that tests, where nothing says which."""
    valid_share: float = 0.1
    """Share of the training part that validates, where nothing says which; 0 for none."""
    test_data: tuple[str, ...] = field(default=(), metadata={"splits": False})
    """Other tables, or folders, that test beside the test part, such as other species: nothing of them learns, and each
    has figures of its own."""
    seed: int = 0
    """Of what is drawn."""

    # Leaks
    near: float = 0.5
    """Likeness from which on two sequences are nearly the same: k-mers of both, over those of either."""
    drop_leaks: bool = False
    """Leave out of train, and of valid, what is in a later part too: the same on either strand, or nearly."""
    leaks: str | None = None
    """TSV of every sequence that two parts share. Default: counts and examples are printed alone."""

    def __post_init__(self) -> None:
        for name in ("test_share", "valid_share"):
            if not 0 <= getattr(self, name) < 1:
                flag = f"--{name.replace('_', '-')}"
                raise ConfigError(f"{flag} is {getattr(self, name)}; it must be 0 or more, and below 1")
        if not 0 < self.near <= 1:
            raise ConfigError(f"--near is {self.near}; it must be above 0, and 1 at most")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed is {self.seed}; it must be 0 or more, and below 2^63")


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedConfig:
    """Everything that `genomamba embed` can be told, beside the model and the data."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "revision": "Model", "bed": "Sequences", "pool": "Embedding", "out": "Output", "device": "Machine",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Model
    revision: str | None = None
    """Branch, tag or commit, where MODEL is a name on the hub."""
    alphabet: str | None = None
    """What the model's token ids stand for, where no file beside its weights says so."""

    # Sequences
    bed: str | None = None
    """Without --data: stretches of --fasta, strand - as reverse complements. Default: every contig, whole."""
    shard: str | None = None
    """Take one of several equal parts of the sequences, such as 3/16; genomamba merge puts them together."""

    # Embedding
    pool: Pool = "mean"
    """What is kept of the positions of a sequence: their mean, their sum (which tells the length, too), largest values,
    the last one read, the mean of the two in the middle, or none: all."""
    layers: tuple[int, ...] = (-1,)
    """Depths: 0 is the embedding of the tokens, i comes after i blocks, and -1 is the last, normalised."""
    strand: StrandUse | None = None
    """+ reads as given, - the reverse complement, mean is the mean of the two, both puts - behind +.
    Default: +, and both for a model that is equivariant."""
    chunk: int | None = None
    """Bases a pass of the network; takes memory, and changes no number beyond rounding."""
    spill: str | None = None
    """Folder for what a bidirectional model keeps of a sequence longer than a pass, 8 bytes a channel and base.
    Default: in memory."""

    # Output
    out: str | None = None
    """File to write: .npz or .parquet. Needed."""
    leaks: str | None = None
    """TSV of every sequence that two parts share. Default: counts and examples are printed alone."""
    force: bool = False
    """Replace --out, and what an interrupted command has left of it."""

    # Machine
    device: str = "auto"
    """Where to compute: cpu, cuda, cuda:1, ... auto is cpu: passes on GPUs have not been timed yet."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""

    def __post_init__(self) -> None:
        for name in ("chunk", "threads"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"--{name} is {value}; it must be above 0")
        if not self.layers:
            raise ConfigError("--layers is empty; name some, such as -1")
        if self.out is None:
            raise ConfigError("no file to write; name one by --out, such as embeddings.npz")
        read_shard(self.shard)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskConfig:
    """Everything that `genomamba make-task` can be told."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "fasta": "Data", "feature": "Task", "valid": "Parts of the data", "near": "Leaks", "out": "Output",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Data
    fasta: tuple[str, ...] = field(default=(), metadata={"splits": False})
    """FASTA files, folders or globs of the genome; plain, gzip or BGZF. Needed."""
    gff: str | None = None
    """Its annotation, GFF3 or GTF, plain or gzip. Needed."""
    contigs: tuple[str, ...] = ()
    """Contigs to use: names, or patterns such as 'chr*'. Default: all but alternative, unplaced, viral."""
    chrom_map: str | None = None
    """Two-column file: name given, or in the annotation, and name in the FASTA."""
    cache_dir: str | None = None
    """Where caches of FASTA files are kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""

    # Task
    feature: str | None = None
    """splice_donor, splice_acceptor, start_codon, stop_codon, tss, CDS, or a type of the annotation. Needed."""
    length: int = 200
    """Bases of a window: the site lies in its middle, and a window of CDS is coding from end to end."""
    negatives: float = 1.0
    """Windows of the background for each of the feature, on the same contig."""
    match_gc: bool = False
    """Draw the background so that its share of G and C is that of the feature."""
    limit: int | None = None
    """Draw so many windows of the feature in all, and leave out the rest."""
    seed: int = 0
    """Of what is drawn."""

    # Parts of the data
    valid: tuple[str, ...] = ()
    """Contigs that validate: names, or patterns such as 'chr2*'."""
    test: tuple[str, ...] = ()
    """Contigs that test; the rest trains. Where neither is given, no part is written."""

    # Leaks
    near: float = 0.5
    """Likeness from which on two windows are nearly the same: k-mers of both, over those of either."""
    drop_leaks: bool = False
    """Leave out of train, and of valid, what is in a later part too: the same on either strand, or nearly."""
    leaks: str | None = None
    """TSV of every sequence that two parts share. Default: counts and examples are printed alone."""

    # Output
    out: str | None = None
    """Table to write: .tsv or .tsv.gz. Needed."""
    force: bool = False
    """Replace --out."""

    def __post_init__(self) -> None:
        if not self.fasta:
            raise ConfigError("no genome; name its FASTA by --fasta")
        for name, example in (("gff", "genes.gff3.gz"), ("feature", "splice_donor"), ("out", "task.tsv")):
            if getattr(self, name) is None:
                raise ConfigError(f"--{name} is missing; give it, such as --{name} {example}")
        for name in ("length", "limit"):
            value = getattr(self, name)
            if value is not None and value < 4:
                raise ConfigError(f"--{name} is {value}; it must be 4 or more")
        if not 0 < self.negatives <= 1000:
            raise ConfigError(f"--negatives is {self.negatives}; it must be above 0, such as 1")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed is {self.seed}; it must be 0 or more, and below 2^63")
        if not 0 < self.near <= 1:
            raise ConfigError(f"--near is {self.near}; it must be above 0, and 1 at most")
        if (self.drop_leaks or self.leaks is not None) and not (self.valid or self.test):
            flag = "--drop-leaks" if self.drop_leaks else "--leaks"
            raise ConfigError(f"{flag} is of leaks between parts; name parts by --test and --valid")
