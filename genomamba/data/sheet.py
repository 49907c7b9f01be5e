"""A sheet of genomes: a table with one genome a row, tabs between columns, and the names of the columns on top."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from genomamba.data.source import open_input
from genomamba.errors import DataError

__all__ = ["COLUMNS", "Row", "read_sheet"]

COLUMNS: Final = (
    "name", "fasta", "weight", "species", "softmask_weight", "exclude_bed", "valid", "test", "contigs", "regions_bed",
    "classes",
)  # fmt: skip
_NAME: Final = re.compile(r"[\w.-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One genome.

    Attributes
    ----------
    name : str
        Stands before its contigs: `NAME/chr1`. Letters, digits, `_`, `-` and `.`.
    fasta : tuple of str
        Files, folders or globs.
    weight : float or None
        Of its windows in the mixture, above 0.
    species : str
        Those of one species share a token. Default: the name.
    softmask_weight : float or None
        Weight of lower-case bases, 0 to 1.
    exclude_bed, regions_bed : str or None
        Stretches to leave out, and those to train on.
    valid, test, contigs : tuple of str
        Names or patterns of contigs.
    classes : str or None
        BED file or annotation of the classes of bases.
    """

    name: str
    fasta: tuple[str, ...]
    weight: float | None = None
    species: str
    softmask_weight: float | None = None
    exclude_bed: str | None = None
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    contigs: tuple[str, ...] = ()
    regions_bed: str | None = None
    classes: str | None = None


def read_sheet(path: str | Path) -> list[Row]:
    """Read the rows of a sheet; `name` and `fasta` must be there, other columns may be absent or empty.

    Several FASTA files, or contigs, of a row have commas between them; paths are taken from the sheet's folder. Lines
    that are empty or start with `#` are left out, and `.` stands for nothing.

    Raises
    ------
    DataError
        With the line: a column that is unknown, twice there or missing, a row of another length, a name that is no name
        or is there twice, a weight that is none. Without one: a sheet without rows.
    """
    path = Path(path)
    header: list[str] = []
    rows: list[Row] = []
    with open_input(path) as file:
        lines = file.read().decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{path}:{number}"
        cells = [cell.strip() for cell in line.split("\t")]
        if not header:
            header = _header(cells, where)
            continue
        if len(cells) != len(header):
            raise DataError(f"{where}: {len(cells)} columns, expected {len(header)}: {', '.join(header)}")
        given = {name: cell for name, cell in zip(header, cells, strict=True) if cell not in ("", ".")}
        row = _row(given, where, path.parent)
        if any(row.name == other.name for other in rows):
            raise DataError(f"{where}: a genome {row.name!r} is there already; give each a name of its own")
        rows.append(row)
    if not rows:
        raise DataError(
            f"{path}: no genome in it; the first line names columns, such as name and fasta, with tabs between"
        )
    return rows


def _header(cells: list[str], where: str) -> list[str]:
    for cell in cells:
        if cell not in COLUMNS or cells.count(cell) > 1:
            what = "is there twice" if cell in COLUMNS else "is no column of a sheet"
            raise DataError(f"{where}: {cell!r} {what}; columns are {', '.join(COLUMNS)}, with tabs between")
    if missing := [name for name in ("name", "fasta") if name not in cells]:
        raise DataError(f"{where}: no column {missing[0]!r}; a sheet needs name and fasta")
    return cells


def _row(given: dict[str, str], where: str, folder: Path) -> Row:
    for name in ("name", "fasta"):
        if name not in given:
            raise DataError(f"{where}: the column {name} is empty; a genome needs it")
    if not _NAME.fullmatch(given["name"]):
        raise DataError(f"{where}: the name {given['name']!r} may hold letters, digits, '_', '-' and '.' alone")
    readers: dict[str, Callable[[str], Any]] = {
        "fasta": lambda cell: tuple(str(folder / Path(one).expanduser()) for one in _several(cell)),
        "weight": lambda cell: _number(cell, f"{where}: weight", 0, math.inf),
        "softmask_weight": lambda cell: _number(cell, f"{where}: softmask_weight", -math.inf, 1),
        "exclude_bed": lambda cell: str(folder / Path(cell).expanduser()),
        "regions_bed": lambda cell: str(folder / Path(cell).expanduser()),
        "classes": lambda cell: str(folder / Path(cell).expanduser()),
        "valid": _several,
        "test": _several,
        "contigs": _several,
    }
    values = {name: readers.get(name, str)(cell) for name, cell in given.items()}
    return Row(**({"species": given["name"]} | values))


def _several(cell: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in cell.split(",") if one.strip())


def _number(cell: str, what: str, above: float, most: float) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    low = 0 if above == -math.inf else math.nextafter(0, 1)
    if not low <= number <= most or math.isinf(number):
        expected = "a number above 0" if most == math.inf else "between 0 and 1"
        raise DataError(f"{what} is {cell!r}; it must be {expected}")
    return number
