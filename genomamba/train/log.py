"""What a run writes while it trains: metrics.jsonl, metrics.csv, and a progress bar."""

from __future__ import annotations

import csv
import json
import logging
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from genomamba.errors import RunError
from genomamba.files import atomic_file
from genomamba.report.run_files import read_rows
from genomamba.train.events import EventLog

__all__ = ["BAR_FORMAT", "COLUMNS", "MetricsLog", "ProgressBar", "tell"]

COLUMNS = (
    "kind", "step", "bases", "time_s", "loss", "bits_per_base", "perplexity", "learning_rate", "gradient_norm",
    "bases_per_s", "peak_share", "genome", "class", "scored",
)  # fmt: skip


BAR_FORMAT = "{l_bar}{bar}| {elapsed} elapsed, {remaining} left{postfix}"


_log = logging.getLogger("genomamba")


def tell(message: str) -> None:
    """Log a line of progress where no bar is drawn, such as in the log file of a cluster's job."""
    if not sys.stderr.isatty():
        _log.info(message)


class MetricsLog:
    """Appends one row at a time to metrics.jsonl and metrics.csv, and where asked for to what TensorBoard reads.

    Kinds of rows: `train`, `valid`, and `valid_part` of a genome, a class of bases, or both; `scored` are its bases.

    Parameters
    ----------
    folder : Path
        Run folder.
    step : int
        Step of the checkpoint that the run goes on from, 0 for a new run; rows after it are dropped.
    tensorboard : bool
        Write them for TensorBoard too.
    """

    def __init__(self, folder: Path, step: int, *, tensorboard: bool = False) -> None:
        self._json, self._csv = folder / "metrics.jsonl", folder / "metrics.csv"
        before = read_rows(self._json) if self._json.exists() else []
        rows = [row for row in before if row["step"] <= step]
        with atomic_file(self._json) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with atomic_file(self._csv) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        self._events = EventLog(folder, rows) if tensorboard else None

    def write(self, **values: Any) -> None:
        """Append a row; columns not given are null."""
        row = {name: values.get(name) for name in COLUMNS}
        try:
            with self._json.open("a") as file:
                file.write(json.dumps(row) + "\n")
            with self._csv.open("a", newline="") as file:
                csv.DictWriter(file, COLUMNS).writerow(row)
        except OSError as error:
            raise RunError(f"{self._json}: cannot be written ({error.strerror}); checkpoints are untouched") from error
        if self._events is not None:
            self._events.write(row)

    def close(self) -> None:
        """Write what is held back; the files of the rows themselves hold nothing back."""
        if self._events is not None:
            self._events.close()


class ProgressBar:
    """Share done, time left, bases a second and how much of the device's peak that is, bits per base.

    Silent where stderr is no terminal, or not `shown`.
    """

    def __init__(self, done: float, *, shown: bool = True) -> None:
        hidden = None if shown else True
        self._bar = tqdm(
            total=100.0, initial=100 * done, desc="training", bar_format=BAR_FORMAT, disable=hidden, mininterval=0.5
        )

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def update(
        self, progress: float, *, bases_per_s: float, peak_share: float, bits: float, valid_bits: float | None
    ) -> None:
        """Move to `progress` (0 to 1); `bits` are of recent training batches, `valid_bits` of the last validation."""
        shown = f"{bases_per_s:,.0f} bases/s, {peak_share:.1%} of peak, {bits:.4f} bits per base"
        if valid_bits is not None:
            shown += f", {valid_bits:.4f} held out"
        self._bar.set_postfix_str(shown, refresh=False)
        self._bar.update(100 * progress - self._bar.n)
