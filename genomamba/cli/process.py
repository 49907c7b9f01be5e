"""What the environment of this process must say before torch is loaded, and how it was called."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

__all__ = ["command_line", "prepare_process"]


def command_line(command: str, argv: Sequence[str]) -> str:
    """Return what a user may type to run a command again."""
    return shlex.join(["genomamba", command, *argv])


def prepare_process() -> None:
    """Set what torch reads when it loads; what the user has set stays."""
    # Threads of OpenMP that wait must soon sleep, or they take the cores that the kernels' own threads, and other
    # people's processes, are to run on (a fifth of the speed where the machine is shared).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # Large tensors in huge pages: a third less time in a forward pass, which otherwise waits for page faults.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
