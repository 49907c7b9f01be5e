"""Labelled stretches of a genome: a BED file with a label a line, or a BED file of what bases are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from genomamba.classify.labelled import Collector, Labelled
from genomamba.classify.labels import Kind, Labels
from genomamba.classify.sequences import UInt8Array, complement_table
from genomamba.coordinates import Interval
from genomamba.data.bed import BedLine, read_lines
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, DataError
from genomamba.score.reading import Strand

__all__ = ["BACKGROUND", "Stretch", "cut_contigs", "read_base_labels", "read_bed_table", "read_stretches"]

BACKGROUND: Final = "none"
"""Class of bases that no line of a BED file covers."""

_NAMES: Final = ("contig", "start", "end", "name", "score", "strand")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A place, the strand it is read along, and where it was named."""

    interval: Interval
    strand: Strand
    file: str
    line: int

    @property
    def name(self) -> str:
        """The place, 1-based and inclusive, with the strand where it is -: `chr1:1001-2000(-)`."""
        strand = "" if self.strand == "+" else "(-)"
        return f"{self.interval.contig}:{self.interval.start + 1}-{self.interval.end}{strand}"

    def symbols(self, genome: Genome) -> UInt8Array:
        """Return its bases in reading order, uint8."""
        symbols = genome.fetch(self.interval.contig, self.interval.start, self.interval.end)
        return symbols if self.strand == "+" else complement_table(genome.alphabet)[symbols[::-1]]


def read_bed_table(
    path: Path, genome: Genome, *, label: str = "name", kind: Kind | None = None, labels_needed: bool = True
) -> Labelled:
    """Read a BED file with a label in one of its columns; stretches of strand - are read as reverse complements.

    Parameters
    ----------
    path : Path
        BED, plain or gzip. A line that begins with `#` before the first stretch names the columns.
    genome : Genome
        The bases.
    label : str
        Column of the label: its name (contig, start, end, name, score, strand, or as the file names it), or its number
        from 1.
    kind : {"single", "multi", "regression"}, optional
        See `genomamba.classify.labels.read_labels`.
    labels_needed : bool
        Whether lines without that column are refused.

    Returns
    -------
    Labelled
        Named `contig:start-end` (1-based, with the strand where it is -), with its contigs.

    Raises
    ------
    DataError
        With the line.
    """
    collector = Collector(str(path), genome.alphabet)
    place: int | None = None
    for line in read_lines(path, genome):
        if place is None:
            place = _column(path, label, line, labels_needed)
        if place >= 0 and len(line.columns) <= place:
            raise DataError(
                f"{path}:{line.number}: {len(line.columns)} columns, and the label is in column {place + 1}"
            )
        stretch = _stretch(path, line, genome)
        collector.add(
            stretch.symbols(genome),
            str(path),
            line.number,
            label=line.columns[place] if place >= 0 else None,
            name=stretch.name,
            contig=line.interval.contig,
        )
    return collector.finish(kind)


def read_stretches(path: Path, genome: Genome) -> list[Stretch]:
    """Read the stretches of a BED file with their strands, + where none is given. Raises `DataError` with the line."""
    return [_stretch(path, line, genome) for line in read_lines(path, genome)]


def cut_contigs(genome: Genome, length: int) -> list[Stretch]:
    """Cut every contig into stretches of one length; what is left at its end is left out."""
    return [
        Stretch(Interval(contig.name, start, start + length), "+", str(contig.path), 0)
        for contig in genome.contigs
        for start in range(0, contig.length - length + 1, length)
    ]


def read_base_labels(path: Path, genome: Genome, stretches: Sequence[Stretch]) -> Labelled:
    """Label each base of stretches by a BED file of classes, named in its fourth column.

    Parameters
    ----------
    path : Path
        BED of what bases are; its strands are not read.
    genome : Genome
        The bases.
    stretches : sequence of Stretch
        What a model is to read. On strand - labels come in the order of the bases, right to left.

    Returns
    -------
    Labelled
        Of kind per-base; the first class is `none`, that of bases without a line.

    Raises
    ------
    DataError
        With the line: no class, or a base that has another one.
    ConfigError
        Where there are no stretches.
    """
    if not stretches:
        raise ConfigError(f"no stretch of the genome is left to label by {path}; give shorter ones by --window")
    labels, classes = _painted(path, genome)
    collector = Collector(str(path), genome.alphabet)
    values = []
    for stretch in stretches:
        contig, start, end = stretch.interval.contig, stretch.interval.start, stretch.interval.end
        collector.add(stretch.symbols(genome), stretch.file, stretch.line, name=stretch.name, contig=contig)
        painted = labels.get(contig)
        found = np.zeros(end - start, np.int16) if painted is None else painted[start:end]
        values.append(found if stretch.strand == "+" else found[::-1])
    return collector.finish(labels=Labels("per-base", classes, np.concatenate(values)))


def _painted(path: Path, genome: Genome) -> tuple[dict[str, npt.NDArray[np.int16]], tuple[str, ...]]:
    """Return the class of every base of the contigs that have any, and the names of the classes."""
    lines = list(read_lines(path, genome))
    for line in lines:
        if len(line.columns) < 4 or not line.columns[3].strip():
            raise DataError(f"{path}:{line.number}: no class in column 4; it names what the bases are")
    names = [BACKGROUND, *sorted({line.columns[3].strip() for line in lines} - {BACKGROUND})]
    if len(names) > np.iinfo(np.int16).max:
        raise DataError(f"{path}: {len(names):,} classes in column 4; is it a name of each stretch, and not a class?")
    index = {name: number for number, name in enumerate(names)}
    labels: dict[str, npt.NDArray[np.int16]] = {}
    for line in lines:
        contig, code = line.interval.contig, index[line.columns[3].strip()]
        if contig not in labels:
            labels[contig] = np.zeros(genome.length(contig), np.int16)
        here = labels[contig][line.interval.start : line.interval.end]
        if (other := here[(here != 0) & (here != code)]).size:
            raise DataError(
                f"{path}:{line.number}: bases of {line.interval} are {names[int(other[0])]!r} in another line, and"
                f" {names[code]!r} here; give each base one class"
            )
        here[:] = code
    return labels, tuple(names)


def _stretch(path: Path, line: BedLine, genome: Genome) -> Stretch:
    given = line.columns[5].strip() if len(line.columns) > 5 else "+"
    if given not in ("+", "-", "."):
        raise DataError(f"{path}:{line.number}: the strand is {given!r}; column 6 must be +, - or .")
    if given == "-" and not genome.alphabet.has_complement:
        raise DataError(f"{path}:{line.number}: strand -, and the {genome.alphabet.name} alphabet has one strand alone")
    return Stretch(line.interval, "-" if given == "-" else "+", str(path), line.number)


def _column(path: Path, label: str, line: BedLine, needed: bool) -> int:
    """Return where the label stands, from 0; -1 where lines have none and need none."""
    known = [*(line.header or ()), *_NAMES[len(line.header or ()) :]]
    if label.isdecimal() and int(label) >= 1:
        place = int(label) - 1
    elif label in known:
        place = known.index(label)
    else:
        raise DataError(f"{path}: no column {label!r}; BED has {', '.join(known)}, or give its number")
    if place >= len(line.columns) and not needed:
        return -1
    return place
