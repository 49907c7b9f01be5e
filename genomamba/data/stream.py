"""Training samples without end: sample i is a pure function of (seed, i).

The order. Each training region of R bases gives R // context windows (one, padded, where it is shorter than
the context). One pass over all of them is an epoch: sample i is at position i % windows_per_epoch of epoch
i // windows_per_epoch, and each epoch visits its windows in an order of its own, each once.

The coverage. In an epoch the windows of a region lie end to end, from an offset that is drawn anew for each
epoch and region, so that window borders move. Every base at least one context away from both ends of its
region is read exactly once an epoch; one nearer to an end once or twice, or not at all in that epoch, but in at
least a quarter of all epochs. A window never touches a base outside its region. Windows with too many N are
drawn again from all windows of the epoch, so that what such a window covers is not read in that epoch and what
replaces it is read once more.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate, repeat
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.context import ForkServerContext
from typing import Any, Final, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from genomamba.coordinates import Interval
from genomamba.data.draws import derive_key, mix, permute, sample_generator
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, DataError, GenomambaError

__all__ = [
    "Sample", "SampleStream", "StagedStream", "Stream", "make_loader", "sample_generator", "window_start",
    "windows_of",
]  # fmt: skip

Batch = TypeVar("Batch")

_ATTEMPTS: Final = 256


@dataclass(frozen=True, slots=True)
class Sample:
    """One window as a model reads it.

    Attributes
    ----------
    index : int
        Its number i in the stream.
    interval : Interval
        The bases, at most `context`.
    strand : "+" or "-"
        Which strand was read; on "-" tokens and weights run from the interval's end to its start.
    tokens : (context,), int64
        Padded on the right with `alphabet.unknown`.
    weights : (context,), float32
        Weight of each base in the loss: 0 where it is no target (N, padding), the soft-mask weight where it
        is lower case, else 1.
    before : int or None
        Token that lies before the first, where the window follows on the one that its lane read before it; None
        where a state begins anew.
    """

    index: int
    interval: Interval
    strand: Literal["+", "-"]
    tokens: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    before: int | None = None
    species: int | None = None


def windows_of(length: int, context: int) -> int:
    """Return how many windows an epoch has of a stretch: one of a short one, which is padded."""
    return max(1, length // context)


class Stream(Protocol):
    """Samples by number, without end; picklable."""

    def __getitem__(self, index: int) -> Sample: ...


class SampleStream:
    """Samples by number, without end; the module's text says which.

    Parameters
    ----------
    genome : Genome
        Where the bases come from.
    regions : sequence of Interval
        Where windows may lie.
    context : int
        Bases in a window.
    seed : int
        Of every draw.
    strand : "random" or "forward"
        Draw the strand of each sample, or read as in the file.
    max_n : float
        Largest share of N, 0 to 1, among a window's bases (padding not counted).
    softmask_weight : float
        Weight of lower-case bases, 0 to 1.

    Raises
    ------
    ConfigError
        Where there is no region, or strands are asked of an alphabet without complement.
    """

    def __init__(
        self,
        genome: Genome,
        regions: Sequence[Interval],
        *,
        context: int,
        seed: int,
        strand: Literal["random", "forward"] = "random",
        max_n: float = 1.0,
        softmask_weight: float = 1.0,
    ) -> None:
        if context < 1:
            raise ConfigError(f"--context is {context}; it must be 1 or more")
        if strand == "random" and not genome.alphabet.has_complement:
            raise ConfigError(f"the {genome.alphabet.name} alphabet has no complement; use --strand forward")
        self.genome = genome
        self.regions = tuple(region for region in regions if len(region))
        self.context = context
        self.seed = seed
        self.strand = strand
        self.max_n = max_n
        if not self.regions:
            raise ConfigError("no region to draw windows from; hold out less, or give more sequence")
        self._ends = list(accumulate(windows_of(len(region), context) for region in self.regions))
        self._weight_of_symbol = _weights(genome, softmask_weight)
        self._is_n = _is_n(genome)
        names = ("order", "offset", "strand", "redraw")
        self._order, self._offset, self._strand, self._redraw = (derive_key(seed, name) for name in names)

    @property
    def windows_per_epoch(self) -> int:
        """Samples in one pass over the regions."""
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        """Return sample `index`. Raises `DataError` where no window with few enough N is found."""
        for attempt in range(_ATTEMPTS):
            interval = self.interval(index, attempt)
            symbols = self.genome.fetch(interval.contig, interval.start, interval.end)
            if np.count_nonzero(self._is_n[symbols]) <= self.max_n * symbols.size:
                is_reverse = self.strand == "random" and bool(mix(self._strand + index) & 1)
                return self.make_sample(index, interval, symbols, is_reverse=is_reverse)
        raise DataError(
            f"{self.genome.contigs[0].path}: {_ATTEMPTS} windows of {self.context:,} bases drawn for sample "
            f"{index} all hold more than {self.max_n:.0%} N; raise --max-n, or name other --contigs"
        )

    def interval(self, index: int, attempt: int = 0) -> Interval:
        """Return the window of a sample; attempts from 1 on are those drawn instead of windows of N."""
        epoch, position = divmod(index, self.windows_per_epoch)
        if attempt == 0:
            window = permute(position, self.windows_per_epoch, mix(self._order ^ mix(epoch)))
        else:
            window = mix(mix(self._redraw + index) + attempt) % self.windows_per_epoch
        number = bisect_right(self._ends, window)
        region = self.regions[number]
        draw = mix(mix(self._offset ^ mix(epoch)) + number)
        start = window_start(window - (self._ends[number - 1] if number else 0), len(region), self.context, draw)
        return Interval(region.contig, region.start + start, min(region.start + start + self.context, region.end))

    def make_sample(
        self, index: int, interval: Interval, symbols: npt.NDArray[np.uint8], *, is_reverse: bool
    ) -> Sample:
        """Return the sample that a window's symbols give on one of the strands."""
        alphabet = self.genome.alphabet
        tokens = np.full(self.context, alphabet.unknown, np.int64)
        weights = np.zeros(self.context, np.float32)
        inside = alphabet.token_of_symbol[symbols]
        weight = self._weight_of_symbol[symbols]
        tokens[: symbols.size] = alphabet.reverse_complement(inside) if is_reverse else inside
        weights[: symbols.size] = weight[::-1] if is_reverse else weight
        return Sample(index, interval, "-" if is_reverse else "+", tokens, weights)


class StagedStream:
    """Samples of several streams by turns: from the first number of each turn on, those of its stream.

    Parameters
    ----------
    streams : sequence of Stream
        One a turn.
    firsts : sequence of int
        Number of the first sample of each turn, ascending from 0.
    """

    def __init__(self, streams: Sequence[Stream], firsts: Sequence[int]) -> None:
        self._streams, self._firsts = tuple(streams), list(firsts)

    def __getitem__(self, index: int) -> Sample:
        """Return sample `index`."""
        return self._streams[bisect_right(self._firsts, index) - 1][index]


def make_loader(
    stream: Stream,
    *,
    first: int,
    batch_size: int | Iterable[int],
    collate: Callable[[list[Sample]], Batch],
    workers: int,
    pin: bool = False,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """Yield batches of consecutive samples, [first, first + batch_size) and on.

    Content and order do not depend on the number of workers.

    Parameters
    ----------
    stream : Stream
        The samples.
    first : int
        Number of the first sample.
    batch_size : int or iterable of int
        Samples in a batch, without end; or in each batch, to the iterable's end.
    collate : callable
        Turns a list of samples into a batch; it must be picklable where there are workers.
    workers : int
        Processes, started by forkserver; 0 reads in this process.
    pin : bool
        Have batches put into pinned memory by their method `pin_memory`; where there are workers, by a thread.
    share : (int, int)
        Which part of each batch to yield, and of how many equal ones it consists.

    Raises
    ------
    GenomambaError
        As raised while a sample was read, in whichever process.
    """
    from torch import Generator
    from torch.utils.data import DataLoader

    loader: DataLoader[Any] = DataLoader(
        _Batches(stream, collate),  # type: ignore[arg-type]
        batch_size=None,
        sampler=_ranges(first, repeat(batch_size) if isinstance(batch_size, int) else batch_size, *share),
        num_workers=workers,
        collate_fn=_unchanged,
        multiprocessing_context=_forkserver() if workers else None,
        worker_init_fn=_LeaveWith(os.getpid()),
        pin_memory=pin,
        # A generator of its own, so that the loader draws nothing from the training's.
        generator=Generator(),
    )
    with _signals_held_back():
        batches = iter(loader)
    for batch in batches:
        if isinstance(batch, GenomambaError):
            raise batch
        yield batch


def _forkserver() -> ForkServerContext:
    context = get_context("forkserver")
    # Imported once in the server instead of once in each worker, which takes seconds.
    context.set_forkserver_preload(["genomamba.data.stream", "torch.utils.data"])
    return context


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Have the processes started here, and theirs, never see the signals that ask a run to leave or to checkpoint.

    A terminal and a cluster signal all processes of a job. The main process answers, and closes the workers itself;
    they inherit its mask, and what comes meanwhile reaches the main process when the block ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    # Starting the tracker lifts the mask of the other two, which it ignores itself.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _LeaveWith:
    """Ends a worker soon after the main process was killed, which its parent, the fork server, outlives."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def __call__(self, worker: int) -> None:
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        with suppress(ProcessLookupError):
            if not self._waited():
                while True:
                    time.sleep(1)
                    os.kill(self._pid, 0)
        os._exit(1)

    def _waited(self) -> bool:
        """Wait for the end of the main process, and say so; False where the system cannot.

        Signal 0 reaches a process that has ended as long as nobody has asked for its exit code.
        """
        try:
            connection.wait([os.pidfd_open(self._pid)])
        except ProcessLookupError:
            raise
        except (AttributeError, OSError):
            return False
        return True


class _Batches:
    """Batches by their first sample and their size; an error travels as a value, so that it stays one line."""

    def __init__(self, stream: Stream, collate: Callable[[list[Sample]], Any]) -> None:
        self._stream = stream
        self._collate = collate

    def __getitem__(self, batch: range) -> Any:
        try:
            return self._collate([self._stream[i] for i in batch])
        except GenomambaError as error:
            return error


def _ranges(first: int, sizes: Iterable[int], part: int, parts: int) -> Iterator[range]:
    for size in sizes:
        yield range(first + size * part // parts, first + size * (part + 1) // parts)
        first += size


def _unchanged(batch: Any) -> Any:
    return batch


def window_start(number: int, length: int, context: int, draw: int) -> int:
    """Return where window `number` of a region starts, from the region's start.

    length // context windows lie end to end from an offset. Where the offset leaves room for one fewer, the last one
    goes to an end of the region, drawn, and overlaps its neighbour; where it does not, they lie at an end every other
    time, for the ends would else be read far less often than the rest.
    """
    if length <= context:
        return 0
    windows = length // context
    rest = length - windows * context
    offset, coin = draw % context, draw >> 62
    if offset <= rest:
        return (0, rest, offset, offset)[coin] + number * context
    if number < windows - 1:
        return offset + number * context
    return 0 if coin % 2 else length - context


def _weights(genome: Genome, softmask_weight: float) -> npt.NDArray[np.float32]:
    alphabet = genome.alphabet
    symbols = np.arange(256, dtype=np.uint8)
    # Symbols of no letter have no token; they never occur in a cache.
    tokens = alphabet.token_of_symbol[symbols]
    is_target = (tokens < alphabet.vocab_size) & alphabet.is_target_token[tokens % alphabet.vocab_size]
    weights = np.where(alphabet.softmask(symbols), softmask_weight, 1.0) * is_target
    return weights.astype(np.float32)


def _is_n(genome: Genome) -> npt.NDArray[np.bool_]:
    alphabet = genome.alphabet
    if not alphabet.has_complement:
        return np.zeros(256, np.bool_)
    is_n: npt.NDArray[np.bool_] = alphabet.token_of_symbol == alphabet.unknown
    return is_n
