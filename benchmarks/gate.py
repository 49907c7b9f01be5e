"""Run the tests of the Triton kernels on a GPU, shared among several processes; nothing is to be timed where one fails.

    python benchmarks/gate.py                 # as many processes as there are cores, 12 at most
    python benchmarks/gate.py --processes 4

Most of the time of these tests goes into compiling, which takes a core and not the GPU.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

TESTS = Path(__file__).resolve().parents[1] / "tests" / "kernels"


def main() -> None:
    """Run each share of the tests in a process, print what failed, and end with status 1 if anything did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=min(12, os.cpu_count() or 1))
    parser.add_argument("--select", default="triton", help="tests to run, as pytest's -k takes it (default: triton)")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no GPU is to be seen by PyTorch; `make test-thorough` runs these tests in Triton's interpreter")
    start = time.perf_counter()
    count = options.processes
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "--tb=short", "-m", "not slow", "-k", options.select,
             f"--share={i}/{count}", TESTS],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for i in range(count)
    ]  # fmt: skip
    outputs = [process.communicate()[0] for process in running]
    passed = 0
    for process, output in zip(running, outputs, strict=True):
        summary = output.strip().splitlines()[-1:]
        # A share may be empty: pytest calls that 5.
        good = process.returncode in (0, 5)
        passed += good
        print("\n".join(summary) if good else output, flush=True)
    print(f"{passed} of {count} shares of the tests passed, in {time.perf_counter() - start:.0f} s")
    if passed < count:
        sys.exit(1)


if __name__ == "__main__":
    main()
