"""Every substitution of one base in a region, and every deletion of given lengths, as variants of a VCF."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.coordinates import Interval, Variant
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, DataError
from genomamba.score.variants.frame import GivenVariants, scored_frame
from genomamba.score.variants.scorers import Scorer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BASES", "MOST_BASES", "Mutations", "choose_deletions", "mutations_of", "scored_mutations"]

BASES: Final = "ACGT"
MOST_BASES: Final = 250_000
"""Of a region: a million variants, whose numbers are held in memory."""

_SUBSTITUTIONS_ALONE: Final = frozenset({"wt_marginal", "masked_marginal"})


@dataclass(frozen=True)
class Mutations:
    """What is changed in a region, in the order of a VCF.

    A base is replaced by each of the other three. A deletion lies within the region, and is written with the base
    before it, as VCF has it; with the one behind it where none is before it, or one that is not A, C, G or T. What has
    another letter, such as N, is neither replaced nor deleted, and neither is the whole of a contig.

    Attributes
    ----------
    genome : Genome
        What is read.
    region : Interval
        Its contig is as in the FASTA.
    deletions : tuple of int
        Bases that are deleted at once, ascending.
    """

    genome: Genome
    region: Interval
    deletions: tuple[int, ...] = (1,)

    @cached_property
    def sequence(self) -> str:
        """Letters of the region, in upper case."""
        return self._letters(self.region.start, self.region.end)

    @property
    def substitutions(self) -> int:
        """How many there are."""
        return (len(BASES) - 1) * int(self._is_base.sum())

    def __len__(self) -> int:
        return self.substitutions + sum(int(self._can_go(count).sum()) for count in self.deletions)

    def __iter__(self) -> Iterator[tuple[int, Variant]]:
        """Give the position of the first base that is changed, 0-based, and the variant; by the variant's start."""
        region = self.region
        before = self._letters(max(0, region.start - 1), region.start) or "N"
        behind = self._letters(region.end, min(self._length, region.end + 1)) or "N"
        around = before + self.sequence + behind
        deletions = [(count, self._can_go(count)) for count in self.deletions]
        for i, base in enumerate(self.sequence):
            site = region.start + i
            lengths = (count for count, can_go in deletions if i < len(can_go) and can_go[i])
            gone = [self._deletion(site, around[i : i + count + 2]) for count in lengths]
            # An anchor behind the site makes one start later than another whose anchor is before it.
            for variant in sorted(gone, key=lambda variant: variant.start):
                yield site, variant
            if base in BASES:
                for alt in BASES.replace(base, ""):
                    yield site, Variant(region.contig, site, base, alt)

    @property
    def _length(self) -> int:
        return self.genome.length(self.region.contig)

    @cached_property
    def _is_base(self) -> npt.NDArray[np.bool_]:
        return np.isin(list(self.sequence), list(BASES))

    def _can_go(self, count: int) -> npt.NDArray[np.bool_]:
        """Say of each position of the region that has so many bases from it on whether all are A, C, G or T."""
        bases = np.concatenate([[0], np.cumsum(self._is_base)])
        found: npt.NDArray[np.bool_] = bases[count:] - bases[:-count] == count
        # VCF has no way to say that nothing is left.
        return found & (count < self._length)

    def _deletion(self, site: int, around: str) -> Variant:
        """Write a deletion, given its bases and one on either side."""
        contig, before, behind = self.region.contig, around[0], around[-1]
        if site > 0 and (before in BASES or behind not in BASES):
            return Variant(contig, site - 1, around[:-1], before)
        return Variant(contig, site, around[1:], behind)

    def _letters(self, start: int, end: int) -> str:
        alphabet = self.genome.alphabet
        symbols = self.genome.fetch(self.region.contig, start, end)
        return alphabet.decode(alphabet.token_of_symbol[symbols]).upper().decode("latin-1")


def choose_deletions(given: Sequence[int], scorer: Scorer) -> tuple[int, ...]:
    """Return the lengths of the deletions: those given, none for a lone 0; for none given, 1 where there is a score.

    Raises
    ------
    ConfigError
        For a length that cannot be, and for any where the scores are of substitutions alone.
    """
    has_scores = not _SUBSTITUTIONS_ALONE.issuperset(scorer.columns)
    if not given:
        return (1,) if has_scores else ()
    lengths = tuple(sorted(set(given)))
    if lengths == (0,):
        return ()
    if not has_scores:
        raise ConfigError(
            f"is {lengths[0]}; {', '.join(scorer.columns)} of deletions is not defined, pseudo_llr is: leave it out",
            option="deletions",
        )
    # The base beside it counts, too.
    for length in lengths:
        if not 1 <= length < scorer.longest:
            raise ConfigError(
                f"has {length}; a deletion has 1 to {scorer.longest - 1:,} bases, and 0 alone stands for none",
                option="deletions",
            )
    return lengths


def mutations_of(region: str | Interval, genome: Genome, given: Sequence[int], scorer: Scorer) -> Mutations:
    """Return what is changed in a region.

    Raises
    ------
    DataError
        Where the genome does not have it.
    ConfigError
        As `choose_deletions`, where the text is no region, and for a region of more than `MOST_BASES`.
    """
    if isinstance(region, str):
        region = genome.interval(region)
    else:
        contig, length = genome.resolve(region.contig), genome.length(region.contig)
        if not region.start < region.end <= length:
            raise DataError(f"{region}: {contig} has {length:,} bases; stay within it")
        region = Interval(contig, region.start, region.end)
    if len(region) > MOST_BASES:
        raise ConfigError(
            f"is {region}, {len(region):,} bases; it may have {MOST_BASES:,}, which is a million variants:"
            " give parts of it",
            option="region",
        )
    return Mutations(genome, region, choose_deletions(given, scorer))


def scored_mutations(
    scorer: Scorer, mutations: Mutations, told: Callable[[int], None] = lambda count: None
) -> pd.DataFrame:
    """Score them, and return a row for each; see `genomamba.mutagenesis` for the columns.

    Parameters
    ----------
    scorer : Scorer
        Of the genome of `mutations`.
    mutations : Mutations
        What is changed.
    told : callable
        Hears how many more are done.
    """
    sites, variants = [], []
    for site, variant in mutations:
        sites.append(site + 1)
        variants.append(variant)
    table = scored_frame(scorer, mutations.genome, GivenVariants(variants, ["."] * len(variants)), told)
    columns: dict[str, Any] = {
        "kind": np.array([one.kind for one in variants], dtype=object),
        "site": np.array(sites, np.int64),
    }
    for place, (name, values) in enumerate(columns.items(), list(table.columns).index("alt") + 1):
        table.insert(place, name, values)
    return table.drop(columns="id").astype({"kind": "string"})
