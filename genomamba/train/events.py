"""A run's metrics as TensorBoard reads them, for `--tensorboard`: the rows of metrics.jsonl, and no others."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from genomamba.errors import RunError

__all__ = ["EventLog", "check_installed"]

FOLDER: Final = "tensorboard"
VALUES: Final = ("bits_per_base", "learning_rate", "gradient_norm", "bases_per_s", "peak_share")


def check_installed() -> None:
    """Raise `RunError` where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise RunError(
            "--tensorboard needs a package that is not installed: pip install 'genomamba[tensorboard]'; metrics.csv "
            "and metrics.jsonl are written without it"
        )


class EventLog:
    """Event files in RUN/tensorboard.

    They are written anew from the rows that a run goes on with, so that they hold what the metrics hold, once each.
    Tags are such as `train/bits_per_base` and `valid_part/CDS/bits_per_base`; a step is a step of training, and the
    time that of the training, from 0.

    Parameters
    ----------
    run : Path
        Run folder.
    rows : iterable of dict
        Rows that are there already.

    Raises
    ------
    RunError
        Where the package is not installed, or the folder cannot be written.
    """

    def __init__(self, run: Path, rows: Iterable[Mapping[str, Any]]) -> None:
        check_installed()
        from torch.utils.tensorboard import SummaryWriter

        folder = run / FOLDER
        try:
            if folder.exists():
                shutil.rmtree(folder)
            self._writer = SummaryWriter(str(folder))
        except OSError as error:
            raise RunError(f"{folder}: cannot be written ({error.strerror})") from error
        for row in rows:
            self.write(row)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add the numbers of a row; rows other than those of training are seen at once."""
        place = "/".join(str(row[name]) for name in ("kind", "genome", "class") if row.get(name))
        for name in VALUES:
            if row.get(name) is not None:
                self._writer.add_scalar(f"{place}/{name}", row[name], row["step"], walltime=row["time_s"])
        if row["kind"] != "train":
            self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
