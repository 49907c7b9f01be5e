"""Made DNA that asks for something read long before: a marker, and behind it a payload that differs in every sequence.

Each of a few markers (fixed short words) has a payload of its own, drawn anew for every sequence; between them lies
filler of random bases in which no marker occurs. Where a marker comes again, its payload follows again, and can be
predicted by what has read it the first time; by anything else one base in four is right by chance. A distance is that
from a base of the payload to the same base when it is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from genomamba.data.draws import sample_generator
from genomamba.errors import ConfigError

__all__ = ["BASES", "MARKERS", "Question", "RecallSample", "RecallTask"]

Codes = npt.NDArray[np.int64]

BASES: Final = "ACGT"
MARKERS: Final = ("GGTA", "GGAC", "GGCT", "GGTC")


@dataclass(frozen=True, slots=True)
class RecallSample:
    """A sequence to learn from.

    Attributes
    ----------
    codes : (length,), int64
        0 to 3 for A, C, G, T.
    is_asked : (length,), bool
        Bases of payloads that came before.
    """

    codes: Codes
    is_asked: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Question:
    """A sequence to be asked about at any distance.

    Attributes
    ----------
    story : (length,), int64
        Each marker with its payload, one after another, and then filler.
    asked : (markers, marker + payload), int64
        Each marker with its payload, as a question and its answer.
    """

    story: Codes
    asked: Codes


@dataclass(frozen=True, kw_only=True, slots=True)
class RecallTask:
    """Sequences of one kind; each is a pure function of (seed, index).

    Parameters
    ----------
    markers : tuple of str
        Words of one length. None may begin with what another, or itself, ends with: then no marker is made where
        markers, payloads and filler meet, beyond those that are meant.
    payload : int
        Bases of a payload, fewer than those of a marker.
    seed : int
        Of all draws.

    Raises
    ------
    ConfigError
        Where markers or payload are not so.
    """

    markers: tuple[str, ...] = MARKERS
    payload: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        lengths = {len(marker) for marker in self.markers}
        if len(lengths) != 1 or not set("".join(self.markers)) <= set(BASES) or 0 in lengths:
            raise ConfigError(f"markers are {', '.join(self.markers)}; they must be words of A, C, G, T of one length")
        if not 1 <= self.payload <= min(lengths):
            raise ConfigError(
                f"payload is {self.payload} bases; it must be 1 to {min(lengths)}, the length of a marker"
            )
        for number, one in enumerate(self.markers):
            for place, other in enumerate(self.markers):
                shared = [other[:k] for k in range(1, len(one) + (number != place)) if one.endswith(other[:k])]
                if shared:
                    raise ConfigError(f"marker {one} ends with {shared[0]}, as {other} begins; choose other words")

    @property
    def unit(self) -> int:
        """Bases of a marker and its payload."""
        return len(self.markers[0]) + self.payload

    @property
    def head(self) -> int:
        """Bases of all markers with their payloads."""
        return self.unit * len(self.markers)

    def sample(
        self, index: int, length: int, *, markers: int | None = None, payload: int | None = None
    ) -> RecallSample:
        """Return a sequence in which markers come again and again, at distances from near to almost all of it.

        Gaps between them are drawn log-uniformly, from one base to half of the length, and the last marker is always
        the first one.

        Parameters
        ----------
        index : int
            Which sequence.
        length : int
            Its bases, at least two markers with their payloads.
        markers, payload : int, optional
            Take fewer markers, drawn anew for each sequence, and shorter payloads, to begin with what is easier.
        """
        words, bases = self._words(), self.payload if payload is None else payload
        unit = words.shape[1] + bases
        if length < 2 * unit:
            raise ConfigError(f"length is {length}; it must be {2 * unit} or more, a marker with its payload twice")
        draws = sample_generator(self.seed, index, "recall sample")
        taken = draws.permutation(len(words))[: markers or len(words)]
        pairs = np.concatenate([words[taken], self._payloads(draws, words[taken], bases)], axis=1)
        codes, is_free = draws.integers(0, 4, length), np.ones(length, np.bool_)
        is_asked, seen = np.zeros(length, np.bool_), set[int]()
        places = self._draw_places(draws, length, unit)
        chosen = draws.integers(0, len(pairs), len(places))
        chosen[-1] = chosen[0]
        for place, pair in zip(places, chosen.tolist(), strict=True):
            codes[place : place + unit], is_free[place : place + unit] = pairs[pair], False
            is_asked[place + words.shape[1] : place + unit] = pair in seen
            seen.add(pair)
        return RecallSample(_without(codes, is_free, words, draws), is_asked)

    def question(self, index: int, longest: int) -> Question:
        """Return a sequence that can be asked about at any distance from `unit` to `longest`."""
        words = self._words()
        draws = sample_generator(self.seed, index, "recall question")
        pairs = np.concatenate([words, self._payloads(draws, words, self.payload)], axis=1)
        story = draws.integers(0, 4, max(longest + self.head - self.unit, self.head))
        is_free = np.ones(story.size, np.bool_)
        story[: self.head], is_free[: self.head] = pairs.ravel(), False
        return Question(_without(story, is_free, words, draws), pairs)

    def read_before(self, distance: int) -> int:
        """Bases of a story after which a question asks over `distance` bases, of the marker nearest to it."""
        return distance + self.head - self.unit

    @staticmethod
    def _draw_places(draws: np.random.Generator, length: int, unit: int) -> list[int]:
        """Return where markers begin: at least two places, the last of them at the end."""
        last, places = length - unit, []
        at = int(draws.integers(0, min(unit, last - unit + 1)))
        while at + unit <= last:
            places.append(at)
            at += unit + int(math.exp(draws.uniform(0, math.log(length / 2))))
        return [*places, last]

    def _words(self) -> Codes:
        return np.array([[BASES.index(letter) for letter in marker] for marker in self.markers], np.int64)

    def _payloads(self, draws: np.random.Generator, words: Codes, bases: int) -> Codes:
        """Draw payloads, anew where a payload is itself a marker."""
        payloads = draws.integers(0, 4, (len(words), bases))
        every = self._words()
        while again := [row for row in range(len(words)) if _places(payloads[row], every).size]:
            payloads[again] = draws.integers(0, 4, (len(again), bases))
        return payloads


def _places(codes: Codes, words: Codes) -> npt.NDArray[np.intp]:
    """Return where any of the words begins."""
    if codes.size < words.shape[1]:
        return np.empty(0, np.intp)
    found = np.zeros(codes.size - words.shape[1] + 1, np.bool_)
    for word in words:
        same = np.ones_like(found)
        for offset, code in enumerate(word.tolist()):
            same &= codes[offset : offset + found.size] == code
        found |= same
    return np.flatnonzero(found)


def _without(codes: Codes, is_free: npt.NDArray[np.bool_], words: Codes, draws: np.random.Generator) -> Codes:
    """Change free bases, in place, until no word stands that has one."""
    size = words.shape[1]
    while True:
        places = _places(codes, words)
        free = is_free[places[:, None] + np.arange(size)] if places.size else np.zeros((0, size), np.bool_)
        wrong = np.flatnonzero(free.any(1))
        if not wrong.size:
            return codes
        at = places[wrong] + free[wrong].argmax(1)
        codes[at] = (codes[at] + draws.integers(1, 4, at.size)) % 4
