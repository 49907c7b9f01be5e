"""The processes of one run: what they tell one another, and how they begin and end together.

Process r of data x context ones is the data rank r // context and the context rank r % context: those that hold parts
of one sequence, and speak in every layer, are next to one another. A run by itself is one rank that asks nobody.
"""

from __future__ import annotations

import datetime
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, GenomambaError, RunError
from genomamba.model.context_parallel import LostContactError, SequenceParts, contact
from genomamba.model.state import MambaState
from genomamba.train.launch import LOOPBACK, Launch, find_launch, read_layout

__all__ = ["Ranks", "connected", "lay_out", "run_on_ranks"]

T = TypeVar("T")

TIMEOUT: Final = datetime.timedelta(minutes=30)
"""A process that is there but silent for so long is given up; one that ends is noticed at once."""
BUCKET: Final = 1 << 22
"""Numbers of gradients that go in one message: 16 MiB of float32."""


class _ToldElsewhereError(GenomambaError):
    """What ended all ranks, and the first one tells."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("told by the first process")
        self.exit_code = exit_code


class Ranks:
    """One rank of a run, and what it asks of the others; every method is called by all of them in the same order.

    Parameters
    ----------
    rank : int
        Number of this one.
    data, context : int
        Over how many the windows of a batch, and the positions of a window, are divided.
    local_rank, local_size : int
        Number on this machine, and how many run on it.
    context_group : ProcessGroup, optional
        Those that hold the parts of the same windows.
    """

    def __init__(
        self,
        rank: int = 0,
        data: int = 1,
        context: int = 1,
        *,
        local_rank: int = 0,
        local_size: int = 1,
        context_group: dist.ProcessGroup | None = None,
    ) -> None:
        self.rank, self.data, self.context = rank, data, context
        self.local_rank, self.local_size = local_rank, local_size
        self._context_group = context_group

    @property
    def size(self) -> int:
        """Number of ranks."""
        return self.data * self.context

    @property
    def is_first(self) -> bool:
        """Whether this one writes and speaks for all."""
        return self.rank == 0

    @property
    def data_rank(self) -> int:
        """Which share of the windows is this one's."""
        return self.rank // self.context

    @property
    def context_rank(self) -> int:
        """Which part of each window is this one's."""
        return self.rank % self.context

    def device_name(self, name: str) -> str:
        """Return the device to choose; of several GPUs, the one with the number of the rank becomes the current one.

        Raises
        ------
        ConfigError
            Where several ranks of a machine would share the GPU named.
        """
        if self.local_size == 1 or name == "cpu":
            return name
        if name.startswith("cuda:"):
            raise ConfigError(
                f"is {name!r}, one GPU for {self.local_size} processes; take cuda, which gives each its own",
                option="device",
            )
        if torch.cuda.is_available():
            # Under srun --gpus-per-task each process sees its own GPU alone.
            torch.cuda.set_device(self.local_rank % torch.cuda.device_count())
        return name

    def neighbours(self, config: ModelConfig) -> SequenceParts | None:
        """Return who hold the other parts of a sequence; None where it is not divided."""
        if self._context_group is None:
            return None
        strands = 2 if config.equivariant else 1
        return SequenceParts(self.context_rank, self.context, self._context_group, strands)

    def gather(self, *values: float) -> list[tuple[float, ...]]:
        """Return the numbers of every rank, in order."""
        if self.size == 1:
            return [values]
        own = torch.tensor(values, dtype=torch.float64)
        everywhere = [torch.empty_like(own) for _ in range(self.size)]
        with contact():
            dist.all_gather(everywhere, own)
        return [tuple(one.tolist()) for one in everywhere]

    def gather_rows(self, rows: Tensor) -> Tensor:
        """Return the rows of every rank, (rows, ...), of any number, in the order of the ranks."""
        if self.size == 1:
            return rows
        counts = [int(count) for (count,) in self.gather(rows.shape[0])]
        own = rows.new_zeros(max(counts), *rows.shape[1:])
        own[: rows.shape[0]] = rows
        everywhere = [torch.empty_like(own) for _ in counts]
        with contact():
            dist.all_gather(everywhere, own)
        return torch.cat([one[:count] for one, count in zip(everywhere, counts, strict=True)])

    def gather_values(self, value: T) -> list[T]:
        """Return a small value of every rank, in order."""
        if self.size == 1:
            return [value]
        everywhere: list[Any] = [None] * self.size
        with contact():
            dist.all_gather_object(everywhere, value)
        return everywhere

    def sum(self, value: Tensor) -> Tensor:
        """Return a number summed over all ranks, on its device: the same bits on each."""
        if self.size == 1:
            return value
        total = value.clone()
        with contact():
            dist.all_reduce(total)
        return total

    def sum_gradients(self, model: nn.Module) -> None:
        """Replace every gradient by its sum over all ranks: the same bits on each."""
        if self.size == 1:
            return
        gradients = [one.grad for one in model.parameters() if one.grad is not None]
        sent = []
        with contact():
            for bucket in _buckets(gradients):
                flat = torch.cat([one.flatten() for one in bucket])
                sent.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
            for bucket, flat, work in sent:
                work.wait()
                for one, total in zip(bucket, flat.split([one.numel() for one in bucket]), strict=True):
                    one.copy_(total.view_as(one))

    def take_weights(self, model: nn.Module) -> None:
        """Give every rank the weights of the first."""
        if self.size == 1:
            return
        with contact(), torch.no_grad():
            for parameter in model.parameters():
                dist.broadcast(parameter.data, src=0)

    def lanes_of(self, lanes: MambaState) -> MambaState:
        """Return the rows of all lanes that are this rank's."""
        own = lanes.batch // self.data
        return lanes.select(range(self.data_rank * own, (self.data_rank + 1) * own))

    def all_lanes(self, own: MambaState) -> MambaState:
        """Return the states of the lanes of every rank; sequences are not divided meanwhile."""
        conv, scan = (
            self.gather_rows(one.transpose(0, 1).contiguous()).transpose(0, 1) for one in (own.conv, own.scan)
        )
        return MambaState(conv, scan, self.gather_rows(own.position))

    @contextmanager
    def agree(self) -> Iterator[None]:
        """Have all ranks leave the block together: an error of one that the user can mend ends all, told once."""
        if self.size == 1:
            yield
            return
        own: GenomambaError | None = None
        try:
            yield
        except LostContactError:
            raise
        except GenomambaError as error:
            own = error
        for rank, found in enumerate(self.gather_values(own)):
            if found is not None:
                self._end(rank, found)

    def _end(self, rank: int, error: GenomambaError) -> NoReturn:
        if not self.is_first:
            raise _ToldElsewhereError(error.exit_code)
        raise error if rank == 0 else RunError(f"process {rank}: {error}")


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Give gradients of one dtype together, in their order, up to `BUCKET` numbers or one of more."""
    bucket: list[Tensor] = []
    for one in gradients:
        if bucket and (one.dtype != bucket[0].dtype or sum(x.numel() for x in bucket) + one.numel() > BUCKET):
            yield bucket
            bucket = []
        bucket.append(one)
    if bucket:
        yield bucket


def run_on_ranks(parallel: Sequence[str], body: Callable[[Ranks], int]) -> int:
    """Call `body` as one rank of the run that this process was started for, and return its exit code.

    Parameters
    ----------
    parallel : sequence of str
        See `read_layout`.
    body : callable
        Takes the rank. An error that all ranks have is raised on the first alone, so that it is told once.
    """
    launch = find_launch(os.environ)
    if launch is None:
        read_layout(parallel, 1)
        return body(Ranks())
    try:
        data, context = read_layout(parallel, launch.size)
    except ConfigError as error:
        if launch.rank == 0:
            raise
        return error.exit_code
    logger = logging.getLogger("genomamba")
    level = logger.level
    if launch.rank:
        logger.setLevel(logging.CRITICAL)
    try:
        with connected(launch, data, context) as ranks:
            return body(ranks)
    except (LostContactError, _ToldElsewhereError) as error:
        if launch.rank == 0:
            raise
        return error.exit_code
    except GenomambaError as error:
        if launch.rank == 0:
            raise
        raise RunError(f"process {launch.rank}: {error}") from error
    finally:
        logger.setLevel(level)


@contextmanager
def connected(launch: Launch, data: int, context: int) -> Iterator[Ranks]:
    """Connect the processes for as long as the block runs, and give this one's rank."""
    has_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    if launch.is_local:
        _stay_on_this_machine()
    with contact():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if has_gpus else "gloo",
            store=_meet(launch),
            rank=launch.rank,
            world_size=launch.size,
            timeout=TIMEOUT,
        )
    try:
        yield lay_out(launch, data, context)
    finally:
        dist.destroy_process_group()


def lay_out(launch: Launch, data: int, context: int) -> Ranks:
    """Divide the processes, which are connected, into ranks."""
    group = None
    if context > 1:
        # Every rank makes every group, and keeps its own.
        with contact():
            groups = [dist.new_group(list(range(i * context, (i + 1) * context))) for i in range(data)]
        group = groups[launch.rank // context]
    where = {"local_rank": launch.local_rank, "local_size": launch.local_size}
    return Ranks(launch.rank, data, context, context_group=group, **where)


def _meet(launch: Launch) -> Store:
    """Return where the processes find one another; of one machine, nothing else can reach it."""
    is_host = launch.rank == 0 and not launch.has_store
    listener = None
    if is_host and launch.is_local:
        try:
            listener = socket.create_server((LOOPBACK, launch.port)).detach()
        except OSError as error:
            raise RunError(f"port {launch.port} is taken ({error.strerror}); give another by MASTER_PORT") from error
    address = LOOPBACK if launch.is_local else launch.address
    store = TCPStore(
        address,
        launch.port,
        launch.size,
        is_master=is_host,
        timeout=TIMEOUT,
        wait_for_workers=False,
        master_listen_fd=listener,
    )
    return PrefixStore(f"genomamba-{launch.attempt}", store)


def _stay_on_this_machine() -> None:
    for _, name in socket.if_nameindex():
        if name in ("lo", "lo0"):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
