"""Compile the Triton kernels ahead of time, for GPUs that need not be here, and read what the binaries need.

    python benchmarks/compiled.py                    # every GPU, every configuration that is ever chosen
    python benchmarks/compiled.py --cases "bfloat16 16"
    python benchmarks/compiled.py --targets sm_90 gfx942 --kernels walk_back_kernel trace_kernel --record

Launchers run on tensors without memory, and what they would start is compiled instead: exactly what users run. Exits
with 1 where a kernel spills registers. With --record, lines are appended to benchmarks/results/compiled/.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from binaries import read_amdgcn, read_cubin
from record import write

from genomamba_kernels._checks import state_dtype
from genomamba_kernels._triton_compile import compile_launch, specialise
from genomamba_kernels._triton_launch import Launch, Target, recorded
from genomamba_kernels.conv import triton_launch as conv
from genomamba_kernels.conv.arguments import ConvArguments
from genomamba_kernels.scan import triton_launch as scan
from genomamba_kernels.scan.arguments import ScanArguments

TARGETS = {f"sm_{arch}": Target("cuda", arch) for arch in (75, 80, 86, 90, 100, 120)} | {"gfx942": Target("hip", 0x942)}
_Job = tuple[str, str, int, int | None]
"""GPU, case, which of its launches, limit on registers."""


@dataclass(frozen=True)
class Case:
    """Arguments of the kernels, as far as what is compiled depends on them."""

    dtype: torch.dtype = torch.bfloat16
    d_state: int = 16
    d_inner: int = 512
    bare: bool = False
    """Leave out all that is optional."""
    reverse: bool = False
    d_conv: int = 4
    packed: bool = False
    """Pack two sequences into the one row."""


def _cases() -> dict[str, Case]:
    cases = {"bfloat16 16": Case(), "bfloat16 16 reverse": Case(reverse=True), "bfloat16 16 bare": Case(bare=True)}
    for d_state in (1, 4, 8, 16, 32, 64, 128, 256):
        cases[f"float32 {d_state}"] = Case(torch.float32, d_state)
        cases[f"bfloat16 {d_state}"] = Case(torch.bfloat16, d_state)
    for d_state in (16, 256):
        cases[f"float64 {d_state}"] = Case(torch.float64, d_state)
        cases[f"bfloat16 {d_state}, 500 channels"] = Case(d_state=d_state, d_inner=500)
    for d_conv in (1, 2, 8, 16):
        cases[f"bfloat16, d_conv {d_conv}"] = Case(d_conv=d_conv)
        cases[f"float64, d_conv {d_conv}, packed"] = Case(torch.float64, d_conv=d_conv, packed=True)
    cases["bfloat16 packed"] = Case(packed=True)
    return cases


CASES = _cases()


def main() -> int:
    """Compile and examine what was asked for, and return 1 where something spills."""
    options = _parse()
    if os.environ.get("TRITON_INTERPRET") == "1":
        sys.exit("TRITON_INTERPRET=1 leaves nothing to compile; unset it")
    jobs = []
    for target in options.targets:
        seen = set()
        for case in options.cases:
            for i, launch in enumerate(_launches(target, case)):
                if options.kernels and launch.kernel.__name__ not in options.kernels:
                    continue
                if (key := str(_key(launch))) not in seen:
                    seen.add(key)
                    jobs.append((target, case, i, options.max_registers))
    if not jobs:
        sys.exit("no kernel has such a name")
    rows = []
    if not options.record:
        print(_line({name: name for name in _COLUMNS}))
    for row in _examined(jobs, options.workers):
        rows.append(row)
        if not options.record:
            print(_line(row), flush=True)
        else:
            facts = {name: value for name, value in row.items() if name != "case"}
            write(f"triton-{triton.__version__}", row["case"], folder="compiled", **facts)
    if options.json is not None:
        options.json.write_text("".join(json.dumps(row) + "\n" for row in rows))
    spilled = [row for row in rows if row["spilled"]]
    for row in spilled:
        print(f"{row['kernel']} spills on {row['target']} in case '{row['case']}'", file=sys.stderr)
    print(f"{len(jobs)} kernels by Triton {triton.__version__}, {len(spilled)} of them spill")
    return 1 if spilled else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS), help="(default: all)")
    parser.add_argument(
        "--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=f"of {', '.join(CASES)}"
    )
    parser.add_argument("--kernels", nargs="+", metavar="NAME", help="names of functions (default: all)")
    parser.add_argument("--max-registers", type=int, help="limit registers on NVIDIA's GPUs, to see what spills")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="write the rows to a file, one a line")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results/compiled/")
    return parser.parse_args()


def _examined(jobs: list[_Job], workers: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of all jobs in their order."""
    if workers == 1:
        yield from map(_examine, jobs)
        return
    # A forked child would share locks with threads of the parent.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_examine, jobs)


def scan_forward(case: Case) -> None:
    """Run forward of the scan so that each of its kernels is started."""
    # Long enough for several segments a sequence, and for an odd number of positions.
    scan.forward(_scan_arguments(case, length=2**17 + 1), keep=True)


def scan_backward(case: Case) -> None:
    """Run backward of the scan so that each of its kernels is started."""
    # With packed sequences, as with an odd length, no kernel may take it that positions come in whole groups.
    a = _scan_arguments(case, length=2**14 + case.packed)
    dfinal_state = a.A.new_empty(a.state_shape)
    scan.backward(a, torch.empty_like(a.u), dfinal_state, a.A.new_empty(scan.borders_shape(a)))


def convolution(case: Case) -> None:
    """Run forward and backward of the convolution so that each of its kernels is started."""
    wide = state_dtype(case.dtype)
    length, width = 2**17 + 1, case.d_inner
    x = torch.empty(1, length, width, dtype=case.dtype, device="meta")
    weight, bias = x.new_empty(width, case.d_conv, dtype=wide), x.new_empty(width, dtype=wide)
    borders = torch.tensor([0, 100, length]) if case.packed else None
    state = x.new_empty(2 if case.packed else 1, case.d_conv - 1, width, dtype=wide)
    optional = (None, None) if case.bare else (bias, state)
    a = ConvArguments(x, weight, *optional, borders, not case.bare, case.reverse)
    conv.forward(a)
    conv.backward(a, torch.empty_like(x))


LAUNCHERS: tuple[Callable[[Case], None], ...] = (scan_forward, scan_backward, convolution)


def _scan_arguments(case: Case, length: int) -> ScanArguments:
    wide = state_dtype(case.dtype)

    def tensor(*shape: int, dtype: torch.dtype = case.dtype) -> torch.Tensor:
        return torch.empty(*shape, dtype=dtype, device="meta")

    d, n = case.d_inner, case.d_state
    rows = [tensor(1, length, size) for size in (d, d, n, n, d)]
    u, delta, B, C, z = rows
    A = tensor(d, n, dtype=wide)
    if case.bare:
        return ScanArguments(u, delta, A, B, C, None, None, None, None, None, False, case.reverse)
    D, bias, state = tensor(d, dtype=wide), tensor(d, dtype=wide), tensor(1, d, n, dtype=wide)
    return ScanArguments(u, delta, A, B, C, D, z, bias, state, None, True, case.reverse)


def _launches(target: str, case: str) -> list[Launch]:
    with recorded(TARGETS[target]) as launches:
        for launcher in LAUNCHERS:
            launcher(CASES[case])
    return launches


def _key(launch: Launch) -> tuple[Any, ...]:
    return launch.kernel.__name__, *specialise(launch), launch.options


def _examine(job: _Job) -> dict[str, Any]:
    """Compile one launch and return its row of the table."""
    target, case, i, max_registers = job
    launch = _launches(target, case)[i]
    compiled = compile_launch(launch, TARGETS[target], max_registers)
    is_cubin = TARGETS[target].backend == "cuda"
    binary = read_cubin(compiled.asm["cubin"]) if is_cubin else read_amdgcn(compiled.asm["amdgcn"])
    threads = launch.num_warps * (32 if is_cubin else 64)
    row: dict[str, Any] = {
        "target": target, "kernel": launch.kernel.__name__.strip("_"), "case": case, "registers": binary.registers,
        "spilled": binary.spilled, "shared": binary.shared, "loop": binary.instructions,
    }  # fmt: skip
    if launch.work:
        # Instructions of one thread for each piece of work of a thread.
        row["per update"] = round(binary.instructions * threads / launch.work, 2)
    return row | dict(binary.loop)


_COLUMNS = {
    "target": 7, "kernel": 22, "case": 26, "registers": 10, "spilled": 8, "shared": 7, "loop": 6, "per update": 11,
    "exp": 5, "mul": 5, "fma": 5, "add": 5, "load": 5, "store": 6, "shuffle": 8, "barrier": 8, "other": 6,
}  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    cells = (f"{row.get(name, '')!s:<{width}}" for name, width in _COLUMNS.items())
    return " ".join(cells).rstrip()


if __name__ == "__main__":
    sys.exit(main())
