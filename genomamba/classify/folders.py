"""Labelled sequences in a folder: a folder or a FASTA file for each class, below folders for train and test or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from genomamba.alphabet import Alphabet
from genomamba.classify.labelled import Collector, Labelled, read_split
from genomamba.classify.labels import Kind
from genomamba.data.parse import Header, read_sequences
from genomamba.data.source import FASTA_SUFFIXES, Source, open_input
from genomamba.errors import DataError

__all__ = ["read_folder"]

_PACKED: Final = (".gz", ".bgz")
_TEXT: Final = ".txt"


def read_folder(path: Path, alphabet: Alphabet, *, kind: Kind | None = None) -> Labelled:
    """Read a folder of classes, in the order of names.

    A class is a folder of files, or one FASTA file, named after it. Below `path` lie classes, or folders named train,
    valid and test, with classes in each. A .txt file is one sequence and named after the file; a FASTA file holds any
    number, named in its headers.

    Parameters
    ----------
    path : Path
        The folder.
    alphabet : Alphabet
        Of the sequences.
    kind : {"single", "multi", "regression"}, optional
        See `genomamba.classify.labels.read_labels`.

    Raises
    ------
    DataError
        Where the folder has another form, or a file cannot be read; with the line where there is one.
    """
    collector = Collector(str(path), alphabet)
    for split, part in _parts(path):
        found = False
        for label, files in _classes(part):
            for file in files:
                found = True
                _read(collector, file, alphabet, label, split)
        if not found:
            raise DataError(f"{part}: no sequence in it; it should hold a folder, or a FASTA file, for each class")
    return collector.finish(kind)


def _parts(path: Path) -> list[tuple[str | None, Path]]:
    """Return the folders of train, valid and test; the folder itself where there are none."""
    folders = [entry for entry in _entries(path) if entry.is_dir()]
    splits = [(entry.name, entry) for entry in folders if _is_split(entry.name)]
    if not splits:
        return [(None, path)]
    if others := [entry.name for entry in folders if not _is_split(entry.name)]:
        raise DataError(
            f"{path}: {others[0]!r} lies beside {splits[0][0]!r}; keep folders of train, valid and test only"
        )
    return [(name, entry) for name, entry in splits]


def _is_split(name: str) -> bool:
    try:
        read_split(name)
    except DataError:
        return False
    return True


def _classes(path: Path) -> Iterator[tuple[str, list[Path]]]:
    for entry in _entries(path):
        if entry.is_dir():
            yield entry.name, [file for file in _entries(entry) if _is_text(file) or _fasta_stem(file) is not None]
        elif (stem := _fasta_stem(entry)) is not None:
            yield stem, [entry]


def _entries(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))


def _fasta_stem(path: Path) -> str | None:
    """Return the name without its ending; None where it is not that of a FASTA file."""
    name = path.name
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return Path(name).stem if Path(name).suffix.lower() in FASTA_SUFFIXES else None


def _is_text(path: Path) -> bool:
    return path.suffix.lower() == _TEXT


def _read(collector: Collector, file: Path, alphabet: Alphabet, label: str, split: str | None) -> None:
    if _is_text(file):
        with open_input(file) as opened:
            text = "".join(opened.read().decode("utf-8", "replace").split())
        collector.add(text, str(file), 1, label=label, split=split, name=file.stem)
        return
    header: Header | None = None
    pieces: list[np.ndarray] = []
    with Source(file) as source:
        for part in read_sequences(source, alphabet):
            if isinstance(part, Header):
                _add(collector, file, header, pieces, label, split)
                header, pieces = part, []
            else:
                pieces.append(part)
    _add(collector, file, header, pieces, label, split)


def _add(
    collector: Collector, file: Path, header: Header | None, pieces: list[np.ndarray], label: str, split: str | None
) -> None:
    if header is not None:
        symbols = np.concatenate(pieces)
        collector.add(symbols, str(file), header.line, label=label, split=split, name=header.name)
