"""Timing, and one JSON line a case: who ran what, where, with which versions."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from genomamba.environment import environment_facts, now

RESULTS = Path(os.environ.get("BENCHMARK_RESULTS") or Path(__file__).resolve().parent / "results")
"""Folder of all results."""


def seconds(call: Callable[[], object], *, repeats: int, warmup: int = 1) -> dict[str, float]:
    """Time a call; best, p50, p20 and p80 in seconds."""
    for _ in range(warmup):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return quantiles(times)


def in_turns(calls: dict[str, Callable[[], object]], *, repeats: int) -> dict[str, dict[str, float]]:
    """Time several calls, each once a round, so that what else the machine does falls on all of them.

    In each round a call runs twice and the second is timed: what ran before it has left its data in the caches.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(seconds(call, repeats=1)["best_s"])
    return {name: quantiles(values) for name, values in times.items()}


class ChildFailedError(Exception):
    """A measurement in a process of its own came to no end; the text says why."""


def child(script: str, case: dict[str, Any], *, timeout_s: float | None = None) -> dict[str, Any]:
    """Run `script --case <json>` as a process of its own, with the settings that the command line makes.

    Returns what it prints on its last line, as JSON.
    """
    command = [sys.executable, script, "--case", json.dumps(case)]
    environment = {"GOMP_SPINCOUNT": "10000", "THP_MEM_ALLOC_ENABLE": "1"} | os.environ
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise ChildFailedError(f"not finished after {timeout_s:.0f} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise ChildFailedError(said[-1])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def quantiles(times: list[float]) -> dict[str, float]:
    """Return the best, p50, p20 and p80 of some times."""
    times = sorted(times)
    last = len(times) - 1
    return {"best_s": times[0]} | {f"p{p}_s": times[min(last, p * len(times) // 100)] for p in (50, 20, 80)}


def machine_name(device: str = "cpu") -> str:
    """Name of the results folder: the GPU, or the CPU and how many cores this process may use."""
    if device == "cuda":
        name = torch.cuda.get_device_name()
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        name = f"{environment_facts()['cpu']} {cores} cores"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def device_facts(device: str) -> dict[str, Any]:
    """Return what else a result depends on: nothing on a CPU, the GPU and what drives it otherwise."""
    if device != "cuda":
        return {}
    import triton

    gpu = torch.cuda.get_device_properties(0)
    return {
        "gpu": gpu.name,
        "multiprocessors": gpu.multi_processor_count,
        "memory_gib": round(gpu.total_memory / 2**30, 1),
        "cuda": torch.version.cuda or torch.version.hip,
        "triton": triton.__version__,
    }


def write(file: str, case: str, *, device: str = "cpu", folder: str | None = None, **values: Any) -> None:
    """Append one line to <results>/<folder>/<file>.jsonl and print it; without a folder, that of the machine."""
    row = {
        "case": case,
        **values,
        **environment_facts(),
        **device_facts(device),
        "load_1min": round(os.getloadavg()[0], 2),
        "date": now(),
    }
    path = RESULTS / (folder or machine_name(device)) / f"{file}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    show(case, values)


def show(case: str, values: dict[str, Any]) -> None:
    """Print the figures of one case on a line."""
    figures = {key: f"{value:,.4g}" if isinstance(value, float) else value for key, value in values.items()}
    print(case, figures, flush=True)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, help="timed repeats of each case (default: 5)")
    return parser
