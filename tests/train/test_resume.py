"""A run that was cut and resumed ends with the same bits as one that was not."""

import dataclasses
import json
import shutil

import pytest
import torch

from genomamba.errors import RunError
from genomamba.train.evaluate import Scored, Scorer
from genomamba.train.resume import best_checkpoint, checkpoints
from runs import assert_same, fingerprint


@pytest.mark.parametrize(
    ("workers", "objective"),
    [
        pytest.param(0, "next_token"),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in ((0, "masked"), (2, "next_token"), (2, "masked"))
        ),
    ],
)
def test_resume_at_every_step_is_bit_equal(make_config, make_trainer, tmp_path, objective, workers):
    steps = {"max_steps": 10, "valid_every": 3}
    config = make_config(objective=objective, workers=workers, checkpoint_every=1, keep=30, strand="random", **steps)
    unbroken = make_trainer(config)
    assert unbroken.train()
    expected = fingerprint(unbroken)
    for k in range(1, 10):
        resumed_folder = tmp_path / f"from-{k}"
        shutil.copytree(unbroken.folder.path, resumed_folder)
        for folder in checkpoints(resumed_folder)[k:]:
            shutil.rmtree(folder)
        torch.manual_seed(k)
        resumed = make_trainer(dataclasses.replace(config, out=str(resumed_folder)), resume=True)
        assert resumed.progress.step == k
        assert resumed.train()
        assert_same(fingerprint(resumed), expected)


@pytest.mark.parametrize("leave_at", [1, 7, 13])
def test_leaving_on_a_signal_and_resuming_is_bit_equal(make_config, make_trainer, tmp_path, leave_at):
    unbroken = make_trainer(make_config(out=str(tmp_path / "unbroken")))
    assert unbroken.train()
    expected = fingerprint(unbroken)
    left = make_trainer(make_config(), leave_at=leave_at)
    assert not left.train()
    resumed = make_trainer(make_config(), resume=True)
    assert resumed.progress.step == leave_at
    assert resumed.train()
    assert_same(fingerprint(resumed), expected)


def test_accumulation_equals_one_large_batch(make_config, make_trainer, tmp_path):
    losses = []
    for batch_size, accumulate in ((4, 1), (1, 4)):
        config = make_config(
            batch_size=batch_size, accumulate=accumulate, precision="float32", out=str(tmp_path / f"run{batch_size}")
        )
        trainer = make_trainer(config)
        trainer.train()
        losses.append([row[3] for row in fingerprint(trainer)[1] if row[0] == "train"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_only_the_last_checkpoints_and_the_best_are_kept(make_config, make_trainer, monkeypatch):
    worse_and_worse = iter(range(1, 100))
    monkeypatch.setattr(Scorer, "__call__", lambda *_, **__: {"one": Scored(float(next(worse_and_worse)), 1)})
    trainer = make_trainer(make_config(checkpoint_every=2, keep=2))
    trainer.train()
    kept = {int(path.name.removeprefix("step-")) for path in checkpoints(trainer.folder.path)}
    assert trainer.progress.best_step == 7
    assert kept == {7, 18, 20}


def test_the_best_checkpoint_stays_whatever_the_rhythms(make_config, make_trainer):
    trainer = make_trainer(make_config(max_steps=10, valid_every=4, checkpoint_every=5, keep=1))
    trainer.train()
    best = trainer.progress.best_step
    resumed = make_trainer(make_config(max_steps=10, valid_every=4, checkpoint_every=5, keep=1), resume=True)
    assert resumed.progress.best_step == best
    assert best_checkpoint(resumed.folder.path, resumed.progress) in checkpoints(resumed.folder.path)


def test_leaving_at_the_last_step_does_not_lose_the_last_validation(make_config, make_trainer, tmp_path):
    unbroken = make_trainer(make_config(out=str(tmp_path / "unbroken")))
    unbroken.train()
    left = make_trainer(make_config(), leave_at=20)
    assert not left.train()
    resumed = make_trainer(make_config(), resume=True)
    assert resumed.train()
    assert_same(fingerprint(resumed), fingerprint(unbroken))
    assert [row[1] for row in fingerprint(unbroken)[1] if row[0] == "valid"] == [7, 14, 20]


def test_resuming_with_other_settings_is_refused_by_flag(make_config, make_trainer):
    make_trainer(make_config(), leave_at=3).train()
    with pytest.raises(RunError, match=r"--learning-rate 0\.01, now it is 0\.02"):
        make_trainer(make_config(learning_rate=0.02), resume=True)


def test_a_longer_run_may_go_on_from_a_shorter_one(make_config, make_trainer):
    make_trainer(make_config(max_steps=5)).train()
    longer = make_trainer(make_config(max_steps=8), resume=True)
    assert longer.train()
    assert longer.progress.step == 8


def test_a_damaged_checkpoint_is_named(make_config, make_trainer):
    trainer = make_trainer(make_config(), leave_at=3)
    trainer.train()
    path = checkpoints(trainer.folder.path)[-1] / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(RunError, match=r"state\.safetensors: damaged"):
        make_trainer(make_config(), resume=True)


def test_metrics_of_lost_steps_are_dropped_once_resumed(make_config, make_trainer):
    trainer = make_trainer(make_config(), leave_at=9)
    trainer.train()
    path = trainer.folder.path / "metrics.jsonl"
    row = json.loads(path.read_text().splitlines()[-1])
    # What a kill leaves: rows beyond the checkpoint, and one cut short.
    with path.open("a") as file:
        file.write(json.dumps(row | {"step": 10}) + '\n{"kind": "tra')
    resumed = make_trainer(make_config(), resume=True)
    resumed.train()
    steps = [json.loads(line)["step"] for line in path.read_text().splitlines() if '"train"' in line]
    assert steps == list(range(1, 21))
