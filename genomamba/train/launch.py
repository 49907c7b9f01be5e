"""Which process of a run this is, as `torchrun` or SLURM's `srun` say, and how the processes share the work."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from genomamba.errors import ConfigError, RunError

__all__ = ["LOOPBACK", "Launch", "find_launch", "read_layout"]

LOOPBACK: Final = "127.0.0.1"
FIRST_PORT, PORTS = 10_000, 20_000
"""SLURM names no port; one of these follows from the numbers of job and step, below those that systems hand out."""
_LOOPBACKS: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """One process of several.

    Attributes
    ----------
    rank, size : int
        Its number, and how many there are.
    local_rank, local_size : int
        The same on its machine.
    address, port : str, int
        Where the processes find one another.
    has_store : bool
        Whether the launcher listens there; else the first process does.
    attempt : int
        How often the launcher started the processes anew.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str
    port: int
    has_store: bool = False
    attempt: int = 0

    @property
    def is_local(self) -> bool:
        """Whether all processes are on this machine and meet on its loopback device."""
        return self.address in _LOOPBACKS


def find_launch(environment: Mapping[str, str]) -> Launch | None:
    """Read what a launcher has set; None for a process by itself.

    `torchrun` sets RANK, WORLD_SIZE and MASTER_ADDR, and comes first, since `srun` may have started it. `srun` sets
    SLURM_PROCID and SLURM_STEP_NUM_TASKS; the script of an `sbatch` job has no SLURM_STEP_NUM_TASKS, and is by itself
    however many tasks the job has.

    Raises
    ------
    RunError
        Where a variable that belongs to the others is absent or no number.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        launch = _torchrun(environment)
    elif "SLURM_STEP_NUM_TASKS" in environment and "SLURM_PROCID" in environment:
        launch = _slurm(environment)
    else:
        return None
    if not 0 <= launch.rank < launch.size:
        raise RunError(f"the environment names process {launch.rank} of {launch.size}; start by torchrun or srun anew")
    return launch if launch.size > 1 else None


def _torchrun(environment: Mapping[str, str]) -> Launch:
    local = _number(environment, "LOCAL_RANK", _number(environment, "RANK"))
    return Launch(
        rank=_number(environment, "RANK"),
        size=_number(environment, "WORLD_SIZE"),
        local_rank=local,
        local_size=_number(environment, "LOCAL_WORLD_SIZE", _number(environment, "WORLD_SIZE")),
        address=environment.get("MASTER_ADDR", LOOPBACK),
        port=_number(environment, "MASTER_PORT", 29_500),
        has_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=_number(environment, "TORCHELASTIC_RESTART_COUNT", 0),
    )


def _slurm(environment: Mapping[str, str]) -> Launch:
    nodes = _number(environment, "SLURM_STEP_NUM_NODES", _number(environment, "SLURM_NNODES", 1))
    names = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST") or ""
    if nodes > 1 and not names:
        raise RunError("srun runs on several nodes, but SLURM_STEP_NODELIST and SLURM_JOB_NODELIST are not set")
    size = _number(environment, "SLURM_STEP_NUM_TASKS")
    job, step = _number(environment, "SLURM_JOB_ID", 0), _number(environment, "SLURM_STEP_ID", 0)
    return Launch(
        rank=_number(environment, "SLURM_PROCID"),
        size=size,
        local_rank=_number(environment, "SLURM_LOCALID", 0),
        local_size=_on_node(
            environment.get("SLURM_STEP_TASKS_PER_NODE"), _number(environment, "SLURM_NODEID", 0), size
        ),
        address=environment.get("MASTER_ADDR") or (_first_host(names) if nodes > 1 else LOOPBACK),
        port=_number(environment, "MASTER_PORT", FIRST_PORT + (job + 97 * step) % PORTS),
    )


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name)
    if text is None and default is not None:
        return default
    try:
        return int(text or "")
    except ValueError:
        raise RunError(f"{name} is {text!r} in the environment, not a number; start by torchrun or srun anew") from None


def _first_host(names: str) -> str:
    """Return the first of hosts as SLURM writes them: `gpu[07-09,12]-ib,login1` begins with gpu07-ib."""
    found = re.match(r"([^,\[]*)(?:\[([^\],-]+)[^\]]*\])?([^,\[]*)", names)
    assert found is not None
    return "".join(part or "" for part in found.groups())


def _on_node(tasks: str | None, node: int, size: int) -> int:
    """Return the tasks of a node from such as `2(x3),1`: two on each of the first three, one on the fourth."""
    counts: list[int] = []
    for part in (tasks or "").split(","):
        if found := re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part):
            counts += [int(found[1])] * int(found[2] or 1)
    return counts[node] if node < len(counts) else size


def read_layout(parts: Sequence[str], processes: int) -> tuple[int, int]:
    """Read `data=2`, `context=4`: over how many processes windows, and each sequence, are divided.

    What is not named is 1 for context, and for data what is left of the processes.

    Raises
    ------
    ConfigError
        For other words, and where the two do not multiply out to `processes`.
    """
    found: dict[str, int] = {}
    for part in parts:
        name, _, number = part.partition("=")
        if name not in ("data", "context") or not number.isdecimal() or int(number) < 1:
            raise ConfigError(f"has {part!r}; it is of the form data=2,context=4", option="parallel")
        if name in found:
            raise ConfigError(f"has {name} twice; give it once", option="parallel")
        found[name] = int(number)
    context = found.get("context", 1)
    data = found.get("data", max(1, processes // context))
    if data * context != processes:
        how = "1 process runs" if processes == 1 else f"{processes} processes run"
        fits = math.gcd(context, processes)
        raise ConfigError(
            f"is data={data},context={context}, {data} x {context} = {data * context} processes, and {how}; start "
            f"{data * context} by torchrun or srun, or give --parallel data={processes // fits},context={fits}",
            option="parallel",
        )
    return data, context
