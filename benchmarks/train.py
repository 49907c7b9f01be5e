"""Training step and forward pass of whole models, beside mambapy and transformers in the same run.

    python benchmarks/train.py [--peers] [--million]

Shapes: 16 tokens of vocabulary, d_state 16, float32. `--peers` needs `pip install mambapy transformers`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from record import parser, seconds, write
from torch import nn

from genomamba.config import PRESETS, ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.process import keep_freed_memory, peak_memory_mib, set_threads


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--peers", action="store_true", help="run mambapy and transformers too")
    arguments.add_argument("--long", action="store_true", help="cost per token at 131,072 against 4,096")
    arguments.add_argument("--million", action="store_true", help="forward of 1,048,576 tokens through tiny")
    arguments.add_argument("--peer", nargs=2, metavar=("NAME", "LENGTH"), help="print a peer's tokens/s and stop")
    arguments.add_argument("--tuned", action="store_true", help="with --peer: keep freed memory, as genomamba does")
    options = arguments.parse_args()
    set_threads(options.threads)
    if options.peer is None or options.tuned:
        keep_freed_memory()
    if options.peer is not None:
        name, length = options.peer
        make = {"mambapy": mambapy_model, "transformers": transformers_model}[name]
        print(step_speed(make(), int(length), 3))
        return
    ours = causal_model("small")
    for length in (512, 4_096):
        speed = step_speed(ours, length, options.repeats)
        write("train", f"step-small-L{length}", who="genomamba", tokens_per_s=speed, threads=options.threads)
        if not options.peers:
            continue
        peer = "transformers" if length == 512 else "mambapy"
        for setting in ("as installed", "tuned as ours"):
            peer_speed = peer_step_speed(peer, length, options.threads, tuned=setting == "tuned as ours")
            again = step_speed(ours, length, options.repeats)
            write(
                "train", f"step-small-L{length}", who=peer, setting=setting, tokens_per_s=peer_speed,
                threads=options.threads, ratio_of_genomamba=max(speed, again) / peer_speed,
            )  # fmt: skip
    if options.long:
        per_token = {}
        for length in (4_096, 131_072, 4_096):
            speed = step_speed(ours, length, 2 if length > 4_096 else options.repeats)
            per_token[length] = min(1 / speed, per_token.get(length, 1.0))
        ratio = per_token[131_072] / per_token[4_096]
        write("train", "step-small-L131072", who="genomamba", us_per_token=per_token[131_072] * 1e6,
              ratio_to_4096=ratio, threads=options.threads)  # fmt: skip
    if options.million:
        forward_of_a_million(options.threads)


def peer_step_speed(name: str, length: int, threads: int, *, tuned: bool) -> float:
    """Tokens a second of a peer in a process of its own: as its users run it, or with our settings of the process."""
    command = [sys.executable, __file__, "--peer", name, str(length), "--threads", str(threads)]
    environment = dict(os.environ)
    if tuned:
        command.append("--tuned")
    else:
        for variable in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "THP_MEM_ALLOC_ENABLE"):
            environment.pop(variable, None)
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(answer.stdout.splitlines()[-1])


def causal_model(preset: str) -> LanguageModel:
    """A network of ours with random weights."""
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(**PRESETS[preset]))


def mambapy_model() -> nn.Module:
    """The same shape in mambapy (parallel scan)."""
    from mambapy.mamba import Mamba, MambaConfig, RMSNorm

    layers = Mamba(MambaConfig(d_model=128, n_layers=4, d_state=16, expand_factor=2, d_conv=4))
    return nn.Sequential(nn.Embedding(16, 128), layers, RMSNorm(128), nn.Linear(128, 16, bias=False))


def transformers_model() -> nn.Module:
    """The same shape in transformers, without its CUDA kernels."""
    from transformers import MambaConfig, MambaForCausalLM

    shape = MambaConfig(
        vocab_size=16, hidden_size=128, num_hidden_layers=4, state_size=16, expand=2, conv_kernel=4,
        use_cache=False, pad_token_id=4, bos_token_id=2, eos_token_id=1,
    )  # fmt: skip
    model = MambaForCausalLM(shape)

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.model(tokens).logits

    return Logits()


def step_speed(model: nn.Module, length: int, repeats: int) -> float:
    """Tokens a second of forward, backward and AdamW at batch 1, best of the repeats."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    tokens = torch.randint(7, 11, (1, length + 1))

    def step() -> None:
        logits = model(tokens[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return length / seconds(step, repeats=repeats)["best_s"]


def forward_of_a_million(threads: int) -> None:
    """Time and peak memory of 1,048,576 tokens through tiny, without gradients."""
    model = causal_model("tiny").eval()
    tokens = torch.randint(7, 11, (1, 2**20))
    with torch.no_grad():
        model(tokens[:, :4_096])
        start = time.perf_counter()
        model(tokens)
        elapsed = time.perf_counter() - start
    peak_gib = peak_memory_mib() / 2**10
    write("train", "forward-tiny-L1048576", who="genomamba", seconds=elapsed, tokens_per_s=2**20 / elapsed,
          peak_memory_gib=peak_gib, threads=threads)  # fmt: skip


if __name__ == "__main__":
    main()
