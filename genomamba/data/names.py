"""Names of contigs: the spellings under which people ask for one, and those left out where nobody asks."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase, translate
from pathlib import Path
from typing import Final

from genomamba.data.source import open_input
from genomamba.errors import ConfigError, DataError

__all__ = [
    "DEFAULT_EXCLUDED",
    "ContigNames",
    "header_aliases",
    "is_excluded_by_default",
    "read_chrom_map",
    "some_names",
]

DEFAULT_EXCLUDED: Final = (
    "*_alt", "*_random", "chrUn*", "*_fix", "*_hap*", "chrEBV", "EBV", "NC_007605*",
    "hs37d5", "*_decoy", "HLA-*", "GL000*", "KI27*",
)  # fmt: skip

_MITOCHONDRION = ("MT", "chrM", "chrMT", "M")
_BRACKETS = re.compile(r"\[(chromosome|location)=([^\]]+)\]")
_IN_WORDS = re.compile(r"\bchromosome:?\s+([\w.]+)\s*(?:,|$)")
_LISTED = 3
_EXCLUDED = re.compile("|".join(map(translate, DEFAULT_EXCLUDED)))

_log = logging.getLogger("genomamba")


def is_excluded_by_default(name: str) -> bool:
    """Whether a contig is left out where none is named: alternative, unplaced, decoy and viral ones."""
    return _EXCLUDED.match(name) is not None


def header_aliases(name: str, description: str) -> set[str]:
    """Return other names that a FASTA header gives its record.

    `ref|NC_001133|` and `gi|9626243|ref|NC_001416.1|` hold accessions (with and without version); the rest of
    the line may hold `[chromosome=I]`, `[location=mitochondrion]` (SGD), or `chromosome I, ...`,
    `mitochondrion, ...` (NCBI).
    """
    aliases = {part for part in name.split("|")[1:] if part} if "|" in name else set()
    fields = dict(_BRACKETS.findall(description))
    if chromosome := fields.get("chromosome"):
        aliases.add(chromosome)
    elif match := _IN_WORDS.search(description):
        aliases.add(match[1])
    if fields.get("location") == "mitochondrion" or re.search(r"\bmitochondrion,", description):
        aliases.add("MT")
    aliases |= {alias.rsplit(".", 1)[0] for alias in (*aliases, name) if re.fullmatch(r"\w+\.\d+", alias)}
    return aliases - {name}


def read_chrom_map(path: str | Path) -> dict[str, str]:
    """Read two columns: name given in an option, name in the FASTA. Raises `DataError` with the line."""
    path = Path(path)
    names: dict[str, str] = {}
    with open_input(path) as file:
        for number, raw in enumerate(file, 1):
            line = raw.decode("utf-8", "replace").strip()
            if not line or line.startswith("#"):
                continue
            columns = line.split("\t") if "\t" in line else line.split()
            if len(columns) != 2:
                raise DataError(f"{path}:{number}: {len(columns)} columns, expected 2: name given, name in the FASTA")
            names[columns[0].strip()] = columns[1].strip()
    return names


class ContigNames:
    """Finds the contig that a name means.

    Parameters
    ----------
    descriptions : mapping of str to str
        For each contig its name and the rest of its header.
    origin : str
        Named in errors, such as the FASTA's path.
    excluded : iterable of str
        Contigs that exist but are left out.
    chrom_map : mapping of str to str
        Name given to name in the FASTA, the last resort.
    """

    def __init__(
        self,
        descriptions: Mapping[str, str],
        origin: str,
        excluded: Iterable[str] = (),
        chrom_map: Mapping[str, str] | None = None,
    ) -> None:
        self._descriptions = descriptions
        self._origin = origin
        self._excluded = frozenset(excluded)
        self._chrom_map = dict(chrom_map or {})
        self._aliases: dict[str, list[str]] | None = None
        self._told: set[str] = set()

    def resolve(self, name: str, *, tell: bool = True) -> str:
        """Return the contig's own name: exact, then chr1 <-> 1 and chrM <-> MT, then the map.

        Where two spellings differ, it is logged, once for each name, unless `tell` is False.

        Raises
        ------
        DataError
            Where no contig has the name; the message lists what is there.
        ConfigError
            Where headers of several contigs give the name.
        """
        if name in self._descriptions:
            return name
        found = self._other_spelling(name)
        if found is None and (mapped := self._chrom_map.get(name)) is not None:
            found = mapped if mapped in self._descriptions else self._other_spelling(mapped)
        if found is None:
            raise DataError(self._absent(name))
        if tell and name not in self._told:
            self._told.add(name)
            _log.info("%s: %r is read as %r", self._origin, name, found)
        return found

    def match(self, pattern: str) -> list[str]:
        """Return the contigs that a name, or a pattern with `*` or `?`, means; raises as `resolve`."""
        if pattern not in self._descriptions and ("*" in pattern or "?" in pattern):
            if found := [name for name in self._descriptions if fnmatchcase(name, pattern)]:
                return found
            raise DataError(self._absent(pattern))
        return [self.resolve(pattern)]

    def _other_spelling(self, name: str) -> str | None:
        spellings = (name, *_chromosome_forms(name))
        for spelling in spellings:
            if spelling in self._descriptions:
                return spelling
        if self._aliases is None:
            self._aliases = {}
            for contig, description in self._descriptions.items():
                for alias in header_aliases(contig, description):
                    self._aliases.setdefault(alias, []).append(contig)
        for spelling in spellings:
            contigs = self._aliases.get(spelling, [])
            if len(contigs) > 1:
                raise ConfigError(
                    f"{self._origin}: {name!r} may be any of {some_names(contigs)}; give the name in the FASTA"
                )
            if contigs:
                return contigs[0]
        return None

    def _absent(self, name: str) -> str:
        if name in self._excluded:
            return f"{self._origin}: the sequence {name!r} is left out; name it in --contigs to use it"
        kind = "sequence that matches" if "*" in name or "?" in name else "sequence"
        has = some_names(list(self._descriptions))
        return f"{self._origin}: no {kind} {name!r}; it has {has}; name them with --chrom-map"


def _chromosome_forms(name: str) -> tuple[str, ...]:
    if name in _MITOCHONDRION:
        return tuple(other for other in _MITOCHONDRION if other != name)
    return (name[3:],) if name.startswith("chr") else (f"chr{name}",)


def some_names(names: list[str]) -> str:
    """Return the first few names in quotes, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:_LISTED])
    return f"{shown} and {len(names) - _LISTED:,} more" if len(names) > _LISTED else shown
