"""Reading a mixture of genomes beside what training takes: samples a second of one process, and bases of a step.

    python benchmarks/mixture.py --genomes sheet.tsv [--preset tiny] [--context 1024] [--threads 2]

Both are timed in turns, so that what else the machine does falls on both. Results are appended as JSON lines to
benchmarks/results/<machine>/stream.jsonl.
"""

from __future__ import annotations

import argparse
import itertools

from record import in_turns, write

from genomamba.config import PRESETS, PretrainConfig
from genomamba.train.objective import make_collate
from genomamba.train.plan import make_plan
from genomamba.train.step import backward


def main() -> None:
    """Time both and append a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genomes", required=True, help="table of genomes, as of genomamba pretrain")
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--context", type=int, default=1_024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    plan = make_plan(
        PretrainConfig(
            genomes=options.genomes,
            preset=options.preset,
            context=options.context,
            threads=options.threads,
            max_steps=1,
        )
    )
    windows = plan.stages.last.windows
    collate = make_collate(plan.config.objective, plan.model.config.alphabet, 0)
    firsts = itertools.count(0, windows)
    batch = collate([plan.stream[i] for i in range(windows)])

    def read() -> None:
        for first in itertools.islice(firsts, 20):
            collate([plan.stream[i] for i in range(first, first + windows)])

    def step() -> None:
        backward(plan.model, batch, windows, plan.precision)
        plan.model.zero_grad(set_to_none=True)

    times = in_turns({"read": read, "step": step}, repeats=options.repeats)
    bases = windows * options.context
    reading, training = 20 * bases / times["read"]["p50_s"], bases / times["step"]["p50_s"]
    write(
        "stream",
        f"mixture-{options.preset}-{options.context}",
        genomes=[f"{member.name} {member.share:.3f}" for member in plan.corpus.members],
        read_bases_per_s=reading,
        trained_bases_per_s=training,
        ratio=reading / training,
        threads=options.threads,
        precision=plan.config.precision,
    )


if __name__ == "__main__":
    main()
