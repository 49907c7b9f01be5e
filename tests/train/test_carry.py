"""States carried between windows: the losses of one pass over the sequence, and runs that go on bit for bit."""

import dataclasses
import itertools
import shutil

import numpy as np
import pytest
import torch

from genomamba.coordinates import Interval
from genomamba.data.stream import Sample
from genomamba.errors import ConfigError
from genomamba.train.objective import NextToken, token_losses
from genomamba.train.resume import checkpoints
from genomamba.train.words import describe_plan
from runs import assert_same, fingerprint


def test_losses_of_a_lane_are_those_of_one_pass_over_what_it_read(make_config, make_trainer):
    # Without a learning rate to speak of the weights stay, so that the pass can be done again.
    config = make_config(
        carry_state=True, batch_size=2, accumulate=2, context=50, precision="float32", learning_rate=1e-30,
        weight_decay=0.0, warmup=0.0,
    )  # fmt: skip
    trainer, losses = make_trainer(config), []
    plan = trainer.plan
    step = trainer._step
    trainer._step = lambda batch: losses.append(step(batch)) or losses[-1]
    trainer.train()
    assert "states carried from window to window" in describe_plan(plan)
    by_step = np.zeros(20)
    for lane in range(4):
        samples = [plan.stream[4 * t + lane] for t in range(20)]
        begins = [t for t in range(20) if samples[t].before is None] + [20]
        for one, other in itertools.pairwise(begins):
            tokens = torch.from_numpy(np.concatenate([s.tokens for s in samples[one:other]]))[None]
            inputs = torch.cat([torch.full((1, 1), plan.genome.alphabet.bos), tokens[:, :-1]], dim=1)
            with torch.no_grad():
                nats = token_losses(plan.model(inputs), tokens)[0]
            by_step[one:other] += nats.view(-1, 50).mean(1).numpy() / 4
    assert sum(sample.before is not None for sample in map(plan.stream.__getitem__, range(80))) > 40
    assert [loss for loss, *_ in losses] == pytest.approx(by_step, abs=1e-5)


@pytest.mark.parametrize("workers", [0, 2], ids=["0-workers", "2-workers"])
def test_resume_is_bit_equal_and_brings_the_states_back(make_config, make_trainer, tmp_path, workers):
    config = make_config(carry_state=True, checkpoint_every=1, keep=30, workers=workers, accumulate=2, max_steps=12)
    unbroken = make_trainer(config)
    assert unbroken.train()
    expected = fingerprint(unbroken)
    for k in (1, 6, 11):
        folder = tmp_path / f"from-{k}"
        shutil.copytree(unbroken.folder.path, folder)
        for path in checkpoints(folder)[k:]:
            shutil.rmtree(path)
        resumed = make_trainer(dataclasses.replace(config, out=str(folder)), resume=True)
        assert resumed.lanes.position.max() > 0
        assert resumed.train()
        assert_same(fingerprint(resumed), expected)
        assert torch.equal(resumed.lanes.scan, unbroken.lanes.scan)


def test_without_its_states_a_run_that_goes_on_would_differ(make_config, make_trainer, tmp_path):
    unbroken = make_trainer(make_config(carry_state=True, out=str(tmp_path / "unbroken")))
    unbroken.train()
    left = make_trainer(make_config(carry_state=True), leave_at=9)
    left.train()
    resumed = make_trainer(make_config(carry_state=True), resume=True)
    resumed.lanes = resumed.plan.new_lanes()
    resumed.train()
    with pytest.raises(AssertionError):
        assert_same(fingerprint(resumed), fingerprint(unbroken))


def test_a_state_begins_anew_with_a_window_that_follows_none():
    tokens, weights = np.array([7, 8, 9]), np.ones(3, np.float32)
    made = [Sample(0, Interval("one", 0, 3), "+", tokens, weights, before) for before in (None, 9)]
    batch = NextToken("dna")(made)
    assert batch.begins.tolist() == [True, False]
    assert batch.inputs.tolist() == [[2, 7, 8], [9, 7, 8]]


def test_a_model_of_both_sides_is_refused_with_the_reason(make_config, make_trainer):
    with pytest.raises(ConfigError, match="a state holds what lies left of a window, and this one reads both sides"):
        make_trainer(make_config(carry_state=True, objective="masked"))
