"""Time the selective scan on this machine's CPU, beside what the machine could do and beside its peers.

    python benchmarks/scan.py                # every case, a few minutes
    python benchmarks/scan.py --cases forward ceiling

The numbers are checked first, and nothing is timed where they are wrong. A case and its peer run in turns, in one
process with the settings of the command line: freed memory is kept; `make bench` sets what must be set earlier.
Results are appended as JSON lines to benchmarks/results/<machine>/scan.jsonl. Peers are timed where they are
installed: `pip install --no-deps mambapy`, `pip install transformers`.
"""

import argparse
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np
import torch
from record import in_turns, seconds, write
from torch import Tensor

from genomamba.model.process import keep_freed_memory
from genomamba_kernels import get_num_threads, selective_scan, set_num_threads
from genomamba_kernels._simd import LANES, fma, load, store
from genomamba_kernels._threads import parallel_for

Record = dict[str, Any]
FMAS_AN_UPDATE = 11
"""Multiplications and fused multiply-adds of one state update: 8 of 2^(delta A), 1 of x B, 1 of h, 1 of y."""
D_INNER, D_STATE = 256, 16
PEER_LENGTHS = 4096, 16_384
PEER_REPEATS = 5


def main() -> None:
    """Run the cases that were asked for and append one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--length", type=int, default=65_536, help="positions of the main case")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=get_num_threads())
    options = parser.parse_args()
    if not is_exact():
        sys.exit("the CPU kernels disagree with the reference in float64; nothing is timed")
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    for case in options.cases:
        for record in CASES[case](options):
            write("scan", case, **record)


def is_exact() -> bool:
    """Compare output and gradients with the float64 reference on a shape that crosses every edge."""
    inputs = {name: tensor.double() for name, tensor in make_inputs(2, 130, 150, 5).items()}
    results = []
    for backend in ("cpu", "reference"):
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
        y = selective_scan(**leaves, delta_softplus=True, backend=backend)
        results.append([y, *torch.autograd.grad(y.square().sum(), list(leaves.values()))])
    return all(torch.allclose(a, b, rtol=1e-10, atol=1e-9) for a, b in zip(*results, strict=True))


def forward(options: argparse.Namespace) -> list[Record]:
    """Forward, float32 and bfloat16, one thread and all, in turns."""
    records = []
    for dtype in (torch.float32, torch.bfloat16):
        inputs = make_inputs(1, options.length, D_INNER, D_STATE, dtype)
        records += by_threads(partial(scan, inputs), inputs, options)
    return records


def by_threads(call: Callable[[], object], inputs: dict[str, Tensor], options: argparse.Namespace) -> list[Record]:
    """Time a call with one thread and with all, in turns."""

    def on(threads: int) -> None:
        set_num_threads(threads)
        call()

    counts = sorted({1, options.threads})
    spreads = in_turns({str(threads): partial(on, threads) for threads in counts}, repeats=options.repeats)
    alone = spreads["1"]["p50_s"]
    return [
        _record(spread, inputs, int(threads)) | {"peer": "one thread", "ratio": alone / spread["p50_s"]}
        for threads, spread in spreads.items()
    ]


def backward(options: argparse.Namespace) -> list[Record]:
    """Backward alone, float32 and bfloat16, and its cost against forward."""
    records = []
    set_num_threads(options.threads)
    for dtype in (torch.float32, torch.bfloat16):
        inputs = make_inputs(1, options.length, D_INNER, D_STATE, dtype)
        calls = {"forward": partial(scan, inputs), "backward": back(inputs)}
        spreads = in_turns(calls, repeats=options.repeats)
        record = _record(spreads["backward"], inputs, options.threads)
        records.append(record | against("forward", spreads["forward"], record))
    return records


def loop(options: argparse.Namespace) -> list[Record]:
    """Forward against the loop in plain PyTorch, over the same positions."""
    set_num_threads(options.threads)
    inputs = make_inputs(1, 4096, D_INNER, D_STATE)
    calls = {"ours": partial(scan, inputs), "loop": partial(scan, inputs, backend="reference")}
    spreads = in_turns(calls, repeats=PEER_REPEATS)
    record = _record(spreads["ours"], inputs, options.threads)
    return [record | against("PyTorch loop", spreads["loop"], record)]


def transformers(options: argparse.Namespace) -> list[Record]:
    """Forward against the loop of transformers, the two over the same positions."""
    if importlib.util.find_spec("transformers") is None:
        print("transformers is not installed: pip install transformers", file=sys.stderr)
        return []
    from transformers.models.mamba.modeling_mamba import mamba_selective_scan

    @torch.no_grad()
    def peer(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
        y: Tensor = mamba_selective_scan(*(x.mT for x in (u, delta)), A, *(x.mT for x in (B, C)), D, None, None, True)
        return y.mT

    set_num_threads(options.threads)
    name = f"transformers {importlib.metadata.version('transformers')}, its loop"
    records = []
    for length in PEER_LENGTHS:
        inputs = make_inputs(1, length, D_INNER, D_STATE)
        check_close(peer(**inputs), scan(inputs))
        spreads = in_turns({"ours": partial(scan, inputs), "peer": partial(peer, **inputs)}, repeats=PEER_REPEATS)
        record = _record(spreads["ours"], inputs, options.threads)
        records.append(record | against(name, spreads["peer"], record))
    return records


def mambapy(options: argparse.Namespace) -> list[Record]:
    """Forward, and forward and backward, against the parallel scan of mambapy, in turns."""
    if importlib.util.find_spec("mambapy") is None:
        print("mambapy is not installed: pip install --no-deps mambapy", file=sys.stderr)
        return []
    from mambapy.pscan import pscan

    def peer(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
        delta = torch.nn.functional.softplus(delta)
        decay = torch.exp(delta.unsqueeze(-1) * A)
        step = (delta * u).unsqueeze(-1) * B.unsqueeze(2)
        return (pscan(decay, step) @ C.unsqueeze(-1)).squeeze(3) + D * u

    def both(function: Callable[..., Tensor], leaves: dict[str, Tensor]) -> None:
        y = function(**leaves)
        torch.autograd.grad(y, list(leaves.values()), torch.ones_like(y))

    set_num_threads(options.threads)
    name = f"mambapy {importlib.metadata.version('mambapy')}"
    records = []
    for length in PEER_LENGTHS:
        inputs = make_inputs(1, length, D_INNER, D_STATE)
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
        check_close(peer(**inputs), scan(inputs))
        calls: dict[str, dict[str, Callable[[], object]]] = {
            "forward": {"ours": partial(scan, inputs), "peer": torch.no_grad()(partial(peer, **inputs))},
            "forward+backward": {
                "ours": partial(both, partial(selective_scan, delta_softplus=True), leaves),
                "peer": partial(both, peer, leaves),
            },
        }
        for passes, pair in calls.items():
            spreads = in_turns(pair, repeats=PEER_REPEATS)
            record = _record(spreads["ours"], inputs, options.threads) | {"passes": passes}
            records.append(record | against(name, spreads["peer"], record))
    return records


def check_close(theirs: Tensor, ours: Tensor) -> None:
    """Stop where a peer was called wrongly, so that nothing is compared."""
    if (theirs - ours).abs().max() > 1e-4 * ours.abs().max():
        sys.exit("the peer computes something else; nothing is timed")


def narrow(options: argparse.Namespace) -> list[Record]:
    """A long sequence of fewer channel blocks than cores: all threads against one, in turns."""
    records = []
    for d_inner in (16, 32):
        inputs = make_inputs(1, 2**18, d_inner, D_STATE)
        for passes, call in {"forward": partial(scan, inputs), "backward": back(inputs)}.items():
            records += [record | {"passes": passes} for record in by_threads(call, inputs, options)]
    return records


def packed(options: argparse.Namespace) -> list[Record]:
    """Short sequences packed end to end, of equal lengths and of many, against one sequence of the same length."""
    set_num_threads(options.threads)
    inputs = make_inputs(1, options.length, D_INNER, D_STATE)
    generator = torch.Generator().manual_seed(0)
    uneven = torch.randperm(options.length - 1, generator=generator)[: options.length // 512 - 1].sort().values + 1
    calls = {"one": partial(scan, inputs)}
    for name, inner in {"512 each": torch.arange(512, options.length, 512), "uneven": uneven}.items():
        cu_seqlens = torch.cat([torch.tensor([0]), inner, torch.tensor([options.length])])
        calls[name] = partial(scan, inputs, cu_seqlens=cu_seqlens)
    spreads = in_turns(calls, repeats=options.repeats)
    records = []
    for name in ("512 each", "uneven"):
        record = _record(spreads[name], inputs, options.threads) | {"sequences": options.length // 512, "lengths": name}
        records.append(record | against("one sequence", spreads["one"], record))
    return records


def lengths(options: argparse.Namespace) -> list[Record]:
    """Time per token at 2^14 and at 2^20 positions, in turns."""
    set_num_threads(options.threads)
    inputs = {length: make_inputs(1, length, 64, D_STATE) for length in (2**14, 2**20)}
    calls = {str(length): partial(scan, given) for length, given in inputs.items()}
    spreads = in_turns(calls, repeats=options.repeats)
    records = []
    for length, given in inputs.items():
        record = _record(spreads[str(length)], given, options.threads)
        per_token = {"s_per_token": record["p50_s"] / length}
        ratio = spreads[str(2**14)]["p50_s"] / 2**14 / per_token["s_per_token"]
        records.append(record | per_token | {"peer": "2^14 positions", "ratio": ratio})
    return records


def overhead(options: argparse.Namespace) -> list[Record]:
    """One call on a sequence so short that all of it is overhead, without and with autograd."""
    inputs = make_inputs(1, 8, 16, 4)
    records = []
    for needed in (False, True):
        inputs["u"].requires_grad_(needed)
        once = seconds(lambda: selective_scan(**inputs, delta_softplus=True), repeats=300)
        records.append(_record(once, inputs, 1) | {"requires_grad": needed})
    return records


def ceiling(options: argparse.Namespace) -> list[Record]:
    """What the machine could do: fused multiply-adds, and the copy of a large array."""
    steps = 1_000_000
    arrays = [np.full(LANES, 1e-3, np.float32) for _ in range(options.threads)]

    def run(threads: int) -> None:
        parallel_for(threads, threads, lambda index, worker: _multiply(arrays[index], steps))

    records = []
    for threads in sorted({1, options.threads}):
        spread = seconds(lambda threads=threads: run(threads), repeats=options.repeats)
        rate = 10 * steps * threads * LANES / spread["best_s"]
        records.append(spread | {"threads": threads, "fma_per_s": rate, "updates_per_s": rate / FMAS_AN_UPDATE})
    source = torch.ones(2**26)
    target = torch.empty_like(source)
    spread = seconds(lambda: target.copy_(source), repeats=options.repeats)
    moved = 2 * source.numel() * source.element_size()
    return [*records, spread | {"threads": options.threads, "copy_bytes_per_s": moved / spread["best_s"]}]


@numba.njit(nogil=True)
def _multiply(x, steps):  # type: ignore[no-untyped-def]
    a = load(x, 0)
    b0, b1, b2, b3, b4, b5, b6, b7, b8, b9 = a, a, a, a, a, a, a, a, a, a
    for _ in range(steps):
        b0, b1, b2, b3, b4 = fma(b0, a, a), fma(b1, a, a), fma(b2, a, a), fma(b3, a, a), fma(b4, a, a)
        b5, b6, b7, b8, b9 = fma(b5, a, a), fma(b6, a, a), fma(b7, a, a), fma(b8, a, a), fma(b9, a, a)
    store(x, 0, b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7 + b8 + b9)


CASES = {
    "ceiling": ceiling,
    "forward": forward,
    "backward": backward,
    "loop": loop,
    "transformers": transformers,
    "mambapy": mambapy,
    "narrow": narrow,
    "packed": packed,
    "lengths": lengths,
    "overhead": overhead,
}


def make_inputs(
    batch: int, length: int, d_inner: int, d_state: int, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Random inputs of the scan with a skip and without a gate."""
    torch.manual_seed(0)
    return {
        "u": torch.randn(batch, length, d_inner).to(dtype),
        "delta": torch.randn(batch, length, d_inner).to(dtype),
        "A": -torch.rand(d_inner, d_state),
        "B": torch.randn(batch, length, d_state).to(dtype),
        "C": torch.randn(batch, length, d_state).to(dtype),
        "D": torch.randn(d_inner),
    }


@torch.no_grad()
def scan(inputs: dict[str, Tensor], **options: Any) -> Tensor:
    """Run forward without autograd."""
    return selective_scan(**inputs, delta_softplus=True, **options)


def back(inputs: dict[str, Tensor]) -> Callable[[], object]:
    """Return a call that runs backward alone, to every input."""
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
    y = selective_scan(**leaves, delta_softplus=True)
    return partial(torch.autograd.grad, y, list(leaves.values()), torch.randn_like(y), retain_graph=True)


def against(peer: str, spread: dict[str, float], record: Record) -> Record:
    """Return what a line says of the other that ran in turns with it."""
    return {"peer": peer, "peer_p50_s": spread["p50_s"], "ratio": spread["p50_s"] / record["p50_s"]}


def _record(spread: dict[str, float], inputs: dict[str, Tensor], threads: int) -> Record:
    u, A = inputs["u"], inputs["A"]
    updates = u.numel() * A.shape[1]
    shape = {"batch": u.shape[0], "length": u.shape[1], "d_inner": u.shape[2], "d_state": A.shape[1]}
    dtype = str(u.dtype).removeprefix("torch.")
    rates = {"updates_per_s": updates / spread["p50_s"], "best_updates_per_s": updates / spread["best_s"]}
    return shape | {"dtype": dtype, "threads": threads} | spread | rates


if __name__ == "__main__":
    main()
