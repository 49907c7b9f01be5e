"""Turns of a run: what each step reads, worked by hand, and runs that are cut at and between their borders."""

import dataclasses
import itertools
import shutil

import pytest
import torch

from genomamba.errors import ConfigError
from genomamba.train.resume import checkpoints
from genomamba.train.stages import Stage, Stages, read_schedule
from genomamba.train.words import describe_plan
from runs import assert_same, fingerprint

SCHEDULE = ("16:3", "32:4:3:0.02", "64:5")


def read(*texts, **options):
    return read_schedule(texts, **({"batch_size": None, "tokens_per_batch": 128, "rate": 0.01} | options))


def test_turns_by_hand():
    assert read(*SCHEDULE).turns == (
        Stage(context=16, steps=3, windows=8, rate=0.01),
        Stage(context=32, steps=4, windows=3, rate=0.02),
        Stage(context=64, steps=5, windows=2, rate=0.01),
    )
    # The batch of the last turn says how many bases a batch has.
    assert [turn.windows for turn in read("16:1", "1000:1", "64:1", batch_size=3).turns] == [12, 1, 3]
    assert [turn.windows for turn in read("16:1", "64:1:5").turns] == [20, 5]


def test_what_the_first_steps_read_by_hand():
    stages = Stages(read(*SCHEDULE).turns, accumulate=2)
    samples, tokens = 0, 0
    for step in range(20):
        assert stages.samples(step) == samples
        assert stages.tokens(step) == tokens
        assert stages.steps_for(tokens) == step
        turn = stages.turns[0 if step < 3 else 1 if step < 7 else 2]
        assert stages.at(step) is turn
        assert list(itertools.islice(stages.batch_sizes(step), 1)) == [2 * turn.windows]
        samples += 2 * turn.windows
        tokens += 2 * turn.windows * turn.context
        assert stages.steps_for(tokens - 1) == step + 1
    assert stages.sample_borders() == [0, 48, 72]
    assert stages.largest.context == 64


@pytest.mark.parametrize("text", ["1024", "1024:", "a:1", "1:2:3:4:5", "0:1", "1:0", "8:8:0", "8:8:1:0", "8:8:1:nan"])
def test_other_forms_are_refused_by_their_text(text):
    with pytest.raises(ConfigError, match=text) as refused:
        read("16:3", text)
    assert refused.value.option == "context_schedule"


def scheduled(make_config, **changes):
    settings = {"context": None, "batch_size": None, "max_steps": None, "context_schedule": SCHEDULE}
    return make_config(**(settings | changes))


def test_a_run_reads_the_windows_of_its_turns(make_config, make_trainer):
    trainer = make_trainer(scheduled(make_config, batch_size=2, accumulate=2))
    seen, collate = [], trainer.collate
    trainer.collate = lambda samples: seen.append([(s.index, len(s.tokens)) for s in samples]) or collate(samples)
    assert trainer.train()
    # The same loader may have read on, past the last step.
    lengths = [[length for _, length in batch] for batch in seen[:12]]
    assert lengths == [[16] * 16] * 3 + [[32] * 6] * 4 + [[64] * 4] * 5
    assert [i for batch in seen for i, _ in batch] == list(range(sum(map(len, seen))))
    assert trainer.progress.step == 12
    assert trainer.progress.consumed_samples == 48 + 24 + 20
    assert trainer.progress.bases == 48 * 16 + 24 * 32 + 20 * 64
    assert trainer.plan.context == 64
    assert "16 x 8 windows for 3 steps at 0.01, 32 x 3 windows for 4 steps at 0.02" in describe_plan(trainer.plan)


def test_a_turn_has_its_learning_rate(make_config, make_trainer):
    trainer, rates = make_trainer(scheduled(make_config, warmup=0.0)), []
    step = trainer._step
    trainer._step = lambda batch: rates.append(step(batch)) or rates[-1]
    trainer.train()
    single = make_trainer(make_config(max_steps=12, warmup=0.0, out=trainer.plan.config.out + "-single"))
    plain, rates = [rate for *_, rate in rates], []
    step = single._step
    single._step = lambda batch: rates.append(step(batch)) or rates[-1]
    single.train()
    ratios = [one / other[-1] for one, other in zip(plain, rates, strict=True)]
    assert ratios == pytest.approx([1.0] * 3 + [2.0] * 4 + [1.0] * 5)


@pytest.mark.parametrize("workers", [0, 2], ids=["0-workers", "2-workers"])
def test_resume_at_and_between_borders_is_bit_equal(make_config, make_trainer, tmp_path, workers):
    config = scheduled(make_config, checkpoint_every=1, keep=30, workers=workers, objective="masked")
    unbroken = make_trainer(config)
    assert unbroken.train()
    expected = fingerprint(unbroken)
    for k in (1, 3, 5, 7, 8):
        folder = tmp_path / f"from-{k}"
        shutil.copytree(unbroken.folder.path, folder)
        for path in checkpoints(folder)[k:]:
            shutil.rmtree(path)
        torch.manual_seed(k)
        resumed = make_trainer(dataclasses.replace(config, out=str(folder)), resume=True)
        assert resumed.progress.step == k
        assert resumed.train()
        assert_same(fingerprint(resumed), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": 128}, "--context 128 and --context-schedule, which has 64 there"),
        ({"batch_size": 7, "context_schedule": ("16:3", "64:5:2")}, "--batch-size 7 .* which has 2 there"),
        ({"max_steps": 5}, "--max-steps 5 .* which has 12 there"),
        ({"max_tokens": 500}, "--max-tokens 500 .* when the run ends"),
        ({"max_minutes": 1.0}, "--max-minutes 1"),
        ({"carry_state": True}, "is for one context"),
    ],
)
def test_what_a_schedule_says_is_not_told_twice(make_config, make_trainer, changes, message):
    with pytest.raises(ConfigError, match=message):
        make_trainer(scheduled(make_config, **changes))
