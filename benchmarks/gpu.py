"""Time the kernels, and steps of training, on a GPU, beside what the GPU could do at best.

    python benchmarks/gpu.py                     # every case
    python benchmarks/gpu.py --cases scan lengths
    python benchmarks/gpu.py --cases recipe million   # steps of training alone
    python benchmarks/gpu.py --dry-run           # every case at tiny sizes on the CPU, in Triton's interpreter

The numbers are checked first, those of the kernels, and for steps of training their loss and gradients, and nothing is
timed where they are wrong. Results are appended as JSON lines to
benchmarks/results/<GPU>/gpu.jsonl; a dry run writes nothing.
"""

import argparse
import functools
import os
import subprocess
import sys
import tempfile
from typing import Any

if "--dry-run" in sys.argv:
    # Read when Triton is imported.
    os.environ["TRITON_INTERPRET"] = "1"

import torch
from device import Ceilings, Shape, device_seconds, measure_ceilings, scan_floor, scan_inputs, training_step
from record import show, write
from torch import Tensor
from training import million, recipe, wrong_step

from genomamba_kernels import causal_conv1d, selective_scan

Record = dict[str, Any]
PASSES = ("forward", "forward and backward")
SHAPES = (Shape(1, 131_072, 512, 16), Shape(1, 1_048_576, 512, 16), Shape(8, 8192, 1536, 16), Shape(64, 1024, 256, 16))
TINY_SHAPES = (Shape(1, 5, 3, 2), Shape(2, 2, 2, 1))
FIRST_CALL = """
import sys, time
start = time.perf_counter()
import torch
device = sys.argv[1]
length, d_inner = int(sys.argv[2]), int(sys.argv[3])
x, maps = (torch.ones(1, length, size, dtype=torch.bfloat16, device=device) for size in (d_inner, 16))
u, A = x.clone().requires_grad_(), -torch.rand(d_inner, 16, device=device)
def wait():
    if device == "cuda":
        torch.cuda.synchronize()
wait()
begun = time.perf_counter()
from genomamba_kernels import selective_scan
imported = time.perf_counter()
y = selective_scan(u, x, A, maps, maps, z=x, delta_softplus=True, backend="triton")
wait()
forward = time.perf_counter()
y.sum().backward()
wait()
print(imported - begun, forward - imported, time.perf_counter() - forward)
"""


def main() -> None:
    """Run the cases that were asked for and append one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=30, help="timed repeats of each case (default: 30)")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes on the CPU; writes nothing")
    options = parser.parse_args()
    options.device = "cpu" if options.dry_run else "cuda"
    if options.dry_run:
        options.repeats = 1
    elif not torch.cuda.is_available():
        sys.exit("no GPU is to be seen by PyTorch; --dry-run walks through the cases on the CPU")
    if wrong := disagreement(options.device):
        sys.exit(f"the Triton kernels disagree with the reference in {wrong}; nothing is timed")
    if set(options.cases) & TRAINING and (wrong := wrong_step(options.device)):
        sys.exit(f"a training step is not that of float64: {wrong}; nothing is timed")
    ceilings, records = measure_ceilings(options.device, repeats=options.repeats)
    note = functools.partial(_note, options)
    for record in records:
        note("ceiling", record)
    for case in options.cases:
        for record in CASES[case](options, ceilings):
            note(case, record)


def _note(options: argparse.Namespace, case: str, record: Record) -> None:
    if options.dry_run:
        show(case, record)
    else:
        write("gpu", case, device=options.device, **record)


def disagreement(device: str) -> str:
    """Return the first result in float64 that is not the reference's, on a shape that crosses every edge, or ""."""
    torch.manual_seed(0)
    shape = Shape(2, 150, 70, 5) if device == "cuda" else Shape(1, 3, 2, 2)
    inputs = {name: tensor.double() for name, tensor in scan_inputs(shape, device).items()}
    dy = torch.randn_like(inputs["u"])
    results = []
    for backend in ("triton", "reference"):
        scan = functools.partial(selective_scan, delta_softplus=True, backend=backend)
        results.append([scan(**inputs), *training_step(scan, inputs, dy)()])
    for name, ours, expected in zip(("y", *inputs), *results, strict=True):
        if not torch.allclose(ours, expected, rtol=1e-10, atol=1e-10):
            return name
    return ""


def scan(options: argparse.Namespace, ceilings: Ceilings) -> list[Record]:
    """Forward, and forward with backward, in bfloat16, on every shape."""
    shapes = TINY_SHAPES if options.dry_run else SHAPES
    return [timed_scan(shape, passes, options, ceilings) for shape in shapes for passes in PASSES]


def timed_scan(shape: Shape, passes: str, options: argparse.Namespace, ceilings: Ceilings) -> Record:
    """Time the scan of one shape, beside its floor."""
    inputs = scan_inputs(shape, options.device)
    function = functools.partial(selective_scan, delta_softplus=True, backend="triton")
    if passes == "forward":
        call = torch.no_grad()(functools.partial(function, **inputs))
    else:
        call = training_step(function, inputs, torch.randn_like(inputs["u"]))
    spread = device_seconds(call, options.device, repeats=options.repeats)
    floor = scan_floor(shape, passes, ceilings)
    rates = {
        "share_of_floor": floor["floor_s"] / spread["p50_s"],
        "s_per_token": spread["p50_s"] / (shape.batch * shape.length),
        "peak_mib": _peak_mib(call, options.device),
    }
    return shape._asdict() | {"dtype": "bfloat16", "passes": passes} | spread | floor | rates


def _peak_mib(call: Any, device: str) -> float | None:
    """Return the memory that a call needs at most beyond what was there before it, its results with it."""
    if device == "cpu":
        return None
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def lengths(options: argparse.Namespace, ceilings: Ceilings) -> list[Record]:
    """Time per token at 2^14 and at 2^20 positions."""
    sizes = ((2, 1, 1), (4, 1, 1)) if options.dry_run else ((2**14, 512, 16), (2**20, 512, 16))
    records = []
    for passes in PASSES:
        short, long = (timed_scan(Shape(1, *size), passes, options, ceilings) for size in sizes)
        short["ratio"], long["ratio"] = 1.0, long["s_per_token"] / short["s_per_token"]
        records += [record | {"peer": f"{sizes[0][0]} positions"} for record in (short, long)]
    return records


def convolution(options: argparse.Namespace, ceilings: Ceilings) -> list[Record]:
    """Forward and backward of the convolution, and their shares of the bandwidth of a copy."""
    batch, length, d_inner, d_conv = (1, 5, 2, 4) if options.dry_run else (1, 1_048_576, 512, 4)
    torch.manual_seed(0)
    x = torch.randn(batch, length, d_inner, device=options.device, dtype=torch.bfloat16)
    weight = torch.randn(d_inner, d_conv, device=options.device)
    bias = torch.randn(d_inner, device=options.device)
    leaves = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    y = causal_conv1d(*leaves, activation="silu", backend="triton")
    dy = torch.randn_like(y)

    def forward() -> Tensor:
        with torch.no_grad():
            return causal_conv1d(x, weight, bias, activation="silu", backend="triton")

    def backward() -> object:
        return torch.autograd.grad(y, leaves, dy, retain_graph=True)

    records = []
    for passes, call, rows in (("forward", forward, 2), ("backward", backward, 3)):
        spread = device_seconds(call, options.device, repeats=options.repeats)
        moved = rows * x.nbytes
        share = moved / ceilings.bytes_per_s / spread["p50_s"]
        sizes = {"batch": batch, "length": length, "d_inner": d_inner, "d_conv": d_conv, "dtype": "bfloat16"}
        records.append(sizes | {"passes": passes} | spread | {"bytes": moved, "share_of_bandwidth": share})
    return records


def first_call(options: argparse.Namespace, ceilings: Ceilings) -> list[Record]:
    """What the first calls of a process take: with nothing compiled, and with Triton's cache on disk."""
    records = []
    sizes = ("1", "1") if options.dry_run else ("4096", "512")
    with tempfile.TemporaryDirectory() as cache:
        for state in ("nothing compiled", "compiled on disk"):
            done = subprocess.run(
                [sys.executable, "-c", FIRST_CALL, options.device, *sizes],
                env=os.environ | {"TRITON_CACHE_DIR": cache}, stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            imported, forward, backward = map(float, done.stdout.split())
            records.append({"cache": state, "import_s": imported, "forward_s": forward, "backward_s": backward})
    return records


CASES = {
    "scan": scan,
    "lengths": lengths,
    "convolution": convolution,
    "first_call": first_call,
    "recipe": recipe,
    "million": million,
}
TRAINING = {"recipe", "million"}

if __name__ == "__main__":
    main()
