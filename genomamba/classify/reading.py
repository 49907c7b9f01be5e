"""Labelled data as settings name it: read, divided into parts, and looked through for leaks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import Alphabet
from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.folders import read_folder
from genomamba.classify.labelled import SPLITS, Labelled
from genomamba.classify.leaks import Leaks, drop_leaks, find_leaks, write_leaks
from genomamba.classify.others import join, names_of, with_classes_of
from genomamba.classify.splits import assign_splits, check_trainable
from genomamba.classify.stretches import cut_contigs, read_base_labels, read_bed_table, read_stretches
from genomamba.classify.tables import TABLES, Columns, read_table
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, DataError

__all__ = ["load_data", "read_data", "report_leaks"]

_BED = (".bed", ".bed.gz", ".bed.bgz")
_WINDOW = 1_024


def load_data(
    config: DataConfig, parts: PartsConfig, alphabet: Alphabet, *, emit: Callable[[str], None]
) -> tuple[Labelled, Leaks]:
    """Read data to train on, divide it into parts, and look for leaks between them.

    Parameters
    ----------
    config : DataConfig
    parts : PartsConfig
    alphabet : Alphabet
        Of the sequences.
    emit : callable
        Takes the lines that say what leaks, and what is left out.

    Returns
    -------
    data : Labelled
        With its splits; without what `parts.drop_leaks` leaves out. Behind it the data of `parts.test_data`, in parts
        of their own, which follow those of `SPLITS`.
    leaks : Leaks
        As they were before anything was left out.

    Raises
    ------
    DataError, ConfigError
        Where the data cannot be read, or nothing can be learnt from it.
    """
    data = read_data(config, alphabet)
    check_trainable(data)
    data = assign_splits(
        data, parts.split_by, valid=parts.valid, test=parts.test, test_share=parts.test_share,
        valid_share=parts.valid_share, seed=parts.seed,
    )  # fmt: skip
    names = names_of(parts.test_data)
    data = join(data, [_read_other(path, config, alphabet, data) for path in parts.test_data])
    data, leaks = report_leaks(
        data, parts.near, drop=parts.drop_leaks, emit=emit, table=parts.leaks, parts=(*SPLITS, *names)
    )
    check_trainable(data)
    return data, leaks


def _read_other(path: str, config: DataConfig, alphabet: Alphabet, data: Labelled) -> Labelled:
    """Read other data as the first was, with its classes."""
    assert data.labels is not None
    if data.labels.kind == "per-base":
        raise ConfigError("--test-data is of labels of sequences, and here each base has one; leave it out")
    other = read_data(dataclasses.replace(config, data=path, kind=data.labels.kind), alphabet)
    return dataclasses.replace(other, labels=with_classes_of(other, data.labels))


def read_data(config: DataConfig, alphabet: Alphabet, *, labels_needed: bool = True) -> Labelled:
    """Read labelled sequences; raises `DataError` with the line, and `ConfigError` for settings that do not fit."""
    if config.base_labels is not None:
        genome = _genome(config, alphabet)
        if config.data is None:
            stretches = cut_contigs(genome, config.window or _WINDOW)
        else:
            stretches = read_stretches(Path(config.data), genome)
        return read_base_labels(Path(config.base_labels), genome, stretches)
    if config.data is None:
        raise ConfigError("no labelled data; name a table, a folder or a BED file by --data")
    path, columns = Path(config.data), _columns(config)
    if path.name.lower().endswith(_BED):
        if len(config.label_column) > 1:
            raise ConfigError(f"{path}: a BED file has its label in one column; name one by --label-column")
        label = config.label_column[0] if config.label_column else "name"
        genome = _genome(config, alphabet)
        return read_bed_table(path, genome, label=label, kind=config.kind, labels_needed=labels_needed)
    if config.fasta:
        raise ConfigError(f"--fasta is the genome of a BED file, and --data is {path}; leave it out")
    if path.is_dir():
        return read_folder(path, alphabet, kind=config.kind)
    if not path.name.lower().endswith(TABLES):
        if not path.exists():
            raise DataError(f"{path}: no such file; check the name")
        raise ConfigError(f"--data is {path}; it must be a folder, a BED file, or end with {', '.join(TABLES)}")
    return read_table(path, alphabet, columns, kind=config.kind, labels_needed=labels_needed)


def report_leaks(
    data: Labelled,
    near: float,
    *,
    drop: bool,
    emit: Callable[[str], None],
    table: str | None = None,
    part: npt.NDArray[np.int8] | None = None,
    parts: Sequence[str] = SPLITS,
) -> tuple[Labelled, Leaks]:
    """Say what leaks between the parts of data, write it to a table, and leave it out where that is asked for.

    Parts other than those of the data are given as `find_leaks` takes them.
    """
    leaks = find_leaks(data, near, part=part, parts=parts)
    for line in leaks.in_words(data):
        emit(line)
    if table is not None:
        write_leaks(Path(table), data, leaks)
        emit(f"{table}: {leaks.row.size:,} rows")
    if drop:
        data, dropped = drop_leaks(data, leaks)
        emit(f"{data.origin}: {dropped.size:,} sequences are left out of train and valid, for a later part has them")
    return data, leaks


def _columns(config: DataConfig) -> Columns:
    return Columns(
        sequence=config.sequence_column, label=config.label_column, split=config.split_column,
        group=config.group_column, weight=config.weight_column, name=config.name_column, contig=config.contig_column,
    )  # fmt: skip


def _genome(config: DataConfig, alphabet: Alphabet) -> Genome:
    if not config.fasta:
        raise ConfigError("stretches of a genome were named and no genome; give its FASTA by --fasta")
    return Genome.open(
        list(config.fasta), alphabet, cache_dir=config.cache_dir, contigs=("*",), chrom_map=config.chrom_map
    )
