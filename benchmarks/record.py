"""Timing, and one JSON line a case: who ran what, where, with which versions."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numba
import torch

HERE = Path(__file__).resolve().parent


def seconds(call: Callable[[], object], *, repeats: int, warmup: int = 1) -> dict[str, float]:
    """Time a call; p50, p20 and p80 in seconds."""
    for _ in range(warmup):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    times.sort()
    return {f"p{p}_s": times[min(len(times) - 1, p * len(times) // 100)] for p in (50, 20, 80)}


def cpu_name() -> str:
    """Model of the CPU, as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine_name() -> str:
    """Name of the results folder: the CPU and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return re.sub(r"[^a-z0-9]+", "-", f"{cpu_name()} {cores} cores".lower()).strip("-")


def write(file: str, case: str, **values: Any) -> None:
    """Append one line to results/<machine>/<file>.jsonl and print it."""
    commit = subprocess.run(
        ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    row = {
        "case": case,
        **values,
        "machine": machine_name(),
        "load_1min": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numba": numba.__version__},
        "commit": commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = HERE / "results" / machine_name() / f"{file}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    figures = {
        key: f"{value:,.4g}" if isinstance(value, float) else value for key, value in (row.items()) if key in values
    }
    print(case, figures, flush=True)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, help="timed repeats of each case (default: 5)")
    return parser
