"""`genomamba doctor`: does this installation compute the right numbers on this machine, and can it write its caches?"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

from genomamba.cli.parsing import Parser
from genomamba.errors import GenomambaError, RunError

__all__ = ["parser", "run"]

PACKAGES: Final = ("numpy", "torch", "numba", "triton", "safetensors", "pyfaidx", "biopython")
LEAST_FREE_GIB: Final = 1.0
Verdict = Literal["ok", "FAILED", "not run"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    what: str
    verdict: Verdict
    detail: str


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "doctor",
        "[--json]",
        description="Check versions, devices, caches, and the numbers of every kernel; exit 1 where one is wrong.",
    )
    made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object instead")
    return made


def run(argv: Sequence[str]) -> int:
    """Print what was found, and return the exit code."""
    as_json = hasattr(parser().parse(argv), "json")
    findings = []
    for finding in _examine():
        findings.append(finding)
        if not as_json:
            print(f"{finding.verdict:<8} {finding.what}: {finding.detail}", flush=True)
    failed = [finding for finding in findings if finding.verdict == "FAILED"]
    if as_json:
        print(json.dumps({"ok": not failed, "findings": [asdict(finding) for finding in findings]}, indent=2))
    elif failed:
        print(f"\n{len(failed)} of {len(findings)} checks failed: do not trust results of this installation")
    else:
        print("\nall is well")
    return 1 if failed else 0


def _examine() -> Iterator[Finding]:
    yield Finding("versions", "ok", _versions())
    yield Finding("processor", "ok", _processor())
    yield _folder("cache of compiled kernels", _kernel_cache)
    yield _folder("cache of genomes", _genome_cache)
    for backend, dtype in (("reference", "float64"), ("cpu", "float64"), ("cpu", "float32"), ("cpu", "bfloat16")):
        yield _numbers(backend, "cpu", dtype)
    yield _compiler()
    yield from _gpus()
    yield _training()


def _versions() -> str:
    import genomamba

    return ", ".join([f"genomamba {genomamba.__version__}", f"python {platform.python_version()}",
                      *(f"{name} {_version(name)}" for name in PACKAGES)])  # fmt: skip


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    import genomamba_kernels
    from genomamba.environment import environment_facts

    facts = environment_facts()
    threads = genomamba_kernels.get_num_threads()
    return f"{facts['cpu']}, {threads} thread{'s'[: threads != 1]}, {facts['platform']}"


def _kernel_cache() -> Path:
    from genomamba_kernels._compile import cache_folder, is_kept

    folder = cache_folder()
    if not is_kept(folder):
        raise RunError("no folder can be written, so each process compiles anew; name one by GENOMAMBA_CACHE_DIR")
    return folder


def _genome_cache() -> Path:
    from genomamba.data.folders import cache_folders, writable_folder

    return writable_folder(cache_folders())


def _folder(what: str, find: Callable[[], Path]) -> Finding:
    try:
        folder = find()
        free = shutil.disk_usage(folder).free / 2**30
    except (OSError, GenomambaError) as error:
        return Finding(what, "FAILED", str(error))
    verdict: Verdict = "ok" if free >= LEAST_FREE_GIB else "FAILED"
    return Finding(what, verdict, f"{folder}, {free:,.1f} GiB free, at least {LEAST_FREE_GIB:g} needed")


def _numbers(backend: str, device: str, dtype: str) -> Finding:
    """Compare every output and gradient of the kernels with what is stored."""
    import torch

    from genomamba_kernels import selftest

    what = f"numbers of {backend} in {dtype} on {device}"
    start = time.perf_counter()
    try:
        results = selftest.check(backend, device, getattr(torch, dtype))
    except Exception as error:
        return Finding(what, "FAILED", " ".join(f"{type(error).__name__}: {error}".split()))
    seconds = time.perf_counter() - start
    wrong = [result for result in results if not result.is_right]
    worst = max(results, key=lambda result: result.error if result.error == result.error else float("inf"))
    size = f"error {worst.error:.1e}, at most {worst.tolerance:.0e}"
    if wrong:
        return Finding(what, "FAILED", f"{len(wrong)} of {len(results)} wrong, the worst {worst.name}: {size}")
    return Finding(what, "ok", f"{len(results)} outputs and gradients, {size}, {seconds:.1f} s")


def _compiler() -> Finding:
    """Compile kernels of the scan for the GPU that is here, or where there is none, for one of a common kind."""
    import torch

    from genomamba_kernels._checks import HAS_TRITON

    if not HAS_TRITON:
        return Finding("Triton", "not run", "not installed; GPUs need it: pip install 'genomamba[triton]'")
    if os.environ.get("TRITON_INTERPRET") == "1":
        return Finding("Triton", "not run", "TRITON_INTERPRET=1 leaves nothing to compile")
    from genomamba_kernels._triton_compile import compile_forward
    from genomamba_kernels._triton_launch import Target, target_of

    start = time.perf_counter()
    try:
        target = target_of(torch.device("cuda")) if torch.cuda.is_available() else Target("cuda", 90)
        count = compile_forward(target)
    except Exception as error:
        return Finding("Triton", "FAILED", " ".join(f"{type(error).__name__}: {error}".split()))
    name = f"sm_{target.arch}" if target.backend == "cuda" else f"gfx{target.arch:x}"
    return Finding("Triton", "ok", f"{count} kernels compiled for {name}, {time.perf_counter() - start:.1f} s")


def _training() -> Finding:
    """Say where commands run that are not told."""
    from genomamba.train.device import choose_precision, choose_training_device

    device = choose_training_device("auto")
    precision = choose_precision("auto", device)
    return Finding(
        "--device auto", "ok", f"pretrain trains on {device} in {precision}, finetune on {device}, all else runs on cpu"
    )


def _gpus() -> Iterator[Finding]:
    import torch

    from genomamba_kernels._checks import HAS_TRITON

    if not torch.cuda.is_available():
        why = "torch sees no GPU" if torch.version.cuda or torch.version.hip else "this torch is built for CPUs"
        yield Finding("GPU", "not run", f"{why}; the CPU kernels are used")
        return
    if not HAS_TRITON:
        yield Finding("GPU", "FAILED", "a GPU is here, but triton is not: pip install 'genomamba[triton]'")
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        memory = f"{properties.total_memory / 2**30:,.0f} GiB"
        yield Finding(f"cuda:{index}", "ok", f"{properties.name}, {memory}, compute capability "
                                             f"{properties.major}.{properties.minor}")  # fmt: skip
        for dtype in ("float32", "bfloat16"):
            yield _numbers("triton", f"cuda:{index}", dtype)
