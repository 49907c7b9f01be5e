"""Which sequences train, which choose, which test: as the data says, by group, by contig, at random, in folds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from genomamba.classify.labelled import SPLITS, Categories, Labelled
from genomamba.classify.labels import Labels
from genomamba.errors import ConfigError, DataError

__all__ = ["SplitBy", "assign_splits", "carve_valid", "check_trainable", "fold_splits", "folds_of"]

SplitBy = Literal["column", "group", "contig", "random"]

TRAIN, VALID, TEST = range(len(SPLITS))
_STRATA: Final = 10
"""Classes that numbers are put into, equally many in each, where parts are to be alike."""

Int8Array = npt.NDArray[np.int8]
Int64Array = npt.NDArray[np.int64]


def assign_splits(
    data: Labelled,
    by: SplitBy | None = None,
    *,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    test_share: float = 0.2,
    valid_share: float = 0.1,
    seed: int = 0,
) -> Labelled:
    """Say of each sequence whether it trains, validates or tests.

    Parameters
    ----------
    data : Labelled
    by : {"column", "group", "contig", "random"}, optional
        column: as the data says. group, contig: no group, or contig, is in two parts. random: alike in classes.
        Default: column where the data has one; contig where `valid` or `test` is given and it has contigs; group where
        it has groups; else random.
    valid, test : sequence of str
        Names of groups or contigs, or patterns such as chr2*.
    test_share : float
        Share of the sequences that test, where none is named and the data does not say; of groups and contigs, as many
        as come nearest to it.
    valid_share : float
        Share of the training part that validates, where there is no such part; 0 for none. Where parts are of groups or
        contigs, of whole ones.
    seed : int
        Of what is drawn.

    Returns
    -------
    Labelled
        With `splits`.

    Raises
    ------
    ConfigError
        Where the data has no such column, or a name or a share leaves nothing to train on.
    """
    by = by or _default(data, bool(valid or test))
    kinds = {"group": data.groups, "contig": data.contigs}
    categories = kinds.get(by)
    if by in kinds and categories is None:
        raise ConfigError(f"{data.origin}: --split-by is {by}, and there is no {by} column; name it by --{by}-column")
    if categories is None and (valid or test):
        raise ConfigError(f"{data.origin}: --valid and --test name groups or contigs, and it is split by {by}")
    if by == "column":
        if data.splits is None:
            raise ConfigError(
                f"{data.origin}: no column says which part a sequence is in; name it by --split-column,"
                " or give --split-by random"
            )
        splits = data.splits.copy()
    else:
        splits = np.zeros(len(data), np.int8)
        strata = strata_of(data.labels, len(data))
        if categories is not None and (valid or test):
            validates, tests = (_named(categories, patterns, data.origin) for patterns in (valid, test))
            if (validates & tests).any():
                twice = categories.names[categories.codes[int((validates & tests).argmax())]]
                raise ConfigError(f"{data.origin}: --valid and --test both name {twice!r}; it can be in one of them")
            splits[validates], splits[tests] = VALID, TEST
        elif test_share:
            splits[_draw(np.arange(len(data)), test_share, strata, categories, seed, "test")] = TEST
    if not (splits == TRAIN).any():
        raise ConfigError(f"{data.origin}: nothing is left to train on; hold out less")
    splits = carve_valid(data, splits, valid_share, seed, data.groups if by == "column" else categories)
    return dataclasses.replace(data, splits=splits)


def carve_valid(
    data: Labelled, splits: Int8Array, share: float, seed: int, categories: Categories | None = None
) -> Int8Array:
    """Take a validation part from the training part, where there is none: alike in classes, or whole categories."""
    if not share or (splits == VALID).any():
        return splits
    rows = np.flatnonzero(splits == TRAIN)
    splits = splits.copy()
    splits[_draw(rows, share, strata_of(data.labels, len(data)), categories, seed + 1, "valid")] = VALID
    return splits


def folds_of(
    labels: Labels | None, count: int, folds: int, *, groups: Categories | None = None, seed: int = 0
) -> Int64Array:
    """Deal sequences out into folds.

    Parameters
    ----------
    labels : Labels, optional
        Folds are alike in them: classes, combinations of classes, tenths of the values.
    count, folds : int
        How many sequences, and how many folds.
    groups : Categories, optional
        No group is in two folds; they are then only as alike as whole groups let them be.
    seed : int
        Of the draw.

    Returns
    -------
    fold : (sequences,), int64
        From 0. Without groups, the folds differ by one in each stratum, and by one in all.

    Raises
    ------
    ConfigError
        Where there are fewer sequences, or groups, than folds.
    """
    units = count if groups is None else np.unique(groups.codes).size
    if not 2 <= folds <= units:
        what = "sequences" if groups is None else "groups"
        raise ConfigError(f"--folds is {folds}; it must lie between 2 and the number of {what}, {units:,}")
    rng = np.random.default_rng(seed)
    strata = strata_of(labels, count)
    if groups is not None:
        return _grouped_folds(strata, groups.codes, folds, rng)
    # Shuffled, then stratum after stratum; dealing goes on where the last stratum ended.
    order = rng.permutation(count)
    order = order[np.argsort(strata[order], kind="stable")]
    fold = np.empty(count, np.int64)
    fold[order] = np.arange(count) % folds
    return fold


def fold_splits(data: Labelled, fold: Int64Array, test_fold: int, valid_share: float, seed: int) -> Labelled:
    """Return the data with one fold to test on, and a validation part taken from the others."""
    splits = np.where(fold == test_fold, TEST, TRAIN).astype(np.int8)
    return dataclasses.replace(data, splits=carve_valid(data, splits, valid_share, seed + test_fold, data.groups))


def check_trainable(data: Labelled) -> None:
    """Refuse data that nothing can be learnt from.

    Raises
    ------
    DataError
        Where there are no labels, or one alone, or where a class is absent from the training part.
    """
    labels = data.labels
    if labels is None:
        raise DataError(f"{data.origin}: no labels to learn; name their column by --label-column")
    present = _present(labels, data)
    if labels.kind == "regression":
        if np.unique(labels.values).size < 2:
            raise DataError(f"{data.origin}: every label is {labels.values[0]:g}; there is nothing to tell apart")
        return
    few = 1 if labels.kind == "multi" else 2
    if len(labels.classes) < few:
        only = labels.classes[0] if labels.classes else "none"
        raise DataError(f"{data.origin}: every label is {only!r}; give two classes at least")
    if data.splits is None:
        return
    for number, name in enumerate(labels.classes):
        if present[TRAIN, number]:
            continue
        elsewhere = [part for part, here in zip(SPLITS, present[:, number], strict=True) if here]
        where = f"is in {elsewhere[0]} and not in train" if elsewhere else "is that of no sequence"
        raise DataError(f"{data.origin}: the class {name!r} {where}; put some into train, or leave it out")


def _present(labels: Labels, data: Labelled) -> npt.NDArray[np.bool_]:
    """Tell which classes are in which part: (parts, classes)."""
    present = np.zeros((len(SPLITS), len(labels.classes)), np.bool_)
    splits = np.zeros(len(data), np.int8) if data.splits is None else data.splits
    if labels.kind == "per-base":
        splits = splits.repeat(data.sequences.lengths)
    for part in range(len(SPLITS)):
        values = labels.values[splits == part]
        if labels.kind == "multi":
            present[part] = values.any(0)
        elif labels.kind != "regression":
            present[part, np.unique(values)] = True
    return present


def strata_of(labels: Labels | None, count: int) -> Int64Array:
    """Return a number for each sequence, alike for those with like labels: (sequences,), int64."""
    if labels is None or labels.kind == "per-base":
        return np.zeros(count, np.int64)
    values: npt.NDArray[Any] = labels.values
    if labels.kind == "regression":
        ranks: Int64Array = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        return ranks * _STRATA // max(1, count)
    if labels.kind == "multi":
        _, strata = np.unique(values, axis=0, return_inverse=True)
        return strata.reshape(-1).astype(np.int64)
    return values.astype(np.int64)


def _default(data: Labelled, named: bool) -> SplitBy:
    if named:
        return "contig" if data.contigs is not None and data.groups is None else "group"
    if data.splits is not None:
        return "column"
    return "random" if data.groups is None else "group"


def _named(categories: Categories, patterns: Sequence[str], origin: str) -> npt.NDArray[np.bool_]:
    """Return which sequences are of categories that patterns name."""
    codes: set[int] = set()
    for pattern in patterns:
        found = {code for code, name in enumerate(categories.names) if name == pattern or fnmatchcase(name, pattern)}
        if not found:
            some = ", ".join(map(repr, categories.names[:3]))
            raise ConfigError(
                f"{origin}: nothing is called {pattern!r}; it has {some}, {len(categories.names):,} in all"
            )
        codes |= found
    return np.isin(categories.codes, list(codes))


def _draw(
    rows: Int64Array, share: float, strata: Int64Array, categories: Categories | None, seed: int, part: str
) -> Int64Array:
    """Return a share of some sequences: of each stratum, or whole categories in a drawn order up to the share."""
    rng = np.random.default_rng(seed)
    if categories is None:
        order = rng.permutation(rows)
        order = order[np.argsort(strata[order], kind="stable")]
        # Every so-many-th of them: of each stratum within one of its share.
        cuts = np.floor((np.arange(order.size) + 0.5) * share + rng.random())
        drawn: Int64Array = order[np.diff(cuts, prepend=cuts[0] if cuts.size else 0).astype(bool)]
        return drawn
    codes, sizes = np.unique(categories.codes[rows], return_counts=True)
    if codes.size < 2:
        raise ConfigError(
            f"{codes.size} category is left to take a part for {part} from, and none may be in two; name the parts by"
            " --valid and --test, or give --valid-share 0"
        )
    order = rng.permutation(codes.size)
    reached = sizes[order].cumsum()
    count = min(codes.size - 1, 1 + int(np.abs(reached - share * rows.size).argmin()))
    return rows[np.isin(categories.codes[rows], codes[order[:count]])]


def _grouped_folds(
    strata: Int64Array, codes: npt.NDArray[np.int32], folds: int, rng: np.random.Generator
) -> Int64Array:
    """Put groups, largest first, each into the fold that is then the most like the others."""
    _, group_of = np.unique(codes, return_inverse=True)
    _, kind_of = np.unique(strata, return_inverse=True)
    groups, kinds = int(group_of.max()) + 1, int(kind_of.max()) + 1
    counts = np.zeros((groups, kinds), np.int64)
    np.add.at(counts, (group_of, kind_of), 1)
    shuffled = rng.permutation(groups)
    order = shuffled[np.argsort(-counts[shuffled].sum(1), kind="stable")]
    weights = 1 / np.maximum(1, counts.sum(0))
    held = np.zeros((folds, kinds))
    fold = np.empty(groups, np.int64)
    for group in order.tolist():
        # What squares grow by when the group is added; the smaller fold where that is the same.
        growth = ((2 * held + counts[group]) * counts[group] * weights**2).sum(1)
        best = int(np.lexsort((held.sum(1), growth))[0])
        fold[group] = best
        held[best] += counts[group]
    return fold[group_of]
