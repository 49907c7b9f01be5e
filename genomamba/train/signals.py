"""Signals of people and of clusters: finish the step, checkpoint, then leave with the usual exit code."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any

from genomamba.train.distributed import Ranks

__all__ = ["SharedSignals", "Signals"]


class Signals:
    """While active, remembers SIGINT and SIGTERM (leave) and SIGUSR1 (checkpoint and go on).

    A second SIGINT or SIGTERM acts at once, as without this class.
    """

    def __init__(self) -> None:
        self.leave: signal.Signals | None = None
        self._checkpoint = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        handlers = {signal.SIGINT: self._on_leave, signal.SIGTERM: self._on_leave, signal.SIGUSR1: self._on_checkpoint}
        for number, handler in handlers.items():
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """128 + the number of the signal that asked to leave; 0 where none did."""
        return 0 if self.leave is None else 128 + self.leave

    def take_checkpoint(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        asked, self._checkpoint = self._checkpoint, False
        return asked

    def _on_leave(self, number: int, frame: FrameType | None) -> None:
        self.leave = signal.Signals(number)
        signal.signal(number, self._before[self.leave])

    def _on_checkpoint(self, number: int, frame: FrameType | None) -> None:
        self._checkpoint = True


class SharedSignals:
    """What any rank of a run was asked: all leave after the same step, and write a checkpoint after the same step.

    A run by itself sees its own signals at once; several ranks see those that all have told one another.
    """

    def __init__(self, signals: Signals, ranks: Ranks) -> None:
        self._signals, self._ranks = signals, ranks
        self._leave = self._checkpoint = False

    @property
    def leave(self) -> bool:
        """Whether the run is asked to end."""
        return self._signals.leave is not None if self._ranks.size == 1 else self._leave

    def take_checkpoint(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        asked, self._checkpoint = self._checkpoint, False
        return asked or (self._ranks.size == 1 and self._signals.take_checkpoint())

    def own(self) -> tuple[float, float]:
        """Return what this rank is to tell the others: the signal that asks it to leave, and whether to checkpoint."""
        asked = self._ranks.size > 1 and self._signals.take_checkpoint()
        return float(self._signals.leave or 0), float(asked)

    def take(self, told: Sequence[tuple[float, ...]]) -> None:
        """Take what all ranks have told."""
        if self._ranks.size == 1:
            return
        number = max(int(leave) for leave, _ in told)
        if number:
            self._leave, self._signals.leave = True, signal.Signals(number)
        self._checkpoint = self._checkpoint or any(asked for _, asked in told)

    def share(self) -> None:
        """Tell and take, where a step does not do it."""
        self.take(self._ranks.gather(*self.own()))

    def part(self) -> None:
        """Look at this rank's own signals from now on."""
        self._ranks = Ranks()
