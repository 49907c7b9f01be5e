"""Sequences as baselines take them: text in, base codes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import get_alphabet
from genomamba.errors import DataError

__all__ = ["OTHER", "Codes", "encode"]

OTHER: Final = 4
"""Code of N and of every IUPAC code; A, C, G and T are 0 to 3."""

_CODE_OF_SYMBOL: Final = np.full(256, OTHER, np.uint8)
for _base, _code in zip("ACGT", range(4), strict=True):
    _CODE_OF_SYMBOL[get_alphabet("dna").symbols(_base + _base.lower())] = _code


@dataclass(frozen=True, slots=True)
class Codes:
    """Sequences end to end.

    Attributes
    ----------
    bases : (total,), uint8
        0 to 3 for A, C, G and T, 4 for any other letter.
    borders : (sequences + 1,), int64
        Sequence i is `bases[borders[i]:borders[i + 1]]`.
    """

    bases: npt.NDArray[np.uint8]
    borders: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return self.borders.size - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Bases of each sequence, (sequences,) int64."""
        return np.diff(self.borders)


def encode(sequences: Sequence[str] | npt.NDArray[Any]) -> Codes:
    """Turn texts of DNA, in either case, into codes.

    Parameters
    ----------
    sequences : list, tuple, array or Series of str

    Raises
    ------
    DataError
        With the number of the sequence, from 0: it is no text, it is empty, or it has a letter that DNA has not.
    """
    if isinstance(sequences, str | bytes):
        raise DataError("one text was given; give a list of sequences")
    alphabet = get_alphabet("dna")
    texts = list(sequences)
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not text:
            what = "is empty" if text == "" else f"is of type {type(text).__name__}"
            raise DataError(f"sequence {number} {what}; it must be the text of one base or more")
    try:
        symbols = alphabet.symbols("".join(texts))
    except DataError:
        for number, text in enumerate(texts):
            try:
                alphabet.symbols(text)
            except DataError as error:
                raise DataError(f"sequence {number}: {error}") from None
        raise
    borders = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=borders[1:])
    return Codes(_CODE_OF_SYMBOL[symbols], borders)
