"""Interpolated Markov models of order 0 to k: the figures that a sequence model has to beat.

A model of order k predicts a symbol x from the k symbols c before it. Each order is mixed with the one below,
which sees c', that is c without its oldest symbol:

    P_k(x | c) = (n(c, x) + w P_{k-1}(x | c')) / (n(c) + w),    P_{-1}(x) = 1 / num_symbols

with n the counts of the training sequences and w the weight, in pseudo-counts. Counts are dense: order k
needs num_symbols ** (k + 1) of them; over four bases order 12 takes 268 MB, and all below it another 179 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

__all__ = ["InterpolatedMarkov", "largest_order"]

IntArray = npt.NDArray[np.int64]

MAX_ENTRIES: Final = 1 << 26
"""Largest number of counts in one table."""

_CHUNK: Final = 1 << 17
# A table this small is cheap in int64, and its words may occur more than 2^32 times in a large genome.
_WIDE_ENTRIES: Final = 1 << 24


def largest_order(num_symbols: int) -> int:
    """Return the highest order whose table of counts fits: 12 for four bases, 2 for 256 bytes.

    Raises
    ------
    ValueError
        Where there are fewer than 2 symbols, or more than one table can hold.
    """
    if not 2 <= num_symbols <= MAX_ENTRIES:
        raise ValueError(f"num_symbols is {num_symbols}; it must lie between 2 and {MAX_ENTRIES:,}")
    order = 0
    while num_symbols ** (order + 2) <= MAX_ENTRIES:
        order += 1
    return order


class InterpolatedMarkov:
    """Markov models of every order from 0 to `max_order`, fitted and scored together.

    Sequences are 1-d arrays of a signed integer type: symbols 0 to num_symbols - 1, and -1 where a base is no
    target (N, a special). Neither a -1 nor an end of a sequence is bridged: what follows it is counted and
    scored at the order that its own context reaches, order 0 for the first symbol.

    Parameters
    ----------
    num_symbols : int
        Size of the alphabet: 4 bases, or 256 bytes.
    max_order : int
        Highest order, in symbols of context; at most `largest_order(num_symbols)`.
    weight : float
        Pseudo-counts w that the order below weighs; above 0.

    Attributes
    ----------
    bases : int
        Symbols of the last fit, one strand counted; 0 before it.

    Raises
    ------
    ValueError
        Where an argument is out of range; for an order too high the message says which one fits.
    """

    def __init__(self, num_symbols: int, max_order: int, weight: float = 16.0) -> None:
        highest = largest_order(num_symbols)
        if not 0 <= max_order <= highest:
            raise ValueError(
                f"max_order is {max_order}; with {num_symbols} symbols it must lie between 0 and {highest}, "
                f"so that a table stays within {MAX_ENTRIES:,} counts"
            )
        if not 0 < weight < float("inf"):
            raise ValueError(f"weight is {weight}; it must be above 0 and finite, such as 16")
        self.num_symbols = num_symbols
        self.max_order = max_order
        self.weight = weight
        self.bases = 0
        # One table an order k, [num_symbols ** k, num_symbols]: row c counts what followed context c.
        self._counts: list[npt.NDArray[Any]] = []

    def fit(self, sequences: Iterable[npt.NDArray[np.signedinteger]], complement: IntArray | None = None) -> Self:
        """Count `sequences`, and forget what was counted before.

        Parameters
        ----------
        sequences : iterable of (length,), signed integer
            Training sequences; read one at a time.
        complement : (num_symbols,), integer, optional
            Complement of each symbol. Where given, both strands are counted.

        Returns
        -------
        InterpolatedMarkov
            The model itself.

        Raises
        ------
        ValueError
            Where a sequence or the complement holds other symbols than it may.
        """
        swap = None if complement is None else self._checked_complement(complement)
        counts = [self._empty_table(order) for order in range(self.max_order + 1)]
        bases = 0
        for sequence in sequences:
            self._check(sequence)
            bases += self._count(sequence, counts)
            if swap is not None:
                self._count(swap[sequence[::-1]], counts)
        # Each symbol was counted once, at the highest order that its context reaches: lower orders add what
        # is above them, summed over the oldest symbol.
        for order in range(self.max_order, 0, -1):
            above = counts[order].reshape(self.num_symbols, -1)
            for oldest in above:
                counts[order - 1] += oldest
        self._counts = [table.reshape(-1, self.num_symbols) for table in counts]
        self.bases = bases
        return self

    def bits(self, sequences: Iterable[npt.NDArray[np.signedinteger]]) -> npt.NDArray[np.float64]:
        """Score every symbol of `sequences` once, left to right, by every order.

        Parameters
        ----------
        sequences : iterable of (length,), signed integer
            Held-out sequences; read one at a time.

        Returns
        -------
        (max_order + 1,), float64
            Mean bits per symbol of orders 0 to `max_order`.

        Raises
        ------
        ValueError
            Before `fit`; where a sequence holds other symbols than it may; where there is no symbol to score.
        """
        if not self._counts:
            raise ValueError("the Markov model has no counts; call fit first")
        total, bases = np.zeros(self.max_order + 1), 0
        for sequence in sequences:
            self._check(sequence)
            for chunk, first in self._chunks(sequence):
                is_scored = chunk[first:] >= 0
                bases += int(is_scored.sum())
                for order, p in enumerate(self._probabilities(chunk, first)):
                    total[order] -= np.log2(p[is_scored]).sum()
        if not bases:
            raise ValueError("the sequences hold no symbol to score; every one is -1, or there is none")
        return total / bases

    def bits_by_group(
        self,
        sequences: Iterable[npt.NDArray[np.signedinteger]],
        groups: Iterable[npt.NDArray[np.integer]],
        *,
        order: int,
        num_groups: int,
    ) -> tuple[npt.NDArray[np.float64], IntArray]:
        """Score every symbol of `sequences` once, left to right, by one order, and sum by groups of symbols.

        Parameters
        ----------
        sequences : iterable of (length,), signed integer
            Held-out sequences; read one at a time.
        groups : iterable of (length,), integer
            Group of each symbol of each sequence, 0 to num_groups - 1.
        order, num_groups : int

        Returns
        -------
        bits : (num_groups,), float64
            Sum over the symbols of each group.
        symbols : (num_groups,), int64
            How many these are.

        Raises
        ------
        ValueError
            Before `fit`, and where a sequence holds other symbols than it may.
        """
        if not self._counts:
            raise ValueError("the Markov model has no counts; call fit first")
        bits, symbols = np.zeros(num_groups), np.zeros(num_groups, np.int64)
        for sequence, group in zip(sequences, groups, strict=True):
            self._check(sequence)
            at = 0
            for chunk, first in self._chunks(sequence):
                own, of = chunk[first:] >= 0, group[at : at + chunk.size - first]
                p = next(islice(self._probabilities(chunk, first), order, None))
                bits += np.bincount(of[own], -np.log2(p[own]), num_groups)
                symbols += np.bincount(of[own], minlength=num_groups)
                at += chunk.size - first
        return bits, symbols

    def log_likelihoods(self, sequence: npt.NDArray[np.signedinteger]) -> npt.NDArray[np.float64]:
        """Score every symbol of one sequence, left to right, by the highest order.

        Parameters
        ----------
        sequence : (length,), signed integer
            Several may be joined by a -1 each, which is not bridged.

        Returns
        -------
        (length,), float64
            ln P of each symbol given those before it, in nats; NaN where it is -1.

        Raises
        ------
        ValueError
            Before `fit`; where the sequence holds other symbols than it may.
        """
        if not self._counts:
            raise ValueError("the Markov model has no counts; call fit first")
        self._check(sequence)
        found = [np.empty(0)]
        for chunk, first in self._chunks(sequence):
            *_, p = self._probabilities(chunk, first)
            found.append(np.where(chunk[first:] >= 0, np.log(p), np.nan))
        return np.concatenate(found)

    def _probabilities(self, chunk: IntArray, first: int) -> Iterator[npt.NDArray[np.float64]]:
        """Yield P_k of each symbol of `chunk[first:]` for k = 0, 1, ...; without meaning where it is -1."""
        reach = _reach(chunk)[first:]
        p = np.full(reach.size, 1 / self.num_symbols)
        for order, code in enumerate(self._codes(chunk, first)):
            is_reached = reach >= order
            # Where the context is too short the order below stands, and entry 0 is looked up for nothing.
            at = np.where(is_reached, code, 0)
            table = self._counts[order]
            followed = table.reshape(-1)[at]
            seen = table[at // self.num_symbols].sum(1, dtype=np.float64)
            p = np.where(is_reached, (followed + self.weight * p) / (seen + self.weight), p)
            yield p

    def _count(self, sequence: npt.NDArray[np.signedinteger], counts: list[npt.NDArray[Any]]) -> int:
        """Add each symbol to the table of the highest order that its context reaches; return their number."""
        bases = 0
        for chunk, first in self._chunks(sequence):
            reach = np.minimum(_reach(chunk)[first:], self.max_order)
            bases += int((reach >= 0).sum())
            short_orders = set(np.unique(reach).tolist())
            for order, code in enumerate(self._codes(chunk, first)):
                if order in short_orders:
                    at = code[reach == order]
                    np.add.at(counts[order], at, counts[order].dtype.type(1))
        return bases

    def _codes(self, chunk: IntArray, first: int) -> Iterator[IntArray]:
        """Yield, for k = 0, 1, ..., the index into table k of each symbol of `chunk[first:]`.

        It is the last k + 1 symbols read as one number, and has no meaning where the reach is below k.
        """
        size = chunk.size - first
        code = np.zeros(size, np.int64)
        for order in range(self.max_order + 1):
            begin = first - order
            older = chunk[max(begin, 0) : max(begin + size, 0)]
            code = code.copy()
            code[size - older.size :] += older * self.num_symbols**order
            yield code

    def _chunks(self, sequence: npt.NDArray[np.signedinteger]) -> Iterator[tuple[IntArray, int]]:
        """Yield pieces of a sequence that bring their context along, and where their own symbols begin."""
        for start in range(0, sequence.size, _CHUNK):
            first = min(start, self.max_order)
            yield sequence[start - first : start + _CHUNK].astype(np.int64), first

    def _empty_table(self, order: int) -> npt.NDArray[Any]:
        entries = self.num_symbols ** (order + 1)
        return np.zeros(entries, np.int64 if entries <= _WIDE_ENTRIES else np.uint32)

    def _check(self, sequence: npt.NDArray[np.signedinteger]) -> None:
        if sequence.ndim != 1 or not np.issubdtype(sequence.dtype, np.signedinteger):
            raise ValueError(
                f"a sequence has shape {sequence.shape} and dtype {sequence.dtype}, "
                "expected (length,) of a signed integer type"
            )
        if sequence.size and not -1 <= sequence.min() <= sequence.max() < self.num_symbols:
            raise ValueError(
                f"a sequence holds symbols from {sequence.min()} to {sequence.max()}, "
                f"expected 0 to {self.num_symbols - 1}, and -1 for none"
            )

    def _checked_complement(self, complement: IntArray) -> IntArray:
        """Return the complement with one entry more, so that index -1 gives -1."""
        table, symbols = np.asarray(complement), np.arange(self.num_symbols)
        if not np.array_equal(np.sort(table), symbols) or (table[table] != symbols).any():
            raise ValueError(
                f"complement is {table.tolist()}; it must pair the symbols 0 to {self.num_symbols - 1}, "
                "such as [3, 2, 1, 0]"
            )
        return np.append(table, -1).astype(np.int16 if self.num_symbols <= 1 << 15 else np.int64)


def _reach(chunk: IntArray) -> IntArray:
    """Return how many symbols stand before each one without a break; -1 for a break itself."""
    position = np.arange(chunk.size)
    last_break = np.maximum.accumulate(np.where(chunk < 0, position, -1))
    return position - last_break - 1
