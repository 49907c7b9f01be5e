"""One process of several: print, as JSON, how far loss and gradients of the ranks lie from those of one process.

For each layout named on the command line, and each kind of network, by name of the weight.
"""

import json
import os
import sys

import torch

from genomamba.config import ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.process import set_threads
from genomamba.train.distributed import connected, lay_out
from genomamba.train.launch import find_launch, read_layout
from genomamba.train.objective import Batch
from genomamba.train.step import backward
from genomamba_kernels.mixer import segments

BOTH = {"direction": "bidirectional"}
KINDS = {
    "causal": {},
    "bidirectional": BOTH,
    "untied": BOTH | {"tie_directions": False},
    "equivariant": BOTH | {"equivariant": True},
}
WINDOWS, LAYERS = 4, 2
A_PART = 66
"""Positions of the smallest part: more than a segment."""


def make_model(kind: str, recomputed: int) -> LanguageModel:
    """Return the same network on every rank, in float64; `recomputed` layers at a time."""
    torch.manual_seed(0)
    config = ModelConfig(alphabet="dna", d_model=8, num_layers=LAYERS, d_state=4, **KINDS[kind])
    model = LanguageModel(config).double()
    model.set_recompute(recomputed > 0, max(1, recomputed))
    return model


def make_batch(length: int) -> Batch:
    """Return windows whose targets weigh differently, so that a wrong share of the loss shows."""
    generator = torch.Generator().manual_seed(1)
    inputs, targets = torch.randint(7, 11, (2, WINDOWS, length), generator=generator).unbind()
    weights = torch.rand(WINDOWS, length, generator=generator).round(decimals=1)
    return Batch(0, inputs, targets, weights, torch.ones(WINDOWS, dtype=torch.bool))


def main() -> None:
    """Compare every layout with the whole batch on one process."""
    set_threads(1)
    # Several segments in each part, or no state would cross a border between them.
    segments.WORKSPACE_MIB["cpu"] = 0
    launch = find_launch(os.environ)
    assert launch is not None
    whole, found = make_batch(A_PART * launch.size), {}
    with connected(launch, launch.size, 1):
        for layout in sys.argv[1:]:
            ranks = lay_out(launch, *read_layout(layout.split(","), launch.size))
            own = WINDOWS // ranks.data
            at = slice(ranks.data_rank * own, (ranks.data_rank + 1) * own)
            mine = Batch(0, whole.inputs[at], whole.targets[at], whole.weights[at], whole.begins[at])
            mine = mine.columns(ranks.context_rank, ranks.context)
            for kind in KINDS:
                for recomputed in (0, 1, LAYERS) if kind == "causal" else (0, 1):
                    expected, model = make_model(kind, recomputed), make_model(kind, recomputed)
                    # What every rank begins with is what the first one has.
                    if launch.rank:
                        model.load_state_dict({name: torch.zeros_like(one) for name, one in model.state_dict().items()})
                    ranks.take_weights(model)
                    loss, _ = backward(expected, whole, WINDOWS, torch.float32)
                    part, _ = backward(model, mine, 1, torch.float32, ranks=ranks)
                    ranks.sum_gradients(model)
                    gradients = {name: one.grad for name, one in expected.named_parameters()}
                    far = {
                        name: float((one.grad - gradients[name]).abs().max() / gradients[name].abs().max())
                        for name, one in model.named_parameters()
                    }
                    far["loss"] = abs(float(ranks.sum(part)) / float(loss) - 1)
                    found[f"{layout} {kind} {recomputed}"] = far
    if launch.rank == 0:
        sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
