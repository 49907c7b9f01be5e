"""Training with --recompute: the same run within rounding, and one that may take it up or drop it."""

import json

import pytest

from genomamba.model.mixer import Mixer
from genomamba.train.words import describe_plan


def losses(trainer):
    trainer.train()
    rows = [json.loads(line) for line in (trainer.folder.path / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows]


def recomputes(trainer):
    return {module.recompute for module in trainer.plan.model.modules() if isinstance(module, Mixer)}


@pytest.mark.parametrize("objective", ["next_token", "masked"])
def test_losses_are_the_same_within_rounding(objective, make_config, make_trainer, tmp_path):
    expected, actual = (
        losses(
            make_trainer(
                make_config(objective=objective, precision="float32", recompute=recompute, out=str(tmp_path / name))
            )
        )
        for name, recompute in (("ordinary", False), ("recomputed", True))
    )
    assert actual == pytest.approx(expected, rel=1e-4)


def test_a_run_may_take_it_up_when_it_goes_on(make_config, make_trainer):
    first = make_trainer(make_config(), leave_at=3)
    assert not first.train()
    assert recomputes(first) == {False}
    assert "backward" not in describe_plan(first.plan)
    resumed = make_trainer(make_config(recompute=True), resume=True)
    assert resumed.progress.step == 3
    assert recomputes(resumed) == {True}
    assert "layers computed again in backward" in describe_plan(resumed.plan)
    assert resumed.train()
