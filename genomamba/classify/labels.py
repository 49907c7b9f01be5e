"""Labels: text as files hold it, and the numbers that a model learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from genomamba.errors import DataError

__all__ = ["JOINT", "MOST_NUMBERED_CLASSES", "Kind", "Labels", "kind_of", "read_labels"]

Kind = Literal["single", "multi", "regression", "per-base"]
"""One class a sequence; any number of them; a number; or a class for each base."""

JOINT: Final = ";"
"""Parts the classes of one sequence."""
MOST_NUMBERED_CLASSES: Final = 20
"""Where labels are whole numbers and more of them differ, they are values, not classes."""
_FEW: Final = 0.1
"""Share of the labels that differ up to which those that are no numbers are slips."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What is to be told of each sequence.

    Attributes
    ----------
    kind : {"single", "multi", "regression", "per-base"}
    classes : tuple of str
        Names of the classes; none for regression.
    values : array
        single: (sequences,), int32, index of the class. multi: (sequences, classes), uint8, 0 or 1. regression:
        (sequences,), float64. per-base: (bases,), int16, index of the class of each base, sequence after sequence.
    """

    kind: Kind
    classes: tuple[str, ...]
    values: npt.NDArray[Any]

    def text(self, row: int) -> str:
        """Return the label of a sequence as a file holds it. Not for labels of bases."""
        match self.kind:
            case "single":
                return self.classes[int(self.values[row])]
            case "multi":
                return JOINT.join(self.classes[column] for column in np.flatnonzero(self.values[row]).tolist())
            case "regression":
                return repr(float(self.values[row]))
        raise ValueError("each base has a label of its own")


def kind_of(texts: Sequence[str]) -> Kind:
    """Tell what labels are from their texts.

    Where any holds `;`, each names any number of classes. Where all are numbers, and one is not whole or more than 20
    differ, they are values of a regression. Else each is a class.
    """
    distinct = set(texts)
    if any(JOINT in text for text in distinct):
        return "multi"
    numbers = [_number(text) for text in distinct]
    if any(number is None for number in numbers):
        return "single"
    is_whole = all(number is not None and number.is_integer() for number in numbers)
    return "single" if is_whole and len(distinct) <= MOST_NUMBERED_CLASSES else "regression"


def read_labels(
    texts: Sequence[str], kind: Kind | None, where: Callable[[int], str], classes: Sequence[str] | None = None
) -> Labels:
    """Turn texts into labels.

    Parameters
    ----------
    texts : sequence of str
        One a sequence. Of several classes, with `;` between; empty where none applies.
    kind : {"single", "multi", "regression"}, optional
        Default: what `kind_of` tells.
    where : callable
        Gives `file:line` of a sequence, for messages.
    classes : sequence of str, optional
        In their order. Default: those that occur, by name, or by number where all are whole numbers.

    Raises
    ------
    DataError
        With the line: a label that is empty, or no number where one is needed, or where nearly all are numbers.
    """
    if kind is None:
        kind = kind_of(texts)
        if kind == "single":
            _check_numbers(texts, where)
    if kind != "multi":
        for row, text in enumerate(texts):
            if not text:
                raise DataError(f"{where(row)}: the label is empty; fill it in, or remove the row")
    if kind == "regression":
        return Labels(kind, (), _values(texts, where))
    if kind == "single":
        found = tuple(classes or _in_order(set(texts)))
        index = {name: number for number, name in enumerate(found)}
        return Labels(kind, found, np.fromiter((index[text] for text in texts), np.int32, len(texts)))
    parts = {text: [part.strip() for part in text.split(JOINT) if part.strip()] for text in set(texts)}
    found = tuple(classes or _in_order({part for named in parts.values() for part in named}))
    index = {name: number for number, name in enumerate(found)}
    values = np.zeros((len(texts), len(found)), np.uint8)
    for row, text in enumerate(texts):
        values[row, [index[part] for part in parts[text]]] = 1
    return Labels(kind, found, values)


def _check_numbers(texts: Sequence[str], where: Callable[[int], str]) -> None:
    """Refuse many numbers with a few labels among them that are none: one slip would make a class of each number."""
    distinct = set(texts)
    odd = {text for text in distinct if text and _number(text) is None}
    if not (odd and len(distinct) > MOST_NUMBERED_CLASSES and len(odd) <= _FEW * len(distinct)):
        return
    row = next(row for row, text in enumerate(texts) if text in odd)
    raise DataError(
        f"{where(row)}: the label is {texts[row]!r}, and {len(distinct) - len(odd):,} others are numbers; mend it, or"
        " give --kind single"
    )


def _values(texts: Sequence[str], where: Callable[[int], str]) -> npt.NDArray[np.float64]:
    values = np.empty(len(texts), np.float64)
    for row, text in enumerate(texts):
        number = _number(text)
        if number is None:
            raise DataError(f"{where(row)}: the label is {text!r}, expected a number; or give --kind single")
        values[row] = number
    return values


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _in_order(names: set[str]) -> list[str]:
    if all(name.lstrip("-").isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)
