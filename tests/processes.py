"""Processes of one run, started as torchrun starts them, that meet on the loopback device."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence


def free_port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def start(arguments: Sequence[str], processes: int) -> list[subprocess.Popen]:
    """Start `python ARGUMENTS` so many times, each with its rank."""
    port = free_port()
    common = {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = []
    for rank in range(processes):
        own = {"RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": 1}
        environment = os.environ | {name: str(value) for name, value in (common | own).items()}
        started.append(
            subprocess.Popen(
                [sys.executable, *arguments],
                env=environment if processes > 1 else os.environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def finish(started: Sequence[subprocess.Popen], timeout_s: float = 600) -> list[tuple[int, str, str]]:
    """Wait for all of them, and return exit code, standard output and errors of each."""
    try:
        shown = [process.communicate(timeout=timeout_s) for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(started, shown, strict=True)]
