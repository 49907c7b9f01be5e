"""Variants of a contig on the disk, so that they can be gone through again from the last to the first."""

from __future__ import annotations

import pickle
import tempfile
from array import array
from types import TracebackType

from genomamba.coordinates import Variant
from genomamba.errors import RunError
from genomamba.score.variants.status import Status

__all__ = ["Spool"]


class Spool:
    """Variants and their statuses in a file that is gone at the end, and the sums of their scores: 24 bytes each.

    Raises
    ------
    RunError
        Where the file cannot be written; so does `append`.
    """

    def __init__(self) -> None:
        self._places, self._llr, self._corrected = array("q"), array("d"), array("d")
        try:
            self._file = tempfile.TemporaryFile(prefix="genomamba-variants-")  # noqa: SIM115
        except OSError as error:
            raise RunError(f"{tempfile.gettempdir()}: {_UNWRITTEN} ({error.strerror}); {_WAY_OUT}") from error

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    def append(self, variant: Variant, status: Status) -> None:
        """Put a variant behind the others, with sums of 0."""
        row = (variant.contig, variant.start, variant.ref, variant.alt, status.value)
        try:
            self._places.append(self._file.tell())
            pickle.dump(row, self._file)
        except OSError as error:
            raise RunError(f"{tempfile.gettempdir()}: {_UNWRITTEN} ({error.strerror}); {_WAY_OUT}") from error
        self._llr.append(0.0)
        self._corrected.append(0.0)

    def add(self, number: int, llr: float, corrected: float) -> None:
        """Add to the sums of a variant."""
        self._llr[number] += llr
        self._corrected[number] += corrected

    def read(self, number: int) -> tuple[Variant, Status]:
        """Return a variant and its status."""
        self._file.seek(self._places[number])
        *row, status = pickle.load(self._file)
        return Variant(*row), Status(status)

    def sums(self, number: int) -> tuple[float, float]:
        """Return the sums of a variant."""
        return self._llr[number], self._corrected[number]


_UNWRITTEN = "cannot hold the variants of a contig"
_WAY_OUT = "name a folder with more room by TMPDIR"
