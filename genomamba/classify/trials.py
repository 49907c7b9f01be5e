"""Trials: which sequences learn, validate and test, once for every seed or fold, and which of them leak."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import Alphabet
from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.labelled import SPLITS, Labelled
from genomamba.classify.labels import Labels
from genomamba.classify.leaks import Leaks
from genomamba.classify.others import names_of
from genomamba.classify.reading import load_data, read_data, report_leaks
from genomamba.classify.splits import carve_valid, check_trainable, fold_splits, folds_of
from genomamba.errors import ConfigError

__all__ = ["Trial", "Trials", "load_trials"]

Int64Array = npt.NDArray[np.int64]
TRAIN, VALID, TEST = range(len(SPLITS))


@dataclass(frozen=True)
class Trial:
    """One division of the data, and the seed of what is drawn for it."""

    name: str
    data: Labelled
    seed: int

    @cached_property
    def train(self) -> Int64Array:
        """Rows that learn."""
        return self._part(TRAIN)

    @cached_property
    def valid(self) -> Int64Array:
        """Rows that say when to stop, and what to choose; may be none."""
        return self._part(VALID)

    @cached_property
    def test(self) -> Int64Array:
        """Rows that judge; may be none."""
        return self._part(TEST)

    @cached_property
    def judged(self) -> Int64Array:
        """Rows that contenders are asked of: those of the test part, then those of each other data that tests."""
        assert self.data.splits is not None
        rows = np.flatnonzero(self.data.splits >= TEST)
        return rows[np.argsort(self.data.splits[rows], kind="stable")]

    @cached_property
    def known(self) -> Int64Array:
        """Rows of train and valid, which all that is chosen may be chosen by."""
        return np.sort(np.concatenate([self.train, self.valid]))

    def _part(self, part: int) -> Int64Array:
        assert self.data.splits is not None
        return np.flatnonzero(self.data.splits == part)


@dataclass(frozen=True, kw_only=True)
class Trials:
    """All trials of one data set.

    Attributes
    ----------
    data : Labelled
        All sequences.
    each : tuple of Trial
        Folds, or seeds over one test part.
    folds : int
        How many folds; 0 where there are none.
    protocol : str
        What is done, in words.
    leaks : Leaks
        Between the parts, or the folds.
    leaked : (sequences,), bool
        Sequences of the test part that train or valid has too; with folds, that another fold has.
    others : tuple of str
        Names of other data that tests: parts of `data` that follow those of `SPLITS`.
    """

    data: Labelled
    each: tuple[Trial, ...]
    folds: int
    protocol: str
    leaks: Leaks
    leaked: npt.NDArray[np.bool_]
    others: tuple[str, ...] = ()

    @property
    def labels(self) -> Labels:
        """Labels of all sequences."""
        assert self.data.labels is not None
        return self.data.labels

    @property
    def tested(self) -> Int64Array:
        """Rows that are tested, each once: those of the folds one after the other, or the one test part."""
        if self.folds:
            return np.concatenate([trial.test for trial in self.each])
        return self.each[0].test

    def over(self, number: int) -> Trials:
        """Return the trials with other data in the place of the test part.

        Parameters
        ----------
        number : int
            Index into `others`.
        """
        part = len(SPLITS) + number

        def moved(data: Labelled) -> Labelled:
            assert data.splits is not None
            splits = np.where(data.splits == part, TEST, np.where(data.splits == TEST, part, data.splits))
            return dataclasses.replace(data, splits=splits.astype(np.int8))

        each = tuple(Trial(trial.name, moved(trial.data), trial.seed) for trial in self.each)
        return dataclasses.replace(self, each=each, protocol=_protocol("beside the test part", each[0].test, len(each)))


def load_trials(
    config: DataConfig,
    parts: PartsConfig,
    alphabet: Alphabet,
    *,
    folds: int = 0,
    repeats: int = 1,
    redraw: bool = False,
    test_needed: bool = False,
    emit: Callable[[str], None],
) -> Trials:
    """Read data, and divide it for every fold or seed.

    Parameters
    ----------
    config : DataConfig
    parts : PartsConfig
        With folds, its seed, valid_share, near and leaks alone.
    alphabet : Alphabet
    folds : int
        Each sequence tests in one of so many; 0: the parts of the data.
    repeats : int
        Without folds: so many trials, from seeds that follow one another.
    redraw : bool
        Draw the validation part anew for each of them, from train and what validates.
    test_needed : bool
        Refuse data of which nothing tests.
    emit : callable
        Takes the lines that say what leaks.

    Raises
    ------
    DataError, ConfigError
        Where the data cannot be read, or nothing can be learnt from it.
    """
    if folds and parts.test_data:
        raise ConfigError("--test-data is of one model, and each fold has its own; leave out --folds")
    if not folds:
        data, leaks = load_data(config, parts, alphabet, emit=emit)
        trials = _seeds(data, leaks, parts, repeats, redraw)
        if test_needed and not trials.tested.size:
            raise ConfigError(
                f"{data.origin}: nothing tests; name a test part in the split column,"
                " or give --split-by random with a --test-share"
            )
        return trials
    if parts.drop_leaks:
        raise ConfigError("--drop-leaks is of parts; with --folds, figures without leaks stand beside the others")
    data = read_data(config, alphabet)
    check_trainable(data)
    assert data.labels is not None
    fold = folds_of(data.labels, len(data), folds, groups=data.groups, seed=parts.seed)
    names = [f"fold {number + 1}" for number in range(folds)]
    data, leaks = report_leaks(
        data, parts.near, drop=False, emit=emit, table=parts.leaks, part=fold.astype(np.int8), parts=names
    )
    divided = [fold_splits(data, fold, number, parts.valid_share, parts.seed) for number in range(folds)]
    for one in divided:
        check_trainable(one)
    leaked = np.zeros(len(data), np.bool_)
    leaked[leaks.row] = True
    return Trials(
        data=data,
        each=tuple(Trial(f"fold-{number}", one, parts.seed) for number, one in enumerate(divided)),
        folds=folds,
        protocol=f"{folds}-fold cross-validation: each sequence is tested once, by a training on the other folds",
        leaks=leaks,
        leaked=leaked,
    )


def _seeds(data: Labelled, leaks: Leaks, parts: PartsConfig, repeats: int, redraw: bool) -> Trials:
    assert data.splits is not None
    seeds = [parts.seed + number for number in range(repeats)]
    divided = [data] * repeats
    if redraw:
        share = parts.valid_share or 0.1
        whole = np.where(data.splits == VALID, TRAIN, data.splits).astype(np.int8)
        divided = [
            dataclasses.replace(data, splits=carve_valid(data, whole, share, seed, data.groups)) for seed in seeds
        ]
    leaked = np.zeros(len(data), np.bool_)
    if leaks.part.size == len(data):
        between = (leaks.part[leaks.row] >= TEST) & (leaks.part[leaks.other] < TEST)
        leaked[leaks.row[between]] = True
    each = ", the validation part drawn anew with each" if redraw else ""
    return Trials(
        data=data,
        each=tuple(Trial(f"seed-{seed}", one, seed) for seed, one in zip(seeds, divided, strict=True)),
        folds=0,
        protocol=_protocol("one test part", np.flatnonzero(data.splits == TEST), repeats) + each,
        leaks=leaks,
        leaked=leaked,
        others=names_of(parts.test_data),
    )


def _protocol(what: str, tests: Int64Array, seeds: int) -> str:
    return f"{what}, {tests.size:,} sequences{'' if seeds == 1 else f', {seeds} seeds'}"
