"""Embeddings of many sequences of 1,024 bases, beside transformers' Mamba of the same size.

    python benchmarks/embedding.py [--sequences 10000] [--shapes small base] [--repeats 3]

Ours embeds all sequences, from their letters to a mean over positions, as `genomamba embed` does; causal as the peer,
and bidirectional as Caduceus. The peer embeds as many as it takes for some seconds, in batches of each size, from ids
that are there already, in a process as its users have it, and in one that has our settings (freed memory kept, large
pages, a short spin). All take turns in each round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any, Final

import numpy as np
import torch
from record import parser, quantiles, write

from genomamba import Model, embed
from genomamba.config import Direction, ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.process import keep_freed_memory, set_threads

LENGTH: Final = 1_024
SHAPES: Final = {"small": {"d_model": 118, "num_layers": 4}, "base": {"d_model": 256, "num_layers": 4}}
"""Those of Caduceus' published small models."""
PEER_BATCHES: Final = (1, 2, 8, 32)
SETTINGS: Final = {"GOMP_SPINCOUNT": "10000", "THP_MEM_ALLOC_ENABLE": "1"}
"""What the command line sets before it starts torch."""


def main() -> None:
    options = read_options()
    set_threads(options.threads)
    if options.peer:
        [shape] = options.shapes
        print(json.dumps(peer_seconds(SHAPES[shape], options.peer_sequences, ours=options.peer == "ours")))
        return
    keep_freed_memory()
    generator = np.random.default_rng(0)
    texts = ["".join(row) for row in generator.choice(list("ACGT"), (options.sequences, LENGTH))]
    for name in options.shapes:
        compare(name, SHAPES[name], texts, options)


def compare(name: str, shape: dict[str, int], texts: list[str], options: argparse.Namespace) -> None:
    """Time both, round after round, and write one line."""
    directions: tuple[Direction, ...] = ("causal", "bidirectional")
    models = {direction: ours(shape, direction) for direction in directions}
    times: dict[str, list[float]] = {who: [] for who in models}
    for model in models.values():
        embed(model, texts[:8])
    for _ in range(options.repeats):
        for direction, model in models.items():
            start = time.perf_counter()
            embed(model, texts)
            times[direction].append((time.perf_counter() - start) / len(texts))
        for who, settings in {"transformers as installed": "none", "transformers, our settings": "ours"}.items():
            for batch, each in ask_peer(name, settings, options).items():
                times.setdefault(f"{who}, batch {batch}", []).append(each)
    found = {who: quantiles(values)["p50_s"] for who, values in times.items()}
    rates = {f"{who}, sequences/s": 1 / each for who, each in found.items()}
    ratios = {f"causal over {who}": found[who] / found["causal"] for who in found if who not in models}
    write("embedding", f"{name} ({shape['d_model']} x {shape['num_layers']})", threads=options.threads,
          sequences=len(texts), bases=LENGTH, **rates, **ratios)  # fmt: skip


def ours(shape: dict[str, int], direction: Direction) -> Model:
    torch.manual_seed(0)
    network = LanguageModel(ModelConfig(**shape, direction=direction))
    return Model(network.requires_grad_(False), name=direction).eval()


def theirs(shape: dict[str, int]) -> Any:
    from transformers import MambaConfig, MambaModel

    torch.manual_seed(0)
    config = MambaConfig(vocab_size=16, hidden_size=shape["d_model"], num_hidden_layers=shape["num_layers"])
    return MambaModel(config).eval().requires_grad_(False)


def ask_peer(shape: str, settings: str, options: argparse.Namespace) -> dict[str, float]:
    """Seconds a sequence by size of batch, of a process of its own."""
    command = [sys.executable, __file__, "--peer", settings, "--shapes", shape, "--threads", str(options.threads),
               "--peer-sequences", str(options.peer_sequences)]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    environment |= SETTINGS if settings == "ours" else {}
    found: dict[str, float] = json.loads(
        subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    )
    return found


def peer_seconds(shape: dict[str, int], sequences: int, *, ours: bool) -> dict[int, float]:
    """Seconds a sequence of the peer by size of batch, over at least so many sequences."""
    if ours:
        keep_freed_memory()
    model, found = theirs(shape), {}
    for batch in PEER_BATCHES:
        rounds = -(-sequences // batch)
        tokens = torch.randint(7, 11, (batch, LENGTH))
        model(tokens, use_cache=False)
        start = time.perf_counter()
        for _ in range(rounds):
            model(tokens, use_cache=False).last_hidden_state.mean(1)
        found[batch] = (time.perf_counter() - start) / (rounds * batch)
    return found


def read_options() -> argparse.Namespace:
    made = parser(__doc__)
    made.set_defaults(repeats=3)
    made.add_argument("--sequences", type=int, default=10_000, help="sequences that ours embeds (default: 10,000)")
    made.add_argument("--peer-sequences", type=int, default=8, help="sequences that the peer embeds (default: 8)")
    made.add_argument("--peer", choices=("none", "ours"), help="time the peer alone, with these settings, and print it")
    made.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    return made.parse_args()


if __name__ == "__main__":
    main()
