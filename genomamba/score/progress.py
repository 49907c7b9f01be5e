"""How far a long command is: a bar on a terminal, a line now and then in the log of a cluster's job."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final

from tqdm import tqdm

from genomamba.report.words import duration
from genomamba.train.log import BAR_FORMAT, tell

__all__ = ["Progress"]

LINE_EVERY_S: Final = 60.0
_SLOW: Final = 10.0
_KNOWN_FROM: Final = 0.01


class Progress:
    """Share done, time left, and speed since the start.

    Parameters
    ----------
    doing : str
        What is done, such as `scoring`.
    unit : str
        What is counted, in the plural, such as `bases`.
    total, done : int
        How many there are, and how many were done before.
    """

    def __init__(self, doing: str, unit: str, total: int, done: int = 0) -> None:
        self._doing, self._unit, self._total = doing, unit, total
        self._before, self._done = done, done
        self._began = self._told = time.monotonic()
        self._bar = tqdm(
            total=total, initial=done, desc=doing, bar_format=BAR_FORMAT, disable=None, mininterval=0.5, leave=False
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def add(self, count: int) -> None:
        """Note that so many more are done."""
        self._done += count
        now = time.monotonic()
        rate = (self._done - self._before) / max(now - self._began, 1e-9)
        speed = f"{rate:,.0f} {self._unit}/s" if rate >= _SLOW else f"{rate:.2g} {self._unit}/s"
        self._bar.set_postfix_str(speed, refresh=False)
        self._bar.update(count)
        if now - self._told >= LINE_EVERY_S:
            self._told = now
            share = self._done / max(self._total, 1)
            # Results may come in the order they were asked for, the first after many others.
            is_known = self._done - self._before >= _KNOWN_FROM * (self._total - self._before) > 0
            left = duration((self._total - self._done) / rate) if is_known else "not known yet"
            tell(f"{self._doing}: {share:.0%} of {self._total:,} {self._unit}, {speed}, time left {left}")
