"""What a step costs, told before the first one, and what would fit where it does not."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genomamba.config import ModelConfig
from genomamba.errors import RunError
from genomamba.train import estimate
from genomamba.train.estimate import bytes_per_token, check_fits, free_memory_mib, measure
from genomamba.train.plan import VALIDATIONS_A_RUN, Cost, make_plan

ROOT = Path(__file__).parents[2]
SMALL_KEPT = ("--kept", "--preset", "small", "--lengths", "16384")


def test_bytes_of_recomputed_layers_by_hand():
    config = ModelConfig(d_model=64, num_layers=4)
    # Four inputs, the last stream, the gradient of a norm, and what the mixer reads, of 64 float32 each; two tokens of
    # 8 bytes and a weight of 4.
    assert bytes_per_token(config, torch.float32, 1) == 7 * 256 + 20
    assert bytes_per_token(config, torch.bfloat16, 1) == 6.5 * 256 + 20
    # Two inputs, and two more while a pair is computed again.
    assert bytes_per_token(config, torch.float32, 2) == 7 * 256 + 20
    assert bytes_per_token(dataclasses.replace(config, num_layers=16), torch.float32, 4) == 11 * 256 + 20


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_keeping_everything_takes_more_the_wider_the_deeper_and_the_more_strands(direction, precision):
    config = ModelConfig(d_model=64, num_layers=4, direction=direction)
    kept = bytes_per_token(config, precision, 0)
    assert kept > 4 * bytes_per_token(config, precision, 1)
    for change in ({"d_model": 128}, {"num_layers": 8}):
        assert bytes_per_token(dataclasses.replace(config, **change), precision, 0) == pytest.approx(2 * kept, rel=0.2)
    if direction == "bidirectional":
        both = dataclasses.replace(config, equivariant=True)
        assert bytes_per_token(both, precision, 0) == pytest.approx(2 * kept, rel=0.02)


@pytest.fixture
def make_cost(make_config):
    """A plan of 8 windows of 1,024 bases through one layer of width 8, and a made cost of it."""

    def make(**changes):
        plan = make_plan(make_config(**({"context": 1_024, "batch_size": 8} | changes)))
        grown = estimate._grown(plan, 8_192, plan.recomputed_layers)
        return plan, Cost(1.0, 1.0, estimate._resident_mib() + grown, False), grown

    return make


def test_what_fits_is_let_through(make_cost):
    plan, cost, grown = make_cost()
    check_fits(plan, cost, grown + 50)
    check_fits(plan, cost, None)


@pytest.mark.parametrize(
    ("recompute", "share", "advice"),
    [
        (False, 0.6, "--recompute"),
        (True, 0.55, "--batch-size 4"),
        (True, 0.1, "--batch-size 1 --context 512"),
        (False, 0.01, r"--recompute --batch-size 1 --context \d+"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(make_cost, monkeypatch, recompute, share, advice):
    plan, cost, grown = make_cost(recompute=recompute)
    monkeypatch.setattr(estimate, "_resident_mib", lambda: cost.memory_mib - grown)
    with pytest.raises(RunError, match=rf"8 x 1,024 bases takes about .* GiB.*; {advice} would take"):
        check_fits(plan, cost, share * grown)


def test_memory_that_is_free_is_that_of_the_machine_or_less():
    free = free_memory_mib()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    assert 0 < free < pages


def test_a_large_batch_is_run_in_part_and_the_rest_is_reckoned(make_config, monkeypatch):
    plan = make_plan(make_config(context=2_000, batch_size=2, accumulate=3))
    seen, backward = [], estimate.backward
    monkeypatch.setattr(
        estimate, "backward", lambda m, batch, *a, **k: seen.append(batch) or backward(m, batch, *a, **k)
    )
    whole = measure(plan)
    assert seen[-1].inputs.shape == (2, 2_000)
    assert whole.is_measured
    monkeypatch.setattr(estimate, "MEASURED_TOKENS", 500)
    monkeypatch.setattr(estimate.time, "perf_counter", iter(range(100)).__next__)
    part = measure(plan)
    assert seen[-1].inputs.shape == (1, 500)
    assert not part.is_measured
    # A second for an eighth of a batch, three batches a step.
    assert (part.step_s, part.forward_s) == (24.0, 8.0)
    monkeypatch.setattr(estimate, "FEWEST_MEASURED", 100)
    monkeypatch.setattr(estimate, "MEASURED_WORK", 300 * sum(one.numel() for one in plan.model.parameters()))
    measure(plan)
    assert seen[-1].inputs.shape == (1, 300)
    assert all(parameter.grad is None for parameter in plan.model.parameters())


def test_where_freed_memory_is_kept_a_step_spreads_over_more_than_it_needs(make_config, monkeypatch):
    """100 MiB before the first pass and 180 after it: 1.65 times 80 are told beyond the 100, but not where it goes."""
    monkeypatch.setattr(estimate, "has_glibc", lambda: True)
    monkeypatch.setattr(estimate, "_resident_mib", iter([100.0, 180.0]).__next__)
    monkeypatch.setattr(estimate, "peak_memory_mib", lambda device: 190.0)
    plan = make_plan(make_config())
    moments = 8 * sum(one.numel() for one in plan.model.parameters()) / 2**20
    assert measure(plan).memory_mib == pytest.approx(100 + 1.65 * 80 + moments)
    plan = make_plan(make_config(recompute=True))
    assert measure(plan).memory_mib == pytest.approx(190 + moments)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [(), ("--kept",), ("--objective", "masked"), SMALL_KEPT], ids=["recompute", "kept", "masked", "small"]
)
def test_memory_told_is_within_fifteen_in_a_hundred_of_the_peak(options, tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "context.py"), "--lengths", "65536", "--steps", "4", *options]
    environment = os.environ | {"BENCHMARK_RESULTS": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (line,) = next(tmp_path.rglob("context.jsonl")).read_text().splitlines()
    assert json.loads(line)["told_to_peak"] == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("objective", ["next_token", "masked"])
def test_a_run_of_some_minutes_has_time_for_steps_and_few_validations(make_config, objective):
    def made(**options):
        return make_plan(
            make_config(objective=objective, **({"max_steps": None, "max_minutes": 2.0, "valid_every": None} | options))
        )

    plan = made()
    held_out = min(sum(map(len, plan.split.valid)), plan.config.valid_bases)
    batch = plan.stages.last.windows * plan.stages.last.context
    # A validation of ten seconds: of the two minutes a fifth is for two of them, and one comes when they are over.
    scored = held_out / batch * (2 if objective == "next_token" else 1)
    cost = Cost(0.5, 10 / scored, 100.0)
    assert plan.validation_s(cost) == pytest.approx(10)
    assert (plan.expected_steps(cost), plan.valid_every(cost)) == (220, 110)
    quick = Cost(0.5, 0.1 / scored, 100.0)
    assert (plan.expected_steps(quick), plan.valid_every(quick)) == (236, 12)
    # Of a run of some steps it goes by what is read: forward alone takes a third of a step.
    assert plan.checkpoint_every(cost) == 220 // VALIDATIONS_A_RUN
    read = held_out * (2 if objective == "next_token" else 1)
    steps = -(-10 * read // batch)
    assert -(-steps // made(max_steps=steps, max_minutes=None).valid_every(cost)) == 6
    # One every ten steps of half a second each: 15 s for ten steps.
    assert made(valid_every=10).expected_steps(cost) == 80
    assert made(max_steps=7).expected_steps(cost) == 7
