"""Signals of people and of clusters: finish the step, checkpoint, then leave with the usual exit code."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Signals"]


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
