"""All that a run leaves, to be compared with another's."""

import dataclasses
import json

import torch


def fingerprint(trainer):
    """Everything that a run leaves: weights, moments, generator, data state, sample ids, losses."""
    optimizer = {
        f"{name}/{key}": value
        for name, parameter in trainer.plan.model.named_parameters()
        for key, value in trainer.optimizer.state[parameter].items()
    }
    rows = [json.loads(line) for line in (trainer.folder.path / "metrics.jsonl").read_text().splitlines()]
    numbers = [(r["kind"], r["step"], r["bases"], r["loss"], r["learning_rate"], r["gradient_norm"]) for r in rows]
    progress = dataclasses.asdict(trainer.progress) | {"elapsed_s": None}
    return trainer.plan.model.state_dict() | optimizer | {"generator": torch.get_rng_state()}, numbers, progress


def assert_same(one, other):
    (tensors, numbers, progress), (others, other_numbers, other_progress) = one, other
    assert tensors.keys() == others.keys()
    for name in tensors:
        assert torch.equal(tensors[name], others[name]), name
    assert numbers == other_numbers
    assert progress == other_progress
