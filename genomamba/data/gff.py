"""GFF3 and GTF: features of contigs, read row by row; positions, 1-based in the file, become 0-based and half-open."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NoReturn, cast
from urllib.parse import unquote

from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.data.source import DamagedSourceError, Source
from genomamba.errors import ConfigError, DataError

__all__ = ["Dialect", "Feature", "FeatureStrand", "read_features"]

Dialect = Literal["gff3", "gtf"]
FeatureStrand = Literal["+", "-", ".", "?"]

_COLUMNS: Final = 9
_STRANDS: Final = frozenset("+-.?")
_PHASES: Final = {".": None, "0": 0, "1": 1, "2": 2}
_MOST_DIGITS: Final = 18
_LONGEST_LINE: Final = 1 << 24
_SHOWN: Final = 60
_NAMED: Final = 3
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DIALECTS: Final[dict[str, Dialect]] = {"3": "gff3", "2": "gtf"}
_TRANSCRIPTS: Final = frozenset({"transcript", "mRNA"})
_NAMES: Final = ("Name", "gene_name", "transcript_name", "gene", "standard_name", "locus_tag", "gene_id", "ID")

_VERSION = re.compile(r"#{1,2}(?:gff|gtf)-version\s+(\d)")
_GFF3_KEY = re.compile(r"\s*[^\s=;\"]+=")
_GTF_KEY = re.compile(r"\s*[^\s=;\"]+\s+[^\s=]")
_GTF_PAIR = re.compile(r"\s*([^\s;\"]+)\s+(?:\"([^\"]*)\"|([^\s;\"]+))\s*(?:;|$|(?=#))")

_log = logging.getLogger("genomamba")


@dataclass(slots=True, eq=False)
class _File:
    """What the rows of a file have in common."""

    path: Path
    dialect: Dialect | None = None
    absent: Counter[str] = field(default_factory=Counter)
    """Rows by contig, of contigs that the genome does not have."""
    circular: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Feature:
    """One row.

    Attributes
    ----------
    interval : Interval
        Where it lies; the contig's name is that in the FASTA.
    type : str
        What it is, such as gene, mRNA, exon, CDS, start_codon.
    strand : {"+", "-", ".", "?"}
        `.`: it has none; `?`: not known.
    phase : int or None
        Bases from the feature's first base, along its strand, to the first base of the next codon; None where the file
        has `.`.
    source : str
        Who or what says so.
    text : str
        Attributes as they are in the file.
    line : int
        Where it stands in the file, from 1.
    """

    interval: Interval
    type: str
    strand: FeatureStrand
    phase: int | None
    source: str
    text: str
    line: int
    _file: _File = field(repr=False, compare=False)

    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Parse the attributes: to each key its values, in the order of the file.

        GFF3: values are divided at commas, then percent-decoded; what has no key, as after a `;` that was not escaped,
        belongs to the value before it. GTF: values without their quotes; a key may come more than once.

        Raises
        ------
        DataError
            With the line, where the text is no list of keys and values.
        """
        text = self.text.strip()
        if not text or text == ".":
            return {}
        return self._gtf(text) if self._file.dialect == "gtf" else self._gff3(text)

    @property
    def id(self) -> str | None:
        """ID of GFF3; in GTF, `gene_id` of a gene and `transcript_id` of a transcript. None where there is none."""
        found = self.attributes()
        if self._file.dialect != "gtf":
            return found.get("ID", (None,))[0]
        key = "gene_id" if self.type == "gene" else "transcript_id" if self.type in _TRANSCRIPTS else None
        return found.get(key, ("",))[0] or None if key else None

    @property
    def parents(self) -> tuple[str, ...]:
        """Parent of GFF3, which may be several; in GTF, the gene of a transcript and the transcript of other features.

        Features of GTF that no transcript has (`transcript_id ""`) belong to their gene.
        """
        found = self.attributes()
        if self._file.dialect != "gtf":
            return found.get("Parent", ())
        if self.type == "gene":
            return ()
        keys = ("gene_id",) if self.type in _TRANSCRIPTS else ("transcript_id", "gene_id")
        return next(((value,) for key in keys for value in found.get(key, ())[:1] if value), ())

    @property
    def name(self) -> str | None:
        """What people call it: the first of Name, gene_name, gene, ..., gene_id and ID that it has."""
        found = self.attributes()
        return next((found[key][0] for key in _NAMES if found.get(key, ("",))[0]), None)

    def _gff3(self, text: str) -> dict[str, tuple[str, ...]]:
        pairs: list[list[str]] = []
        for part in text.split(";"):
            key, equals, value = part.partition("=")
            if equals and key.strip():
                pairs.append([unquote(key.strip()), value.strip()])
            elif pairs:
                pairs[-1][1] += f";{part}" if part.strip() else ""
            elif part.strip():
                self._fail(part)
        found: dict[str, tuple[str, ...]] = {}
        for key, value in pairs:
            found[key] = found.get(key, ()) + tuple(map(unquote, value.split(",")))
        return found

    def _gtf(self, text: str) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        at = 0
        while at < len(text) and text[at] != "#":
            match = _GTF_PAIR.match(text, at)
            if match is None:
                self._fail(text[at:])
            value = match[2] if match[2] is not None else match[3]
            found[match[1]] = (*found.get(match[1], ()), value)
            at = match.end()
            while text[at : at + 1] in (" ", ";", "\t"):
                at += 1
        return found

    def _fail(self, text: str) -> NoReturn:
        pair = 'key "value";' if self._file.dialect == "gtf" else "key=value;"
        raise DataError(f"{self._file.path}:{self.line}: attributes {_short(text)} where {pair} is expected")


def read_features(
    path: str | Path, genome: Genome, *, types: Collection[str] | None = None, within: Interval | None = None
) -> Iterator[Feature]:
    """Give the features of a GFF3 or GTF file, plain, gzip or BGZF, sorted or not, in the order of the file.

    Which of the two it is, is told by its `##gff-version` or else by its first attributes. Comments, directives and
    blank lines are passed over; sequences at the end (`##FASTA`) are not read. Every row is checked, whether it is
    given or not, but for its attributes, which are parsed when they are asked for.

    Parameters
    ----------
    path : str or Path
        The file.
    genome : Genome
        Whose names and lengths count. Rows of contigs that it does not have are left out, and their number is logged.
    types : collection of str, optional
        Give these alone, such as {"gene", "CDS"}.
    within : Interval, optional
        Give those alone that have a base of it; its contig is as in the FASTA. Nothing is logged then.

    Yields
    ------
    Feature
        On a contig that the file calls circular (`Is_circular=true`), a feature that goes on past the contig's end is
        cut there.

    Raises
    ------
    DataError
        With the line: other than nine columns, positions that are no numbers, that are below 1 or in the wrong order or
        past the contig's end, a strand other than + - . ?, a phase other than 0 1 2 and `.`, damaged gzip. Without
        one: a file without features, or none on any contig of the genome.
    """
    file = _File(Path(path))
    names: dict[str, str | None] = {}
    rows = 0
    for number, line in _lines(file.path):
        if line.startswith("#"):
            if line.startswith("##FASTA"):
                break
            if file.dialect is None and (match := _VERSION.match(line)):
                file.dialect = _DIALECTS.get(match[1])
            continue
        if line.startswith(">") and rows:
            break
        if not line.strip() or line.startswith(("track ", "browser ")):
            continue
        rows += 1
        feature = _feature(line, number, file, genome, names)
        if feature is None or (types is not None and feature.type not in types):
            continue
        if within is None or feature.interval.overlaps(within):
            yield feature
    _check_contigs(file, rows)
    if within is None:
        _tell_contigs(file, rows, names)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    number, rest = 0, b""
    try:
        with Source(path) as source:
            for block in source.blocks():
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    number += 1
                    yield number, _text(line)
                if len(rest) > _LONGEST_LINE:
                    raise DataError(f"{path}:{number + 1}: a line of more than 16 MiB; is this GFF3 or GTF?")
    except DamagedSourceError as error:
        raise DataError(f"{path}:{number + 1}: {error}; copy or download it again") from None
    if rest:
        yield number + 1, _text(rest)


def _text(line: bytes) -> str:
    return line.removeprefix(_BYTE_ORDER_MARK).removesuffix(b"\r").decode("utf-8", "replace")


def _feature(line: str, number: int, file: _File, genome: Genome, names: dict[str, str | None]) -> Feature | None:
    """Read a row; None where the genome does not have its contig."""
    columns = line.split("\t")
    where = f"{file.path}:{number}"
    if len(columns) != _COLUMNS:
        raise DataError(f"{where}: {_count(columns)}, expected {_COLUMNS} as GFF3 and GTF have, divided by tabs")
    name, source, kind, first, last, _, strand, phase, text = columns
    start, end = _positions(first, last, where)
    if strand not in _STRANDS:
        raise DataError(f"{where}: strand {_short(strand)}, expected one of + - . ?")
    if phase not in _PHASES:
        raise DataError(f"{where}: phase {_short(phase)}, expected 0, 1, 2 or .")
    if file.dialect is None:
        file.dialect = _dialect_of(text, where)
    if name not in names:
        names[name] = _contig(name, genome, where)
    contig = names[name]
    if contig is None:
        file.absent[name] += 1
        return None
    interval = _interval(contig, start, end, genome, file, text, where)
    return Feature(interval, kind, cast(FeatureStrand, strand), _PHASES[phase], source, text, number, file)


def _positions(first: str, last: str, where: str) -> tuple[int, int]:
    if not all(text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS for text in (first, last)):
        raise DataError(f"{where}: {_short(first)} to {_short(last)}, expected two positions such as 1001 and 2000")
    start, end = int(first) - 1, int(last)
    if start < 0:
        raise DataError(f"{where}: starts at 0; positions of GFF3 and GTF begin with 1")
    if start >= end:
        raise DataError(
            f"{where}: starts at {start + 1:,} and ends at {end:,}; the lower one comes first on both strands"
        )
    return start, end


def _interval(contig: str, start: int, end: int, genome: Genome, file: _File, text: str, where: str) -> Interval:
    length = genome.length(contig)
    if file.dialect == "gff3" and "Is_circular=true" in text:
        file.circular.add(contig)
    if start < length < end and contig in file.circular:
        end = length
    if end > length:
        raise DataError(
            f"{where}: ends at {end:,}, but {contig} has {length:,} bases in the FASTA; is this the right assembly?"
        )
    return Interval(contig, start, end)


def _dialect_of(text: str, where: str) -> Dialect | None:
    """Tell by the attributes of one row which format it is; None where it has none."""
    if text.strip() in ("", "."):
        return None
    if _GFF3_KEY.match(text):
        return "gff3"
    if _GTF_KEY.match(text):
        return "gtf"
    raise DataError(f'{where}: attributes {_short(text)}, expected key=value; as in GFF3, or key "value"; as in GTF')


def _contig(name: str, genome: Genome, where: str) -> str | None:
    try:
        return genome.resolve(name, tell=False)
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from None
    except DataError:
        return None


def _check_contigs(file: _File, rows: int) -> None:
    if not rows:
        raise DataError(f"{file.path}: no feature in it; a row of GFF3 or GTF has {_COLUMNS} columns, divided by tabs")
    if file.absent.total() == rows:
        named = _some(file.absent)
        raise DataError(f"{file.path}: its features lie on {named}, which the FASTA does not have; see --chrom-map")


def _tell_contigs(file: _File, rows: int, names: dict[str, str | None]) -> None:
    """Say which contigs have another name in the FASTA, and what was left out."""
    if renamed := [f"{name!r} as {contig!r}" for name, contig in names.items() if contig not in (None, name)]:
        more = f" and {len(renamed) - 1:,} more" if len(renamed) > 1 else ""
        _log.info("%s: contigs are named as in the FASTA: %s%s", file.path, renamed[0], more)
    if left_out := file.absent.total():
        _log.info("%s: %s of %s features left out, on %s", file.path, f"{left_out:,}", f"{rows:,}", _some(file.absent))


def _some(names: Collection[str]) -> str:
    named = ", ".join(repr(name) for name in list(names)[:_NAMED])
    return f"{named} and {len(names) - _NAMED:,} more" if len(names) > _NAMED else named


def _count(columns: list[str]) -> str:
    spaced = len(columns) == 1 and len(columns[0].split()) >= _COLUMNS
    return "columns divided by spaces" if spaced else f"{len(columns)} column{'s' * (len(columns) != 1)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
