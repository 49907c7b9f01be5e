"""Turns of a run, each with a context, windows a batch and a learning rate of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from genomamba.errors import ConfigError

__all__ = ["Stage", "Stages", "read_schedule"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One turn.

    Attributes
    ----------
    context : int
        Bases of a window.
    windows : int
        Windows run at once.
    steps : int or None
        Optimiser steps; None without an end, for the last turn.
    rate : float
        Peak learning rate.
    """

    context: int
    windows: int
    rate: float
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Stages:
    """The turns of a run, in order; beyond the steps of the last one, it goes on.

    Attributes
    ----------
    turns : tuple of Stage
    accumulate : int
        Batches a step.
    """

    turns: tuple[Stage, ...]
    accumulate: int = 1

    @property
    def last(self) -> Stage:
        """The turn whose context validates and tests."""
        return self.turns[-1]

    @property
    def largest(self) -> Stage:
        """The turn of the most bases a batch; among equals, of the longest context."""
        return max(self.turns, key=lambda turn: (turn.windows * turn.context, turn.context))

    def at(self, step: int) -> Stage:
        """Return the turn of the step that follows `step` steps."""
        for turn, _, end in self._borders():
            if end is None or step < end:
                return turn
        return self.last

    def samples(self, steps: int) -> int:
        """Return how many samples the first `steps` steps consume."""
        return sum(count * turn.windows * self.accumulate for turn, count in self._done(steps))

    def tokens(self, steps: int) -> int:
        """Return how many positions the first `steps` steps read, padding among them."""
        return sum(tokens for _, tokens in self.tokens_by_turn(steps))

    def tokens_by_turn(self, steps: int) -> Iterator[tuple[Stage, int]]:
        """Give each turn with the positions that the first `steps` steps read in it."""
        for turn, count in self._done(steps):
            yield turn, count * turn.windows * turn.context * self.accumulate

    def steps_for(self, tokens: int) -> int:
        """Return the fewest steps that read so many tokens."""
        read, steps = 0, 0
        for turn, start, end in self._borders():
            a_step = turn.windows * turn.context * self.accumulate
            needed = -(-(tokens - read) // a_step)
            if end is None or start + needed <= end or turn is self.last:
                return start + needed
            read, steps = read + (end - start) * a_step, end
        return steps

    def sample_borders(self) -> list[int]:
        """Return the number of the first sample of each turn."""
        return [self.samples(start) for _, start, _ in self._borders()]

    def batch_sizes(self, step: int) -> Iterator[int]:
        """Give the number of samples of every step after `step` steps, without end."""
        while True:
            yield self.at(step).windows * self.accumulate
            step += 1

    def _borders(self) -> Iterator[tuple[Stage, int, int | None]]:
        start = 0
        for turn in self.turns:
            end = None if turn.steps is None else start + turn.steps
            yield turn, start, end
            start = end or 0

    def _done(self, steps: int) -> Iterator[tuple[Stage, int]]:
        for turn, start, end in self._borders():
            is_endless = end is None or turn is self.last
            yield turn, max(0, steps - start if is_endless else min(steps, end or 0) - start)


def read_schedule(texts: Sequence[str], *, batch_size: int | None, tokens_per_batch: int, rate: float) -> Stages:
    """Read `CONTEXT:STEPS[:WINDOWS[:RATE]]`, one text a turn.

    Parameters
    ----------
    texts : sequence of str
        One or more.
    batch_size : int, optional
        Windows a batch of the last turn. Default: as many as make `tokens_per_batch`, one at least. A turn without
        WINDOWS has as many as make the bases a batch of the last one, one at least.
    tokens_per_batch : int
    rate : float
        Peak learning rate of turns without RATE.

    Raises
    ------
    ConfigError
        For a text of another form; it names the text.
    """
    parsed = [_read_turn(text) for text in texts]
    context, _, windows, _ = parsed[-1]
    windows = windows or batch_size or max(1, tokens_per_batch // context)
    tokens = windows * context
    parsed[-1] = (context, parsed[-1][1], windows, parsed[-1][3])
    return Stages(
        tuple(
            Stage(context=context, steps=steps, windows=windows or max(1, tokens // context), rate=own or rate)
            for context, steps, windows, own in parsed
        )
    )


def _read_turn(text: str) -> tuple[int, int, int | None, float | None]:
    parts = text.split(":")
    try:
        if not 2 <= len(parts) <= 4:
            raise ValueError
        context, steps = int(parts[0]), int(parts[1])
        windows = int(parts[2]) if len(parts) > 2 and parts[2] else None
        rate = float(parts[3]) if len(parts) > 3 else None
    except ValueError:
        raise ConfigError(
            f"has {text!r}; a turn is CONTEXT:STEPS, CONTEXT:STEPS:WINDOWS or CONTEXT:STEPS:WINDOWS:RATE, "
            "as in 1024:2000 or 8192:2000:4:1e-3",
            option="context_schedule",
        ) from None
    if context < 1 or steps < 1 or (windows is not None and windows < 1) or (rate is not None and not 0 < rate < 1e6):
        raise ConfigError(f"has {text!r}; its numbers must be above 0", option="context_schedule")
    return context, steps, windows, rate
