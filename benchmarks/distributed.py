"""Several processes beside one with one thread, in turns: steps of the trainer's own arithmetic, gloo on one machine.

    python benchmarks/distributed.py                        # data=2 and context=2 beside one process
    python benchmarks/distributed.py --layouts data=2 context=2 data=2,context=2 --model

`--model` also measures what one rank computes by itself, the latency of a message and the bandwidth between processes,
and writes what the cost model of `docs/method/parallel.md` makes of them. Of more processes than cores each has a share
of a core, and the model is told so.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import torch
import torch.distributed as dist
from record import parser, quantiles, write

from genomamba.config import PRESETS, ModelConfig
from genomamba.model import LanguageModel, count_parameters
from genomamba.model.process import keep_freed_memory, set_threads
from genomamba.train.distributed import Ranks, connected, lay_out
from genomamba.train.launch import Launch, read_layout
from genomamba.train.objective import Batch
from genomamba.train.optimizer import make_optimizer
from genomamba.train.sharing import traffic
from genomamba.train.step import backward

SLICE_STEPS = 3
"""Steps timed at a time, before the other has its turn."""


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--preset", default="tiny", choices=sorted(PRESETS))
    arguments.add_argument("--direction", default="causal", choices=("causal", "bidirectional"))
    arguments.add_argument("--context", type=int, default=1_024)
    arguments.add_argument("--windows", type=int, default=8, help="of a step, over all processes")
    arguments.add_argument("--recompute", action="store_true")
    arguments.add_argument("--layouts", nargs="+", default=["data=2", "context=2"])
    arguments.add_argument("--model", action="store_true", help="check the cost model")
    arguments.add_argument("--rank", help="of a process that this one starts")
    options = arguments.parse_args()
    set_threads(1)
    keep_freed_memory()
    if options.rank is not None:
        serve(options)
        return
    link = measure_link(options) if options.model else {}
    for layout in options.layouts:
        compare(options, layout, link)


class Lonely(Ranks):
    """A rank that computes all that it would, and hears zeros: nobody is asked."""

    def neighbours(self, config):
        return self if self.context > 1 else None

    def before(self, local, decay, reverse):
        return torch.zeros_like(local)

    def shift(self, tail, reverse):
        return torch.zeros_like(tail)

    def gather(self, *values):
        return [values]

    def sum(self, value):
        return value

    def sum_gradients(self, model):
        pass


class Steps:
    """Whole optimiser steps over one made batch, or a rank's part of it."""

    def __init__(self, options, ranks: Ranks) -> None:
        torch.manual_seed(0)
        config = ModelConfig(**PRESETS[options.preset], direction=options.direction)
        self.model, self.ranks = LanguageModel(config), ranks
        self.model.set_recompute(options.recompute)
        self.optimizer = make_optimizer(self.model, 0.1)
        generator = torch.Generator().manual_seed(1)
        inputs, targets = torch.randint(7, 11, (2, options.windows, options.context), generator=generator).unbind()
        own = options.windows // ranks.data
        at = slice(ranks.data_rank * own, (ranks.data_rank + 1) * own)
        ones = torch.ones(own, options.context)
        batch = Batch(0, inputs[at], targets[at], ones, torch.ones(own, dtype=torch.bool))
        self.batch = batch.columns(ranks.context_rank, ranks.context)
        self.run(1)

    def run(self, count: int) -> tuple[float, float]:
        """Return the seconds of so many steps, by the clock and of the processor."""
        start, busy = time.perf_counter(), time.process_time()
        for _ in range(count):
            loss, _ = backward(self.model, self.batch, len(self.batch.begins), torch.float32, ranks=self.ranks)
            self.ranks.sum_gradients(self.model)
            self.loss = float(self.ranks.sum(loss))
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.ranks.gather(0.0, 0.0)
        return time.perf_counter() - start, time.process_time() - busy


def serve(options) -> None:
    """Be one rank: take a number of steps from the first line of input on, and say how long they took."""
    launch = Launch(**json.loads(options.rank))
    with connected(launch, launch.size, 1):
        steps = None
        for line in sys.stdin:
            what, *rest = line.split()
            if what == "layout":
                steps = Steps(options, lay_out(launch, *read_layout(rest[0].split(","), launch.size)))
                answer = {"loss": steps.loss}
            elif what == "steps":
                answer = {"s": steps.run(int(rest[0]))}
            else:
                answer = {"s": time_messages(int(rest[0]))}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


def time_messages(numbers: int, repeats: int = 20) -> float:
    """Return the seconds of one sum over all ranks of so many numbers."""
    tensor = torch.zeros(numbers)
    times = []
    for _ in range(repeats):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(tensor)
        times.append(time.perf_counter() - start)
    return quantiles(times)["p50_s"]


class Processes:
    """Ranks in processes of their own, that wait for a word and take no time until it comes."""

    def __init__(self, options, size: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        shared = [f"--{name}={getattr(options, name)}" for name in ("preset", "direction", "context", "windows")]
        shared += ["--recompute"] if options.recompute else []
        self.all = []
        for rank in range(size):
            launch = {"rank": rank, "size": size, "local_rank": rank, "local_size": size, "port": port}
            told = json.dumps(launch | {"address": "127.0.0.1"})
            command = [sys.executable, __file__, *shared, "--rank", told]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self.all.append(subprocess.Popen(command, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, **pipes))

    def ask(self, line: str) -> list[dict]:
        """Say a line to all, and return what each answers."""
        for process in self.all:
            process.stdin.write(line + "\n")
            process.stdin.flush()
        return [json.loads(process.stdout.readline()) for process in self.all]

    def end(self) -> None:
        """Close their input, and wait."""
        for process in self.all:
            process.stdin.close()
        for process in self.all:
            process.wait()


def measure_link(options) -> dict[str, float]:
    """Return the latency of a message and the bandwidth, from sums over two processes of few and of many numbers."""
    processes, large = Processes(options, 2), 1 << 22
    small_s, large_s = (max(one["s"] for one in processes.ask(f"sum {numbers}")) for numbers in (1, large))
    processes.end()
    # Around a ring of two: two turns, each of half of the bytes.
    return {"latency_s": small_s / 2, "bytes_per_s": 4 * large / (large_s - small_s)}


def compare(options, layout: str, link: dict[str, float]) -> None:
    """Time one process and a layout in turns, and write the ratio."""
    parts = {name: int(number) for name, number in (part.split("=") for part in layout.split(","))}
    data, context = parts.get("data", 1), parts.get("context", 1)
    size = data * context
    processes = Processes(options, size)
    loss = processes.ask(f"layout {layout}")[0]["loss"]
    alone = Steps(options, Ranks())
    if abs(loss / alone.loss - 1) > 1e-4:
        raise SystemExit(f"{layout}: loss {loss}, of one process {alone.loss}; nothing is timed")
    lonely = Steps(options, Lonely(0, data, context))
    one, several, ratios, compute, busy = [], [], [], [], []
    for _ in range(options.repeats):
        clock, processor = alone.run(SLICE_STEPS)
        answers = [answer["s"] for answer in processes.ask(f"steps {SLICE_STEPS}")]
        one.append(clock / SLICE_STEPS)
        several.append(max(own for own, _ in answers) / SLICE_STEPS)
        ratios.append(one[-1] / several[-1])
        busy.append(processor / max(own for _, own in answers))
        compute.append(lonely.run(SLICE_STEPS)[0] / SLICE_STEPS if link else 0.0)
    processes.end()
    ratios.sort()
    config = alone.model.config
    sent = traffic(config, count_parameters(alone.model), data=data, context=context, windows=options.windows)
    facts = {
        "one_s": quantiles(one)["p50_s"], "several_s": quantiles(several)["p50_s"],
        "one_best_s": min(one), "several_best_s": min(several),
        "ratio": ratios[len(ratios) // 2], "ratio_of_best": min(one) / min(several),
        # What the ratio would be if nobody else took the cores, and exchanges took no time but the processor's.
        "ratio_of_processor_time": sorted(busy)[len(busy) // 2],
        "bytes_a_step": sent.bytes, "messages_a_step": sent.messages,
    }  # fmt: skip
    if link:
        compute_s = min(compute) * max(1.0, size / len(os.sched_getaffinity(0)))
        model_s = compute_s + sent.seconds(**link)
        facts |= link | {"compute_s": compute_s, "model_s": model_s, "measured_of_model": min(several) / model_s}
    name = f"{options.preset}-{options.direction}-L{options.context}-b{options.windows}-{layout}"
    write("distributed", name + ("-recompute" if options.recompute else ""), who="genomamba", threads=1, **facts)


if __name__ == "__main__":
    main()
