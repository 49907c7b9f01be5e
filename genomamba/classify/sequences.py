"""Many sequences in one array: a byte a base, and eight a sequence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from genomamba.alphabet import SOFTMASK_BIT, Alphabet
from genomamba.errors import DataError
from genomamba.score.sequences import Held

__all__ = ["SequenceList", "SequenceListBuilder", "complement_table"]

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SequenceList:
    """Sequences end to end.

    Attributes
    ----------
    symbols : (bases,), uint8
        Of `alphabet`; see `genomamba.alphabet`.
    borders : (sequences + 1,), int64
        Sequence i is `symbols[borders[i]:borders[i + 1]]`.
    alphabet : Alphabet
        Of the symbols. Every vocabulary of DNA letters has the symbols of `dna`.
    """

    symbols: UInt8Array
    borders: Int64Array
    alphabet: Alphabet

    def __len__(self) -> int:
        return self.borders.size - 1

    def __getitem__(self, row: int) -> UInt8Array:
        """Return the symbols of one sequence, (length,) uint8."""
        return self.symbols[self.borders[row] : self.borders[row + 1]]

    @property
    def lengths(self) -> Int64Array:
        """Bases of each, (sequences,) int64."""
        return np.diff(self.borders)

    def text(self, row: int) -> str:
        """Return the letters of one sequence, in upper case."""
        return self.alphabet.decode(self.alphabet.token_of_symbol[self[row]]).decode("latin-1")

    def select(self, rows: Int64Array) -> SequenceList:
        """Return some of the sequences, in the order given."""
        lengths = self.lengths[rows]
        borders = np.zeros(rows.size + 1, np.int64)
        np.cumsum(lengths, out=borders[1:])
        # A place of the new array lies as far behind the start of its sequence as in the old one.
        symbols = np.empty(int(borders[-1]), np.uint8)
        for row, start, end in zip(rows.tolist(), borders[:-1].tolist(), borders[1:].tolist(), strict=True):
            symbols[start:end] = self[row]
        return SequenceList(symbols, borders, self.alphabet)

    def checksum(self) -> str:
        """Return the SHA-256 of all sequences."""
        digest = hashlib.sha256(self.borders.tobytes())
        digest.update(np.ascontiguousarray(self.symbols).tobytes())
        return digest.hexdigest()

    def source(self, row: int) -> Held:
        """Return one sequence as a model reads it, along the given strand."""
        ids = self.alphabet.token_of_symbol[self[row]]
        small = np.uint8 if self.alphabet.vocab_size <= 256 else np.int16
        return Held(torch.from_numpy(ids.astype(small)), self.alphabet, "+")


class SequenceListBuilder:
    """Takes sequences one by one.

    Parameters
    ----------
    alphabet : Alphabet
        Of the sequences.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self._alphabet = alphabet
        self._is_dna = alphabet.letters == "dna"
        self._table = alphabet.symbol_of_text.tobytes()
        self._symbols = bytearray()
        self._lengths: list[int] = []

    def add(self, text: str) -> None:
        """Add the letters of a sequence. Raises `DataError` where there are none, or one that the alphabet lacks."""
        symbols = text.encode().translate(self._table)
        if self._is_dna and b"\xff" in symbols:
            self._alphabet.symbols(text)
        self.add_symbols(symbols)

    def add_symbols(self, symbols: bytes | UInt8Array) -> None:
        """Add a sequence that is symbols already. Raises `DataError` where there are none."""
        size = len(symbols)
        if not size:
            raise DataError("the sequence is empty; give its bases, or remove the row")
        self._symbols += symbols if isinstance(symbols, bytes) else symbols.tobytes()
        self._lengths.append(size)

    def __len__(self) -> int:
        return len(self._lengths)

    def build(self) -> SequenceList:
        """Return what was added; nothing can be added any more."""
        borders = np.zeros(len(self._lengths) + 1, np.int64)
        np.cumsum(self._lengths, out=borders[1:])
        return SequenceList(np.frombuffer(self._symbols, np.uint8), borders, self._alphabet)


def complement_table(alphabet: Alphabet) -> UInt8Array:
    """Return the symbol of the complementary base of every symbol of DNA, (256,) uint8; case is kept."""
    assert alphabet.has_complement
    table = np.arange(256, dtype=np.uint8)
    for letter, other in zip("ACGTN", "TGCAN", strict=True):
        one, two = (int(alphabet.symbol_of_text[ord(base)]) for base in (letter, other))
        table[one], table[one | SOFTMASK_BIT] = two, two | SOFTMASK_BIT
    return table
