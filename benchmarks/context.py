"""Long contexts: peak memory and time of training steps, beside what the plan says before the first one.

    python benchmarks/context.py                                      # tiny, 65,536 to 1,048,576 bases, --recompute
    python benchmarks/context.py --preset small --lengths 131072      # the step that is to take under 8 GiB
    python benchmarks/context.py --kept --lengths 32768 65536         # without --recompute

Every step is a process of its own, as `genomamba pretrain` runs one; its peak is what the system has seen. The memory
that was told is that of `genomamba.train.estimate.measure` in the same process, before the step. The slope is that of a
line through the peaks of two neighbouring lengths, in bytes a base. Results are appended as JSON lines to
benchmarks/results/<machine>/context.jsonl.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import child, write

from genomamba.config import PRESETS, PretrainConfig


def main() -> None:
    """Run the lengths that were asked for, each in a process of its own, and append one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", nargs="+", type=int, default=[2**n for n in range(16, 21)], help="bases")
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--objective", choices=("next_token", "masked"), default="next_token")
    parser.add_argument("--strand", choices=("forward", "equivariant"), default="forward")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="float32")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--kept", action="store_true", help="without --recompute")
    parser.add_argument("--recompute-layers", type=int, default=1)
    parser.add_argument(
        "--steps", type=int, default=1, help="of them the peak and the fastest; kept memory grows for some"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps(step(**options.case)))
        return
    given = ("preset", "objective", "strand", "precision", "batch_size", "recompute_layers", "threads", "steps")
    case = {name: getattr(options, name) for name in given} | {"recompute": not options.kept}
    peaks: dict[int, float] = {}
    for length in sorted(options.lengths):
        result = child(__file__, case | {"context": length})
        write("context", f"step-{options.preset}-L{length}", **case, context=length, **result)
        peaks[length] = result["peak_mib"]
    for one, other in itertools.pairwise(peaks):
        slope = (peaks[other] - peaks[one]) * 2**20 / (other - one) / options.batch_size
        write("context", f"slope-{options.preset}-L{one}-L{other}", **case, bytes_per_base=slope)


def step(*, context: int, steps: int, **settings: Any) -> dict[str, float]:
    """Plan a run over a made genome, measure as the plan does, run steps, and return what was told and what was."""
    # Imported where the child has read its settings, as the command line has them.
    from genomamba.model.process import peak_memory_mib
    from genomamba.train.estimate import measure
    from genomamba.train.objective import make_collate
    from genomamba.train.optimizer import make_optimizer
    from genomamba.train.plan import make_plan
    from genomamba.train.step import backward

    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder) / "made.fa"
        drawn = np.random.default_rng(0).choice(list(b"ACGT"), 2 * context).astype(np.uint8)
        fasta.write_bytes(b">made\n" + drawn.tobytes() + b"\n")
        plan = make_plan(
            PretrainConfig(
                fasta=(str(fasta),),
                context=context,
                valid_share=0.0,
                test_share=0.0,
                max_steps=1,
                cache_dir=folder,
                **settings,
            )
        )
        cost = measure(plan)
        optimizer = make_optimizer(plan.model, 0.1)
        collate = make_collate(plan.config.objective, "dna", 0)
        times = []
        for _ in range(steps):
            start = time.perf_counter()
            batch = collate([plan.stream[i] for i in range(plan.stages.last.windows)])
            backward(plan.model, batch, plan.stages.last.windows, plan.precision)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            times.append(time.perf_counter() - start)
    peak, seconds = peak_memory_mib(), min(times)
    return {
        "peak_mib": peak, "told_mib": cost.memory_mib, "told_to_peak": cost.memory_mib / peak,
        "seconds": seconds, "told_s": cost.step_s, "bases_per_s": batch.inputs.numel() / seconds,
    }  # fmt: skip


if __name__ == "__main__":
    main()
