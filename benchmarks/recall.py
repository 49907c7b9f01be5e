"""Recall: a small model learns to tell a payload by its marker, and is asked over up to 1,048,576 bases.

    python benchmarks/recall.py [--markers 4] [--payload 4] [--longest 16384] [--steps 5000] [--sequences 8]

Writes one line a distance: how many payload bases were asked for, and what share came out right; 0.25 is a guess. The
line without a distance is the control, a state that has read nothing. Sequences to learn from have seed 0, those asked
about seed 1. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import sys
import time

import torch
from record import parser, write

from genomamba.config import ModelConfig
from genomamba.data.recall import MARKERS, RecallTask
from genomamba.model import LanguageModel, count_parameters
from genomamba.model.process import keep_freed_memory, set_threads
from genomamba.train.recall import recall_accuracy, stages_to, train_recall


def main() -> None:
    options = read_options()
    set_threads(options.threads)
    keep_freed_memory()
    torch.manual_seed(options.seed)
    model = LanguageModel(ModelConfig(d_model=options.d_model, num_layers=options.num_layers))
    task = RecallTask(markers=MARKERS[: options.markers], payload=options.payload)
    facts = {
        "who": "genomamba", "parameters": count_parameters(model), "d_model": options.d_model,
        "num_layers": options.num_layers, "markers": options.markers, "payload": options.payload, "seed": options.seed,
        "threads": options.threads, "steps": options.steps, "peak": options.peak, "enough": options.enough,
    }  # fmt: skip
    facts |= train(model, task, options)
    model.eval()
    held_out = RecallTask(markers=task.markers, payload=task.payload, seed=1)
    (guessed,) = recall_accuracy(model, held_out, [64], sequences=64, forget=True)
    write("recall", "state-cut", asked=guessed.asked, accuracy=guessed.accuracy, **facts)
    distances = [64 * 4**k for k in range(8)]
    sequences = options.sequences
    began = told = time.monotonic()
    read = 0

    def tell(bases: int) -> None:
        nonlocal read, told
        read += bases
        if time.monotonic() - told > 30:
            told = time.monotonic()
            print(f"asked within {read / sequences:,.0f} bases, {told - began:.0f} s", file=sys.stderr, flush=True)

    for one in recall_accuracy(model, held_out, distances, sequences=sequences, after_chunk=tell):
        write("recall", "asked", distance=one.distance, asked=one.asked, accuracy=one.accuracy, **facts)


def read_options() -> argparse.Namespace:
    """Return the options."""
    options = parser(__doc__.splitlines()[0] if __doc__ else None)
    for name, default, does in (
        ("markers", 4, "how many markers, up to four"),
        ("payload", 4, "bases of a payload, up to four"),
        ("longest", 16_384, "longest sequence to learn from"),
        ("steps", 5_000, "training steps"),
        ("sequences", 8, "sequences to ask about"),
        ("d-model", 64, "width of the model"),
        ("num-layers", 2, "layers of the model"),
        ("seed", 0, "of the weights"),
    ):
        options.add_argument(f"--{name}", type=int, default=default, help=f"{does} (default: {default:,})")
    options.add_argument("--enough", type=float, default=0.97, help="share right that ends a stage (default: 0.97)")
    options.add_argument("--peak", type=float, default=5e-3, help="largest learning rate (default: 5e-3)")
    return options.parse_args()


def train(model: LanguageModel, task: RecallTask, options: argparse.Namespace) -> dict[str, float]:
    """Train, print each stage as it is reached, and return what the training came to."""
    began, stage, bases = time.monotonic(), None, 0
    accuracy = 0.0
    stages = stages_to(task, options.longest)
    for step in train_recall(model, task, stages, steps=options.steps, peak=options.peak, enough=options.enough):
        bases += step.stage.length * max(1, 2_048 // step.stage.length)
        accuracy = step.accuracy
        if step.stage != stage or step.step % 250 == 0:
            stage = step.stage
            print(
                f"{time.monotonic() - began:.0f} s, step {step.step:,}: {stage}, {accuracy:.3f} right",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    assert stage is not None
    return {
        "trained_length": stage.length,
        "trained_bases": bases,
        "trained_s": round(time.monotonic() - began, 1),
        "trained_accuracy": round(accuracy, 4),
    }


if __name__ == "__main__":
    main()
