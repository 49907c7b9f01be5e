"""Timing, and one JSON line a case: who ran what, where, with which versions."""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genomamba.train.run_folder import environment_facts, now

HERE = Path(__file__).resolve().parent


def seconds(call: Callable[[], object], *, repeats: int, warmup: int = 1) -> dict[str, float]:
    """Time a call; best, p50, p20 and p80 in seconds."""
    for _ in range(warmup):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    times.sort()
    return {"best_s": times[0]} | {f"p{p}_s": times[min(repeats - 1, p * repeats // 100)] for p in (50, 20, 80)}


def machine_name() -> str:
    """Name of the results folder: the CPU and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return re.sub(r"[^a-z0-9]+", "-", f"{environment_facts()['cpu']} {cores} cores".lower()).strip("-")


def write(file: str, case: str, *, folder: str | None = None, **values: Any) -> None:
    """Append one line to results/<folder>/<file>.jsonl and print it; without a folder, that of the machine."""
    row = {
        "case": case,
        **values,
        **environment_facts(),
        "load_1min": round(os.getloadavg()[0], 2),
        "date": now(),
    }
    path = HERE / "results" / (folder or machine_name()) / f"{file}.jsonl"
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
