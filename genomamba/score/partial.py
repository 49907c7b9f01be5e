"""What an interrupted command has done, in a folder beside its output: the same command goes on from there."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

import genomamba
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.errors import RunError
from genomamba.files import atomic_file, read_json, remove_folder, remove_strays, write_json
from genomamba.model import LanguageModel
from genomamba.model.state import fingerprint

__all__ = ["VALUES", "Partial", "Sums", "plan_of"]

Float32Array = npt.NDArray[np.float32]

PLAN, DONE, VALUES = "plan.json", "done.jsonl", "values.f32"
# Of file systems of clusters that are mounted without locks.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@dataclass(frozen=True, slots=True)
class Sums:
    """Log-likelihood of one stretch: bases that were scored, and the sum of their bits."""

    scored: int = 0
    bits: float = 0.0


class Partial:
    """The folder of a command that is under way: its plan, the parts that are done, and their values.

    A part is done when its line stands in `done.jsonl`; what else a killed process has left is computed again.

    Parameters
    ----------
    folder : Path
        Made where there is none.
    plan : dict
        What the numbers depend on, as plain values.
    bases : int
        Values to hold, one a base; 4 bytes each on the disk. 0 where sums are all that is wanted.
    force : bool
        Begin anew, whatever is there.

    Attributes
    ----------
    done : dict of int to list of Sums
        The parts that are done, and the sums of their stretches.

    Raises
    ------
    RunError
        Where the folder is of another plan, is damaged, in use by another process, or cannot be written; so do the
        methods.
    """

    def __init__(self, folder: Path, plan: dict[str, Any], bases: int, *, force: bool = False) -> None:
        self.folder, self._bases = folder, bases
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)
            self._values = os.open(folder / VALUES, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                self._lock()
                self._open(plan, force=force)
            except BaseException:
                os.close(self._values)
                raise

    def _lock(self) -> None:
        """Keep other processes out until the values are closed, where the file system can."""
        try:
            fcntl.flock(self._values, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{self.folder}: another process is at work on it; start the command once, or give another --out"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise

    def _open(self, plan: dict[str, Any], *, force: bool) -> None:
        log = self.folder / DONE
        remove_strays(self.folder)
        if force:
            (self.folder / PLAN).unlink(missing_ok=True)
        if (self.folder / PLAN).exists():
            self._check(plan)
        else:
            log.unlink(missing_ok=True)
            write_json(self.folder / PLAN, plan)
        self.done = _read_done(log)
        if self.done and os.fstat(self._values).st_size != 4 * self._bases:
            raise _damaged(self.folder / VALUES)
        os.ftruncate(self._values, 4 * self._bases)
        # A line that a kill has cut short would run on into the next one.
        with atomic_file(log) as temporary:
            temporary.write_text("".join(_line(part, sums) for part, sums in self.done.items()))
        self._log = log.open("a")

    def __enter__(self) -> Partial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
        os.close(self._values)

    def write(self, at: int, values: Float32Array) -> None:
        """Put values, (bases,) float32, at place `at`."""
        data = memoryview(values.tobytes())
        offset = 4 * at
        with self._told():
            while data:
                written = os.pwrite(self._values, data, offset)
                data, offset = data[written:], offset + written

    def read(self, at: int, count: int) -> Float32Array:
        """Return `count` values from place `at` on."""
        with self._told():
            return np.frombuffer(os.pread(self._values, 4 * count, 4 * at), np.float32)

    def finish(self, part: int, sums: list[Sums]) -> None:
        """Note that a part is done; its values have reached the disk by then."""
        with self._told():
            if self._bases:
                os.fsync(self._values)
            self._log.write(_line(part, sums))
            self._log.flush()
        self.done[part] = sums

    def remove(self) -> None:
        """Remove the folder, which is of no use once the output stands."""
        with self._told():
            remove_folder(self.folder)

    def _check(self, plan: dict[str, Any]) -> None:
        before = read_json(self.folder / PLAN)
        if not isinstance(before, dict):
            raise _damaged(self.folder / PLAN)
        for key, value in plan.items():
            if (was := before.get(key)) != value:
                raise RunError(
                    f"{self.folder}: an interrupted command left it, with {key} {was} where this one has {value};"
                    " give that again to go on, --force to begin anew, or another --out"
                )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be written ({error.strerror}); what is done is kept") from error


def plan_of(model: LanguageModel, genome: Genome | None, stretches: Sequence[Interval]) -> dict[str, Any]:
    """Return what any scoring of stretches depends on: package, weights, device, files (if any), stretches."""
    places = "\n".join(f"{one.contig}\t{one.start}\t{one.end}" for one in stretches)
    return {
        "genomamba": genomamba.__version__,
        "model": fingerprint(model)[:12],
        "device": model.embedding.weight.device.type,
        "fasta": [] if genome is None else [source["sha256"][:12] for source in genome.inputs],
        "sequences": hashlib.sha256(places.encode()).hexdigest()[:12],
    }


def _line(part: int, sums: list[Sums]) -> str:
    return json.dumps([part, [[one.scored, one.bits] for one in sums]]) + "\n"


def _read_done(path: Path) -> dict[int, list[Sums]]:
    done: dict[int, list[Sums]] = {}
    try:
        for line in path.read_text().splitlines(keepends=True) if path.exists() else ():
            if line.endswith("\n"):
                part, rows = json.loads(line)
                done[part] = [Sums(*row) for row in rows]
    except (TypeError, ValueError) as error:
        raise _damaged(path) from error
    return done


def _damaged(path: Path) -> RunError:
    return RunError(f"{path}: damaged; it should be as an interrupted command left it, or give --force to begin anew")
