"""A genome: contigs of one or several FASTA files, read window by window from their caches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import Alphabet
from genomamba.coordinates import Interval, parse_region
from genomamba.data.cache import CachedFasta, build_cache
from genomamba.data.names import ContigNames, is_excluded_by_default, read_chrom_map
from genomamba.data.source import expand_paths
from genomamba.errors import ConfigError, DataError

__all__ = ["Contig", "Genome"]

UInt8Array = npt.NDArray[np.uint8]

_NO_END: Final = 2**62


@dataclass(frozen=True, slots=True)
class Contig:
    """One sequence: its name in the FASTA, its length in bases, and its file."""

    name: str
    length: int
    path: Path


class Genome:
    """Symbols of any stretch of any contig. Light, picklable, and safe under threads, fork and forkserver.

    Attributes
    ----------
    alphabet : Alphabet
        Of the symbols.
    contigs : tuple of Contig
        Those in use, in the order of the files.
    excluded : tuple of Contig
        Those left out, by default or because `contigs` named others.
    """

    def __init__(
        self,
        caches: Sequence[tuple[Path, CachedFasta]],
        alphabet: Alphabet,
        *,
        contigs: Sequence[str] = (),
        chrom_map: str | Path | None = None,
    ) -> None:
        self.alphabet = alphabet
        self._caches = dict(caches)
        found = _all_contigs(caches)
        descriptions = {name: self._caches[c.path].contigs[name].description for name, c in found.items()}
        origin = str(caches[0][0]) if len(caches) == 1 else f"{len(caches)} FASTA files"
        mapping = read_chrom_map(chrom_map) if chrom_map else {}
        chosen = _choose(ContigNames(descriptions, origin, (), mapping), found, contigs, alphabet, origin)
        self.contigs = tuple(contig for name, contig in found.items() if name in chosen)
        self.excluded = tuple(contig for name, contig in found.items() if name not in chosen)
        self._by_name = {contig.name: contig for contig in self.contigs}
        kept = {name: descriptions[name] for name in self._by_name}
        self._names = ContigNames(kept, origin, (c.name for c in self.excluded), mapping)

    @classmethod
    def open(
        cls,
        paths: Sequence[str | Path],
        alphabet: Alphabet,
        *,
        cache_dir: str | Path | None = None,
        contigs: Sequence[str] = (),
        chrom_map: str | Path | None = None,
        progress: bool = True,
    ) -> Genome:
        """Open files, directories or globs; caches that are missing or stale are made.

        Parameters
        ----------
        paths : sequence of str or Path
            See `genomamba.data.source.expand_paths`.
        contigs : sequence of str
            Names, or patterns with `*` and `?`, of the contigs to use. Default: all but those of
            `genomamba.data.names.DEFAULT_EXCLUDED`.
        chrom_map : str or Path, optional
            Two-column file: name given, name in the FASTA.
        cache_dir, progress
            See `genomamba.data.cache.build_cache`.

        Raises
        ------
        DataError
            Where a file is missing or malformed, two contigs share a name, or a contig asked for is absent.
        ConfigError
            Where no contig is left.
        """
        files = expand_paths(paths)
        if not files:
            raise ConfigError("no FASTA was given; name files, directories or globs with --fasta")
        caches = [(file, build_cache(file, alphabet, cache_dir=cache_dir, progress=progress)) for file in files]
        return cls(caches, alphabet, contigs=contigs, chrom_map=chrom_map)

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Path, size in bytes and SHA-256 of each file, for the record of a run."""
        return [
            {"path": str(path), "bytes": cache.source["bytes"], "sha256": cache.source["sha256"]}
            for path, cache in self._caches.items()
        ]

    def resolve(self, name: str, *, tell: bool = True) -> str:
        """Return the contig's name in the FASTA; see `genomamba.data.names.ContigNames.resolve`."""
        return self._names.resolve(name, tell=tell)

    def find(self, name: str) -> str | None:
        """Return the contig's name in the FASTA as `resolve` does, or None where there is none."""
        try:
            return self._names.resolve(name)
        except DataError:
            return None

    def match(self, pattern: str) -> list[str]:
        """Return the contigs that a name or a pattern means; see `ContigNames.match`."""
        return self._names.match(pattern)

    def length(self, contig: str) -> int:
        """Length of a contig in bases."""
        return self._contig(contig).length

    def interval(self, region: str) -> Interval:
        """Return the stretch that a region string names: chr1, or chr1:1,001-2,000 (1-based, inclusive).

        Raises
        ------
        DataError
            Where there is no such contig, or where the region passes its end.
        ConfigError
            Where the text is no region.
        """
        # The name of a contig may itself look like a region.
        whole = region in self._by_name
        asked = Interval(region, 0, _NO_END) if whole else parse_region(region, _NO_END)
        contig = self.resolve(asked.contig)
        length = self.length(contig)
        end = length if asked.end == _NO_END else asked.end
        if not asked.start < end <= length:
            raise DataError(f"{region}: {contig} has {length:,} bases; stay within it")
        return Interval(contig, asked.start, end)

    def fetch(self, contig: str, start: int, end: int, *, pad: bool = False) -> UInt8Array:
        """Return the symbols of [start, end), uint8, (end - start,).

        Parameters
        ----------
        pad : bool
            Fill what lies past the contig's end with N; refused for `bytes`, which has no symbol for it.

        Raises
        ------
        DataError
            Where there is no such contig, or where the stretch passes its end and `pad` is False.
        ValueError
            Where not 0 <= start <= end.
        ConfigError
            Where `pad` is asked of the `bytes` alphabet.
        """
        if not 0 <= start <= end:
            raise ValueError(f"[{start}, {end}) of {contig} is not 0 <= start <= end")
        found = self._contig(contig)
        if pad and not self.alphabet.has_complement:
            raise ConfigError(f"the {self.alphabet.name} alphabet has no symbol to pad with; fetch within the contig")
        if end > found.length and not pad:
            raise DataError(
                f"{found.path}: {found.name} has {found.length:,} bases, and 0-based [{start:,}, {end:,}) "
                "was asked; stay within it, or ask for padding"
            )
        inside = self._caches[found.path].read(found.name, min(start, found.length), min(end, found.length))
        if inside.size == end - start:
            return inside
        symbols = np.full(end - start, self.alphabet.symbol_of_text[ord("N")], np.uint8)
        symbols[: inside.size] = inside
        return symbols

    def _contig(self, name: str) -> Contig:
        return self._by_name.get(name) or self._by_name[self.resolve(name)]


def _all_contigs(caches: Sequence[tuple[Path, CachedFasta]]) -> dict[str, Contig]:
    found: dict[str, Contig] = {}
    for path, cache in caches:
        for name, cached in cache.contigs.items():
            if name in found:
                raise DataError(
                    f"{path}: the name {name!r} is in {found[name].path} too; rename one, or give one of the files"
                )
            found[name] = Contig(name, cached.length, path)
    return found


def _choose(
    names: ContigNames, found: dict[str, Contig], contigs: Sequence[str], alphabet: Alphabet, origin: str
) -> set[str]:
    if contigs:
        return {name for pattern in contigs for name in names.match(pattern)}
    if not alphabet.has_complement:
        return set(found)
    if chosen := {name for name in found if not is_excluded_by_default(name)}:
        return chosen
    raise ConfigError(
        f"{origin}: all {len(found)} contigs are left out by default (alternative, unplaced, decoy or viral "
        "by name); name those to use, such as --contigs '*'"
    )
