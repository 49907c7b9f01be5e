"""Other data that tests beside the test part, such as other species: nothing of it learns or chooses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genomamba.classify.labelled import SPLITS, Categories, Labelled
from genomamba.classify.labels import Labels
from genomamba.classify.sequences import SequenceList
from genomamba.classify.tables import TABLES
from genomamba.errors import ConfigError, DataError

__all__ = ["join", "names_of", "with_classes_of"]

_TEST = SPLITS.index("test")
# What rows of figures.tsv are over where they are over the whole test part.
_TAKEN = (*SPLITS, "all")


def names_of(paths: Sequence[str]) -> tuple[str, ...]:
    """Return what other data is called in figures: the name of the file or folder, without its ending.

    Raises
    ------
    ConfigError
        Where two have one name, or one has that of a part.
    """
    names = []
    for path in paths:
        name = Path(path).name
        ending = next((end for end in TABLES if name.lower().endswith(end)), "")
        names.append(name[: len(name) - len(ending)])
    for number, name in enumerate(names):
        if name in (*_TAKEN, *names[:number]):
            raise ConfigError(f"--test-data has {paths[number]}, and {name!r} is a part already; rename the file")
    return tuple(names)


def with_classes_of(data: Labelled, known: Labels) -> Labels:
    """Return the labels of data as indices into the classes of others. Raises `DataError` for a class these lack."""
    assert data.labels is not None
    labels = data.labels
    if labels.kind == "regression":
        return labels
    if labels.kind == "multi":
        used = labels.values.any(0)
        rows = [int(labels.values[:, column].argmax()) for column in range(len(labels.classes))]
    else:
        used = np.isin(np.arange(len(labels.classes)), labels.values)
        rows = [int((labels.values == number).argmax()) for number in range(len(labels.classes))]
    for number in np.flatnonzero(used).tolist():
        if (name := labels.classes[number]) not in known.classes:
            some = ", ".join(known.classes[:5]) + (", ..." if len(known.classes) > 5 else "")
            raise DataError(f"{data.where(rows[number])}: the label is {name!r}, which is not learnt; there are {some}")
    places = [known.classes.index(name) if name in known.classes else -1 for name in labels.classes]
    if labels.kind == "multi":
        values = np.zeros((len(data), len(known.classes)), labels.values.dtype)
        for column, place in enumerate(places):
            if place >= 0:
                values[:, place] = labels.values[:, column]
        return dataclasses.replace(labels, classes=known.classes, values=values)
    values = np.array(places, labels.values.dtype)[labels.values]
    return dataclasses.replace(labels, classes=known.classes, values=values)


def join(data: Labelled, others: Sequence[Labelled]) -> Labelled:
    """Return data with others behind it, the first of them in the part that follows test, and so on.

    Parameters
    ----------
    data : Labelled
        With its splits, and a test part.
    others : sequence of Labelled
        With the classes of `data`.
    """
    if not others:
        return data
    assert data.labels is not None
    assert data.splits is not None
    if not (data.splits == _TEST).any():
        raise ConfigError(
            f"--test-data stands beside a test part, and nothing of {data.origin} tests; give --test-share"
        )
    every = [data, *others]
    ends = np.cumsum([one.sequences.borders[-1] for one in every])
    borders = [
        one.sequences.borders[1:] + end - one.sequences.borders[-1] for one, end in zip(every, ends, strict=True)
    ]
    sequences = SequenceList(
        np.concatenate([one.sequences.symbols for one in every]),
        np.concatenate([np.zeros(1, np.int64), *borders]),
        data.sequences.alphabet,
    )
    values = [one.labels.values for one in every if one.labels is not None]
    codes = [np.full(len(one), len(SPLITS) + number, np.int8) for number, one in enumerate(others)]
    names = [tuple(one.name(row) for row in range(len(one))) for one in every]
    return dataclasses.replace(
        data,
        sequences=sequences,
        labels=dataclasses.replace(data.labels, values=np.concatenate(values)),
        files=Categories.of(one.files.names[code] for one in every for code in one.files.codes.tolist()),
        lines=np.concatenate([one.lines for one in every]),
        names=None if all(one.names is None for one in every) else tuple(name for some in names for name in some),
        splits=np.concatenate([data.splits, *codes]),
        groups=_longer(data.groups, others),
        contigs=_longer(data.contigs, others),
        weights=_weights(data, others),
    )


def _longer(categories: Categories | None, others: Sequence[Labelled]) -> Categories | None:
    """Return categories with one more, which is that of all other data: it is in no part that learns."""
    if categories is None:
        return None
    more = np.full(sum(map(len, others)), len(categories.names), np.int32)
    return Categories((*categories.names, ""), np.concatenate([categories.codes, more]))


def _weights(data: Labelled, others: Sequence[Labelled]) -> npt.NDArray[np.float32] | None:
    if data.weights is None:
        return None
    return np.concatenate([data.weights, np.ones(sum(map(len, others)), np.float32)])
