"""Settings of labelled data, and of the commands that read or make it: frozen dataclasses, made into options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from genomamba.classify.labels import MOST_NUMBERED_CLASSES
from genomamba.errors import ConfigError

__all__ = ["DataConfig"]

assert MOST_NUMBERED_CLASSES == 20, "the help of --kind says so"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Where labelled sequences come from, and which of them train, validate and test."""

    SECTIONS: ClassVar[Mapping[str, str]] = {"data": "Data", "split_by": "Parts of the data", "near": "Leaks"}
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
    """Genome of a BED file: FASTA files, folders or globs."""
    chrom_map: str | None = None
    """Two-column file: name given, name in the FASTA."""
    cache_dir: str | None = None
    """Where caches of FASTA files are kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""
    base_labels: str | None = None
    """BED file whose fourth column is the class of the bases: a label for each base, none where no line is."""
    window: int | None = None
    """With --base-labels and without --data: bases of the windows that contigs are cut into. Default: 1,024."""

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
    seed: int = 0
    """Of what is drawn."""

    # Leaks
    near: float = 0.5
    """Likeness from which on two sequences are nearly the same: k-mers of both, over those of either."""
    drop_leaks: bool = False
    """Leave out of train, and of valid, what is in a later part too: the same on either strand, or nearly."""

    def __post_init__(self) -> None:
        for name in ("test_share", "valid_share"):
            if not 0 <= getattr(self, name) < 1:
                flag = f"--{name.replace('_', '-')}"
                raise ConfigError(f"{flag} is {getattr(self, name)}; it must be 0 or more, and below 1")
        if not 0 < self.near <= 1:
            raise ConfigError(f"--near is {self.near}; it must be above 0, and 1 at most")
        if self.window is not None and self.window < 1:
            raise ConfigError(f"--window is {self.window}; it must be above 0")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed is {self.seed}; it must be 0 or more, and below 2^63")
        if self.data is None and self.base_labels is None:
            raise ConfigError("no labelled data; name a table, a folder or a BED file by --data")
        if self.window is not None and (self.base_labels is None or self.data is not None):
            raise ConfigError("--window cuts contigs for --base-labels; leave it out where --data names stretches")
