"""Contigs of the files that a configuration names beside the FASTA: whether it has any of them, before a job runs."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from genomamba.data.fasta import read_headers
from genomamba.data.names import ContigNames, read_chrom_map, some_names
from genomamba.data.source import Compression, DamagedSourceError, Source, compression
from genomamba.errors import DataError
from genomamba.settings import settings_of
from genomamba.workflow.config import WORKFLOWS

__all__ = ["check_contigs"]

# What takes a second or two. Of what is larger the first jobs tell, which read all of it.
_MOST_BYTES: Final[Mapping[Compression, int]] = {"none": 500_000_000, "gzip": 50_000_000, "bgzf": 50_000_000}
_BEDS: Final = (".bed", ".bed.gz")


def check_contigs(name: str, config: Path) -> None:
    """Raise `DataError` where a VCF, an annotation or a BED file of a configuration has no contig of its FASTA.

    What Snakemake will refuse, such as a file that is missing, is passed over, and so is what takes long: a FASTA
    without an index beside it, and a file none of whose contigs so far is known, where they are above `_MOST_BYTES`.

    Parameters
    ----------
    name : str
        The workflow.
    config : Path
        YAML.
    """
    try:
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    if not isinstance(settings, dict):
        return
    files = list(_files_of(settings))
    if not files or (names := _names_of(settings)) is None:
        return
    hint = " chrom_map matches names" if "chrom_map" in settings_of(WORKFLOWS[name].settings) else ""
    for file in files:
        _check(file, *names, hint)


def _names_of(settings: Mapping[str, Any]) -> tuple[ContigNames, list[str]] | None:
    """Return what finds contigs of the FASTA files, and their names; None where these are not to be had quickly."""
    found: dict[str, str] = {}
    fastas = _listed(settings.get("fasta"))
    for fasta in fastas:
        headers = read_headers(fasta, _MOST_BYTES) if fasta.is_file() else None
        if headers is None:
            return None
        found |= headers
    maps = _listed(settings.get("chrom_map"))
    if not found or not all(path.is_file() for path in maps):
        return None
    mapping = {name: other for path in maps for name, other in read_chrom_map(path).items()}
    origin = str(fastas[0]) if len(fastas) == 1 else f"{len(fastas)} FASTA files"
    return ContigNames(found, origin, (), mapping), list(found)


def _files_of(settings: Mapping[str, Any]) -> Iterator[Path]:
    """Give the files whose contigs are to be those of the FASTA, as far as they are there."""
    sheet = settings.get("cohorts")
    given = [settings.get(key) for key in ("background", "gff", "classes")]
    given += sheet.values() if isinstance(sheet, dict) else _cohorts(_listed(sheet))
    data = settings.get("data")
    entries = data.values() if isinstance(data, dict) else ()
    named = [entry.get("data") for entry in entries if isinstance(entry, dict)]
    given += [one for one in named if isinstance(one, str) and one.lower().endswith(_BEDS)]
    for one in given:
        yield from (path for path in _listed(one) if path.is_file())


def _cohorts(sheets: Iterable[Path]) -> Iterator[str]:
    for sheet in sheets:
        if sheet.is_file():
            with sheet.open(newline="", encoding="utf-8", errors="replace") as file:
                rows = [row for row in csv.reader(file, delimiter="\t") if len(row) == 2]
            yield from (vcf for name, vcf in rows[1:] if not name.startswith("#"))


def _check(file: Path, names: ContigNames, has: list[str], hint: str) -> None:
    absent: list[str] = []
    for contig in _contigs(file):
        if contig is None:
            return
        try:
            names.resolve(contig, tell=False)
        except DataError:
            absent.append(contig)
        else:
            return
    if absent:
        raise DataError(
            f"{file}: its contigs are {some_names(absent)}, and the FASTA has {some_names(has)}; is this the right"
            f" assembly?{hint}"
        )


def _contigs(file: Path) -> Iterator[str | None]:
    """Give each contig of a VCF, BED, GFF3 or GTF file once, and None where not all of it is read."""
    seen: set[bytes] = set()
    rest, most = b"", _MOST_BYTES[compression(file)]
    with Source(file) as source:
        try:
            # A last line may have no end.
            for block in itertools.chain(source.blocks(), [b"\n"]):
                *lines, rest = (rest + block).split(b"\n")
                if (lines and lines[0].startswith(b"BCF")) or source.raw_bytes > most:
                    break
                for line in lines:
                    if line.startswith((b"##FASTA", b">")):
                        return
                    contig, tab, _ = line.partition(b"\t")
                    if tab and contig not in seen and not line.startswith((b"#", b"track ", b"browser ")):
                        seen.add(contig)
                        yield contig.decode("utf-8", "replace")
            else:
                return
        except DamagedSourceError:
            pass
    yield None


def _listed(value: Any) -> list[Path]:
    return [Path(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
