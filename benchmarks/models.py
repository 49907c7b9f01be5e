"""Time whole models on this machine's CPU: loading, passes, streams and generation, at published sizes.

    python benchmarks/models.py                                  # every case, about half an hour
    python benchmarks/models.py --cases directions generation

Weights are random. What is measured for its memory runs in a process of its own, with the settings of the command
line. Results are appended as JSON lines to benchmarks/results/<machine>/models.jsonl. The peer is timed where it is
installed: `pip install transformers`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from record import ChildFailedError, child, in_turns, seconds, write

from genomamba import from_pretrained
from genomamba.config import PRESETS, ModelConfig
from genomamba.hub import HubModel
from genomamba.model import LanguageModel
from genomamba.model.generation import generate
from genomamba.model.process import keep_freed_memory, peak_memory_mib, set_threads
from genomamba.model.streaming import stream
from genomamba.score.likelihood import default_chunk

Record = dict[str, Any]
CADUCEUS = {"vocab_rows": 16, "direction": "bidirectional", "equivariant": True}
PUBLISHED = {
    f"Caduceus, d_model {d_model}, {num_layers} layers": {**CADUCEUS, "d_model": d_model, "num_layers": num_layers}
    for d_model, num_layers in ((118, 4), (256, 4), (256, 8), (256, 16))
} | {"mamba-130m": {"alphabet": "tokens", "vocab_rows": 50_280, "d_model": 768, "num_layers": 24}}
FAR = 100_000
PEER_SECONDS, PEER_GIB = 600, 18


def main() -> None:
    """Run the cases that were asked for and append one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    set_threads(options.threads)
    keep_freed_memory()
    if options.case is not None:
        name = options.case.pop("child")
        print(json.dumps(CHILDREN[name](**options.case)))
        return
    for case in options.cases:
        for record in CASES[case](options):
            write("models", case, threads=options.threads, **record)


def loading(options: argparse.Namespace) -> Iterator[Record]:
    """`from_pretrained`, beside reading the bytes of the file."""
    for name, shape in PUBLISHED.items():
        with tempfile.TemporaryDirectory() as folder:
            HubModel(make(shape)).save_pretrained(folder)
            files = list(Path(folder).glob("*.safetensors"))
            calls: dict[str, Callable[[], object]] = {
                "load": partial(from_pretrained, folder),
                "read": lambda files=files: [file.read_bytes() for file in files],
            }
            spreads = in_turns(calls, repeats=options.repeats)
        yield {
            "model": name,
            "load_s": spreads["load"]["p50_s"],
            "read_s": spreads["read"]["p50_s"],
            "beyond_reading_s": spreads["load"]["p50_s"] - spreads["read"]["p50_s"],
        }


def forward(options: argparse.Namespace) -> Iterator[Record]:
    """One pass over 8,192 tokens, float32."""
    for name, shape in PUBLISHED.items():
        model, length = make(shape), 8_192
        spread = seconds(partial(model, tokens_of(model, length)), repeats=options.repeats)
        yield {"model": name, "length": length, **spread, "tokens_per_s": length / spread["p50_s"]}


def directions(options: argparse.Namespace) -> Iterator[Record]:
    """A pass of a causal model, a bidirectional one and an equivariant one of the same size, in turns."""
    kinds: dict[str, dict[str, Any]] = {
        "causal": {},
        "bidirectional": {"direction": "bidirectional"},
        "equivariant": {"direction": "bidirectional", "equivariant": True},
    }
    for d_model, length in itertools.product((118, 256), (4_096, 16_384)):
        models = {name: make({"num_layers": 4, "d_model": d_model} | kind) for name, kind in kinds.items()}
        tokens = tokens_of(models["causal"], length)
        spreads = in_turns({name: partial(model, tokens) for name, model in models.items()}, repeats=options.repeats)
        for fewer, more in itertools.pairwise(kinds):
            ratio = spreads[more]["p50_s"] / spreads[fewer]["p50_s"]
            shape = {"d_model": d_model, "num_layers": 4, "length": length}
            yield {"model": more, **shape, **spreads[more], "peer": fewer, "times_as_long": ratio}


def equivariant(options: argparse.Namespace) -> Iterator[Record]:
    """131,072 bases through 16 equivariant layers, in one pass and streamed; the peer as far as it goes."""
    shape = {**PUBLISHED["Caduceus, d_model 256, 16 layers"]}
    for way in ("one pass", "streamed"):
        case = {"shape": shape, "length": 131_072, "way": way}
        yield {"who": "genomamba", **case, **child(__file__, {"child": "pass", **case})}
    if importlib.util.find_spec("transformers") is None:
        print("transformers is not installed: pip install transformers", file=sys.stderr)
        return
    name = f"transformers {importlib.metadata.version('transformers')}, Mamba, 16 layers of d_model 256"
    for length in itertools.accumulate(itertools.repeat(2), lambda last, by: last * by, initial=4_096):
        try:
            found = child(__file__, {"child": "peer", "length": length}, timeout_s=PEER_SECONDS)
        except ChildFailedError as error:
            yield {"who": name, "length": length, "failed": str(error)}
            return
        yield {"who": name, "length": length, **found}


def streams(_: argparse.Namespace) -> Iterator[Record]:
    """Peak memory of log-likelihoods of 1 and of 10 million bases."""
    for preset in ("tiny", "small"):
        peaks = {}
        for length in (1_000_000, 10_000_000):
            found = child(__file__, {"child": "stream", "preset": preset, "length": length})
            peaks[length] = found["peak_mib"]
            yield {"preset": preset, "length": length, **found, "above_1m_mib": peaks[length] - peaks[1_000_000]}


def generation(_: argparse.Namespace) -> Iterator[Record]:
    """A token at position 1,000 and at 100,000 of one sequence, and the pass over the prefix that it saves."""
    model = make({**PRESETS["small"]})
    times = [time.perf_counter()]
    for _sequence in generate(model, [[]], FAR + 500, after_token=lambda _: times.append(time.perf_counter())):
        pass
    prefix = tokens_of(model, FAR)
    again = seconds(lambda: model.logits_of(model.hidden(prefix)[:, -1]), repeats=3)["p50_s"]
    for position in (1_000, 10_000, FAR):
        steps = sorted(b - a for a, b in itertools.pairwise(times[position - 500 : position + 500]))
        row = {"preset": "small", "position": position, "token_p50_s": steps[len(steps) // 2]}
        yield row | ({"prefix_float32_s": again, "ratio": again / row["token_p50_s"]} if position == FAR else {})


@torch.no_grad()
def measure_pass(*, shape: dict[str, Any], length: int, way: str) -> Record:
    """Pass once over a sequence; seconds, and the peak of the process beside what stood before."""
    model = make(shape)
    tokens = tokens_of(model, length)
    pieces = [tokens] if way == "one pass" else stream(model, tokens, chunk=default_chunk(model.config))
    run = model if way == "one pass" else lambda piece: piece
    model(tokens[:, :1_024])
    before = peak_memory_mib()
    start = time.perf_counter()
    deque(map(run, pieces), maxlen=0)
    return {"seconds": time.perf_counter() - start, "peak_mib": peak_memory_mib(), "before_mib": before}


@torch.no_grad()
def measure_peer(*, length: int) -> Record:
    """Pass once through transformers' Mamba, within the memory that a machine like this may give it."""
    import resource

    from transformers import MambaConfig, MambaForCausalLM

    resource.setrlimit(resource.RLIMIT_AS, (PEER_GIB * 2**30, resource.RLIM_INFINITY))
    model = MambaForCausalLM(MambaConfig(vocab_size=16, hidden_size=256, num_hidden_layers=16)).eval()
    tokens = torch.randint(7, 11, (1, length))
    start = time.perf_counter()
    model(tokens, use_cache=False)
    return {"seconds": time.perf_counter() - start, "peak_mib": peak_memory_mib()}


def measure_stream(*, preset: str, length: int) -> Record:
    """Stream the log-likelihoods of bases that are made as they are read, as those of a genome are."""
    model = make({**PRESETS[preset]})
    piece = torch.randint(7, 11, (1, 10_000))
    start = time.perf_counter()
    total = 0.0
    tokens, chunk = itertools.repeat(piece, length // 10_000), default_chunk(model.config)
    for values in stream(model, tokens, output="log_likelihood", chunk=chunk):
        total += float(values.double().sum())
    return {"seconds": time.perf_counter() - start, "peak_mib": peak_memory_mib(), "nats": total}


def make(shape: dict[str, Any]) -> LanguageModel:
    """Return a model of random weights for evaluation."""
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(**shape)).eval().requires_grad_(False)


def tokens_of(model: LanguageModel, length: int) -> torch.Tensor:
    """Return random bases."""
    return torch.randint(7, 11, (1, length))


CASES: dict[str, Callable[[argparse.Namespace], Iterator[Record]]] = {
    "loading": loading,
    "forward": forward,
    "directions": directions,
    "equivariant": equivariant,
    "streams": streams,
    "generation": generation,
}
CHILDREN: dict[str, Callable[..., Record]] = {"pass": measure_pass, "peer": measure_peer, "stream": measure_stream}


if __name__ == "__main__":
    main()
