"""Operations of a base, counted by hand and beside those of the products that PyTorch runs."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from genomamba.config import ModelConfig
from genomamba.model import LanguageModel
from genomamba.train import trainer
from genomamba.train.pace import Pace, flops_per_base, product_rate


def test_by_hand():
    config = ModelConfig(d_model=8, num_layers=3, d_state=4, d_conv=4, dt_rank=2, vocab_rows=16)
    # d_inner 16. In and out: 8 x 32 + 16 x 8 = 384. Inside: taps 64, to delta, B and C 16 x 10, from delta 2 x 16.
    weights = 3 * (384 + 64 + 160 + 32) + 8 * 16
    assert flops_per_base(config) == 3 * (2 * weights + 7 * 3 * 16 * 4)


def test_two_strands_cost_twice_and_tied_directions_project_once():
    shape = {"d_model": 8, "num_layers": 1, "d_state": 4}
    causal = flops_per_base(ModelConfig(**shape))
    tied, free = (
        flops_per_base(ModelConfig(**shape, direction="bidirectional", tie_directions=t)) for t in (True, False)
    )
    assert causal < tied < free < 2 * causal
    assert flops_per_base(ModelConfig(**shape, direction="bidirectional", equivariant=True)) == 2 * tied


def test_products_of_the_network_are_those_that_are_counted():
    config = ModelConfig(d_model=32, num_layers=2, d_state=4)
    model, tokens = LanguageModel(config), torch.zeros(1, 64, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens)
    # The counter sees products alone: not the convolution's taps, not the scan.
    taps = 2 * config.num_layers * config.d_inner * config.d_conv
    updates = 7 * config.num_layers * config.d_inner * config.d_state
    assert counter.get_total_flops() / 64 == pytest.approx(flops_per_base(config) / 3 - taps - updates)


def test_the_share_is_of_what_was_measured():
    assert Pace(flops_per_base=2e6, peak=1e12).share(5e4) == pytest.approx(0.1)
    assert product_rate(torch.device("cpu"), torch.float32, torch.get_num_threads()) > 1e8


def test_the_speed_is_that_of_training_without_validation(make_config, make_trainer, monkeypatch):
    """On a clock that goes on by a second whenever it is read, and by 10,000 in a validation."""
    now = [0.0]

    def read():
        now[0] += 1
        return now[0]

    monkeypatch.setattr(trainer.time, "monotonic", read)
    made = make_trainer(make_config(valid_every=3))
    validate = made.validate

    def slowly():
        now[0] += 10_000
        validate()

    monkeypatch.setattr(made, "validate", slowly)
    made.train()
    rows = [json.loads(line) for line in (made.folder.path / "metrics.jsonl").read_text().splitlines()]
    speeds = [row["bases_per_s"] for row in rows if row["kind"] == "train"]
    assert len(speeds) == 20
    assert min(speeds) > max(speeds) / 10
