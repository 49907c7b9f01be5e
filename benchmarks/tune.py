"""Find how the Triton kernels of the scan are best cut into programs: what `scan/triton_plan.py` should say.

    python benchmarks/tune.py                                   # by time, on the GPU that is here
    python benchmarks/tune.py --passes forward --d-states 16 64 --shape 8 8192 1536
    python benchmarks/tune.py --target sm_90                    # by the compiled code, on no GPU
    python benchmarks/tune.py --dry-run                         # one change, at a tiny size, in Triton's interpreter

From the plan as it is, one field after another is halved and doubled, and what is faster by 2 % is kept, until nothing
is. Without a GPU, instructions of the innermost loops for each state update stand for time; what spills is left out.
The last line of each search is the plan to write down. Lines are appended to benchmarks/results/<GPU>/tune.jsonl.
"""

import argparse
import contextlib
import functools
import math
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

if "--dry-run" in sys.argv:
    # Read when Triton is imported.
    os.environ["TRITON_INTERPRET"] = "1"

import torch
from compiled import LAUNCHERS, TARGETS, Case, compile_launch
from device import Shape, device_seconds, scan_inputs
from record import show, write

from genomamba_kernels import selective_scan
from genomamba_kernels._triton_launch import recorded
from genomamba_kernels.scan import triton_backward, triton_forward, triton_plan

Plan = dict[str, Any]
PLANS = {"forward": (triton_forward, "forward_plan"), "backward": (triton_backward, "backward_plan")}
"""Where each pass looks up its plan."""
REGISTERS = (None, 96, 128, 168, 232)
FIXED = ("lanes",)
"""Fields that the kind of GPU gives."""
KEPT_IF = 0.98
"""Part of the time of the best plan below which another one replaces it."""


def main() -> None:
    """Search from the present plan of each pass and d_state, and print what was tried and what was best."""
    options = parse()
    for d_state in options.d_states:
        for passes in options.passes:
            shape = Shape(*options.shape, d_state)
            if options.target:
                evaluate: Callable[[Plan], float] = functools.partial(instructions, passes, shape, options)
            else:
                evaluate = functools.partial(timed, passes, shape, options)
            search(passes, shape, evaluate, options)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", nargs="+", choices=PLANS, default=list(PLANS))
    parser.add_argument("--d-states", nargs="+", type=int, default=[16, 32, 64, 128, 256], metavar="N")
    parser.add_argument("--shape", nargs=3, type=int, default=(1, 131_072, 512), metavar="SIZE", help="b, l, d")
    parser.add_argument("--dtype", choices=("bfloat16", "float32", "float64"), default="bfloat16")
    parser.add_argument("--target", choices=TARGETS, help="judge by the code compiled for it, not by time")
    parser.add_argument("--repeats", type=int, default=10, help="timed repeats of each plan (default: 10)")
    parser.add_argument("--dry-run", action="store_true", help="one change at a tiny size on the CPU; writes nothing")
    options = parser.parse_args()
    options.device = "cpu" if options.dry_run else "cuda"
    if options.dry_run:
        options.repeats, options.d_states, options.shape = 1, [2], (1, 3, 2)
    elif not options.target and not torch.cuda.is_available():
        sys.exit("no GPU is to be seen by PyTorch; --target judges by the code compiled for one")
    return options


def search(passes: str, shape: Shape, evaluate: Callable[[Plan], float], options: argparse.Namespace) -> None:
    """Change one field after another for as long as it helps."""
    present = present_plan(passes, shape, options)
    best: Plan = {}
    least = evaluate(best)
    note(passes, shape, present, least, options)
    tried = {str(present)}
    improved = True
    while improved:
        improved = False
        for change in neighbours(present | best):
            plan = present | best | change
            if str(plan) in tried:
                continue
            tried.add(str(plan))
            figure = evaluate(best | change)
            note(passes, shape, plan, figure, options)
            if figure < KEPT_IF * least:
                best, least, improved = best | change, figure, True
            if options.dry_run:
                return
    note(passes, shape, present | best, least, options, best=True)


def neighbours(plan: Plan) -> Iterator[Plan]:
    """Yield the changes of one field."""
    for field, value in plan.items():
        if field == "max_registers":
            yield from ({field: limit} for limit in REGISTERS if limit != value)
        elif field not in FIXED:
            yield from ({field: other} for other in (value // 2, 2 * value) if other >= 1)


def note(
    passes: str, shape: Shape, plan: Plan, figure: float, options: argparse.Namespace, *, best: bool = False
) -> None:
    """Print a plan and its figure; write down what was timed."""
    kind = "instructions_an_update" if options.target else "p50_s"
    values = shape._asdict() | {"dtype": options.dtype, "plan": plan, kind: figure, "best": best}
    if options.target or options.dry_run:
        show(passes, values)
    else:
        write("tune", passes, device="cuda", **values)


def present_plan(passes: str, shape: Shape, options: argparse.Namespace) -> Plan:
    """Return the plan that a pass uses for a shape, and the positions of a chunk."""
    found: list[Plan] = []
    module, name = PLANS[passes]
    original = getattr(module, name)

    def spy(*arguments: Any) -> Any:
        found.append(original(*arguments)._asdict())
        return original(*arguments)

    sizes: list[int] = []
    original_size = triton_plan.chunk_size

    def spy_size(*arguments: Any) -> int:
        sizes.append(original_size(*arguments))
        return sizes[-1]

    with patched(module, {name: spy, "chunk_size": spy_size}):
        launches(passes, shape, options)
    return found[0] | {"chunk": sizes[0]}


@contextlib.contextmanager
def patched(module: Any, values: Plan) -> Iterator[None]:
    """Give names of a module other values."""
    before = {name: getattr(module, name) for name in values}
    for name, value in values.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


@contextlib.contextmanager
def changed(passes: str, changes: Plan) -> Iterator[None]:
    """Have a pass use other values in its plan."""
    module, name = PLANS[passes]
    original = getattr(module, name)
    fields = {field: value for field, value in changes.items() if field != "chunk"}
    chunk = {size: changes["chunk"] for size in ("SHORTEST_CHUNK", "LONGEST_CHUNK") if "chunk" in changes}
    plan = {name: lambda *arguments: original(*arguments)._replace(**fields)}
    with patched(module, plan), patched(triton_plan, chunk):
        yield


def timed(passes: str, shape: Shape, options: argparse.Namespace, changes: Plan) -> float:
    """Return the seconds of a pass; infinity where Triton refuses the plan, or its numbers are wrong."""
    dtype = getattr(torch, options.dtype)
    inputs = {name: x.to(dtype) if x.dim() == 3 else x for name, x in scan_inputs(shape, options.device).items()}
    if dtype == torch.float64:
        inputs = {name: x.double() for name, x in inputs.items()}
    leaves = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    scan = functools.partial(selective_scan, **leaves, delta_softplus=True, backend="triton")

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return scan()

    def results() -> list[torch.Tensor]:
        y = scan()
        return [y.detach(), *torch.autograd.grad(y, list(leaves.values()), torch.ones_like(y), retain_graph=True)]

    expected = results()
    try:
        with changed(passes, changes):
            actual = results()
            if not all(close(one, other) for one, other in zip(actual, expected, strict=True)):
                print(f"{changes}: the numbers are wrong", file=sys.stderr)
                return math.inf
            call: Callable[[], object] = forward
            if passes == "backward":
                y = scan()
                dy = torch.ones_like(y)
                call = functools.partial(torch.autograd.grad, y, list(leaves.values()), dy, retain_graph=True)
            return device_seconds(call, options.device, repeats=options.repeats)["p50_s"]
    except Exception as error:
        # Triton has no one class for a kernel it cannot compile or start.
        print(f"{changes}: {type(error).__name__}: {error}", file=sys.stderr)
        return math.inf


def close(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    """Say whether two results differ by no more than the order of their sums can explain."""
    error = (actual.double() - expected.double()).square().mean().sqrt()
    # False also where a result is not a number.
    return bool(error <= 0.01 * expected.double().square().mean().sqrt())


def launches(passes: str, shape: Shape, options: argparse.Namespace) -> list[Any]:
    """Return what a pass would start."""
    launcher = next(one for one in LAUNCHERS if one.__name__ == f"scan_{passes}")
    case = Case(getattr(torch, options.dtype), shape.d_state, shape.d_inner)
    with recorded(TARGETS[options.target or "sm_90"]) as found:
        launcher(case)
    return found


def instructions(passes: str, shape: Shape, options: argparse.Namespace, changes: Plan) -> float:
    """Return the instructions of an update in all kernels of a pass; infinity where one spills or is refused."""
    target = TARGETS[options.target]
    total = 0.0
    try:
        with changed(passes, changes):
            for launch in launches(passes, shape, options):
                if not launch.work:
                    continue
                binary = compile_launch(launch, target)
                if binary.spilled:
                    return math.inf
                threads = launch.num_warps * (32 if target.backend == "cuda" else 64)
                total += binary.instructions * threads / launch.work
    except Exception as error:
        # Triton has no one class for a kernel it cannot compile.
        print(f"{changes}: {type(error).__name__}: {error}", file=sys.stderr)
        return math.inf
    return total


if __name__ == "__main__":
    main()
