"""Recipes run when they are shrunk, have the published size, and go on where they ended."""

import pytest
import torch

from genomamba.config import PretrainConfig
from genomamba.model import count_parameters
from genomamba.recipes import RECIPES
from genomamba.train.plan import make_plan

PUBLISHED = {"caduceus-small": 470_702, "caduceus-base": 1_900_000, "mamba-dna-causal": 1_400_000}


@pytest.mark.parametrize("name", RECIPES)
def test_the_network_has_the_published_size(name, made_fasta, tmp_path):
    plan = make_plan(PretrainConfig(fasta=(str(made_fasta),), out=str(tmp_path / "run"), **RECIPES[name].settings))
    assert count_parameters(plan.model) == pytest.approx(PUBLISHED[name], rel=0.05)
    assert plan.expected_steps(None) == 10_000


def test_a_shrunk_recipe_goes_on_bit_for_bit(make_config, make_trainer, tmp_path):
    small = {"context": 32, "batch_size": 2, "accumulate": 2, "max_steps": 4, "num_layers": 1, "d_model": 8}
    settings = dict(RECIPES["caduceus-small"].settings) | small | {"valid_every": 2, "learning_rate": 8e-3}
    whole = make_trainer(make_config(**settings, out=str(tmp_path / "whole")))
    whole.train()
    make_trainer(make_config(**settings), leave_at=2).train()
    rest = make_trainer(make_config(**settings), resume=True)
    rest.train()
    assert rest.progress.step == 4
    for one, other in zip(whole.plan.model.parameters(), rest.plan.model.parameters(), strict=True):
        assert torch.equal(one, other)
