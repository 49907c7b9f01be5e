"""Variants from Python in, a table of scores out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.data.vcf import VcfReader
from genomamba.errors import DataError
from genomamba.score.variants.placing import Background
from genomamba.score.variants.scorers import Scorer
from genomamba.score.variants.status import Status

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GivenVariants", "read_variants", "scored_frame"]

_MISSING: Final = "."
_COLUMNS: Final = ("chrom", "pos", "ref", "alt")
_FARTHEST: Final = 10**18


@dataclass(frozen=True, slots=True)
class GivenVariants:
    """Alleles in the order they were given in.

    Attributes
    ----------
    variants : list of Variant
        On the contigs as given.
    ids : list of str
        `.` where there is none.
    index : pandas.Index, optional
        Of the table that they came in.
    """

    variants: list[Variant]
    ids: list[str]
    index: Any = None


def read_variants(variants: str | Path | pd.DataFrame | Iterable[Any]) -> GivenVariants:
    """Read the alleles of a file, a table, or a list; see `genomamba.VariantScorer.score`."""
    import pandas as pd

    if isinstance(variants, (str, Path)):
        return _of_file(variants)
    if isinstance(variants, pd.DataFrame):
        return _of_table(variants)
    if isinstance(variants, (bytes, Mapping)) or not isinstance(variants, Iterable):
        raise DataError(
            f"variants is {type(variants).__name__}; give the path of a VCF, a DataFrame, or a list of Variant or"
            " (chrom, pos, ref, alt)"
        )
    found = [_variant(f"variants[{i}]", one) for i, one in enumerate(variants)]
    return GivenVariants(found, [_MISSING] * len(found))


def scored_frame(
    scorer: Scorer,
    genome: Genome,
    given: GivenVariants,
    told: Callable[[int], None] = lambda count: None,
    background: Background | None = None,
) -> pd.DataFrame:
    """Score alleles, and return a row for each in the order they were given in.

    Parameters
    ----------
    scorer : Scorer
        Of `genome`.
    genome : Genome
        Whose names the contigs are matched with.
    given : GivenVariants
        The alleles, in any order.
    told : callable
        Hears how many more are done.
    background : Background, optional
        Adds columns that say where scores stand.
    """
    import pandas as pd

    variants = given.variants
    contigs = {name: genome.find(name) for name in {one.contig for one in variants}}
    # Scorers read a contig from left to right.
    order = sorted(range(len(variants)), key=lambda i: (contigs[variants[i].contig] or "", variants[i].start))
    numbers = np.full((len(variants), len(scorer.columns)), np.nan)
    statuses: list[Status] = [Status.OK] * len(variants)
    for contig, group in groupby(order, key=lambda i: contigs[variants[i].contig]):
        places = list(group)
        for i, (_, status, row) in zip(places, scorer.scores(contig, [variants[i] for i in places]), strict=True):
            statuses[i], numbers[i] = status, row
            told(1)
    columns: dict[str, Any] = {
        "chrom": pd.array([one.contig for one in variants], dtype="string"),
        "pos": np.array([one.start + 1 for one in variants], np.int64),
        "id": pd.array(given.ids, dtype="string"),
        "ref": pd.array([one.ref for one in variants], dtype="string"),
        "alt": pd.array([one.alt for one in variants], dtype="string"),
    }
    columns |= {name: numbers[:, i] for i, name in enumerate(scorer.columns)}
    if background is not None:
        # What a background was fitted to is float32, too.
        scores = numbers[:, 0].astype(np.float32).tolist()
        placed = background.columns(scores, ((contigs[one.contig], one) for one in variants))
        columns |= {name: np.array(values, np.float64) for name, values in placed.items()}
    columns["status"] = pd.array([str(status) for status in statuses], dtype="string")
    return pd.DataFrame(columns, index=given.index)


def _of_file(path: str | Path) -> GivenVariants:
    variants, ids = [], []
    with VcfReader(path) as reader:
        for record in reader:
            for alt in record.alts:
                variants.append(Variant(record.chrom, record.start, record.ref, alt))
                ids.append(record.id.decode("utf-8", "backslashreplace"))
    return GivenVariants(variants, ids)


def _of_table(table: pd.DataFrame) -> GivenVariants:
    absent = [name for name in _COLUMNS if name not in table.columns]
    if absent:
        raise DataError(
            f"variants: the table has no column {absent[0]}; it needs chrom, pos (1-based), ref, alt, and may have id"
        )
    rows = zip(*(table[name].tolist() for name in _COLUMNS), strict=True)
    variants = [_variant(f"variants, row {label}", row) for label, row in zip(table.index, rows, strict=True)]
    ids = [_MISSING] * len(variants)
    if "id" in table.columns:
        missing = table["id"].isna()
        ids = [_MISSING if none else str(one) for one, none in zip(table["id"], missing, strict=True)]
    return GivenVariants(variants, ids, table.index)


def _variant(place: str, given: Any) -> Variant:
    found = given if isinstance(given, Variant) else _of_row(place, given)
    if abs(found.start) >= _FARTHEST:
        raise DataError(f"{place}: pos is {found.start + 1:,}; it must have fewer than 19 digits")
    return found


def _of_row(place: str, given: Any) -> Variant:
    if not isinstance(given, (tuple, list)) or len(given) != len(_COLUMNS):
        raise DataError(f"{place}: {given!r} is neither a Variant nor (chrom, pos, ref, alt)")
    chrom, pos, ref, alt = given
    is_whole = not isinstance(pos, (bool, np.bool_)) and isinstance(pos, (int, float, np.integer, np.floating))
    if not is_whole or pos != pos // 1:
        raise DataError(f"{place}: pos is {pos!r}; it must be a whole number, 1-based as in VCF")
    for name, text in (("chrom", chrom), ("ref", ref), ("alt", alt)):
        if not isinstance(text, str):
            raise DataError(f"{place}: {name} is {text!r}; it must be text")
    if "," in alt:
        raise DataError(f"{place}: alt is {alt!r}; give each allele a row of its own")
    return Variant(chrom, int(pos) - 1, ref, alt)
