import pytest
import torch

from genomamba.config import ModelConfig
from genomamba.model import LanguageModel
from genomamba.train.optimizer import decayed_and_plain, make_optimizer
from genomamba.train.schedule import Limits, learning_rate


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.55, 0.51), (1.0, 0.02)])
def test_rises_linearly_and_falls_on_a_half_cosine(progress, expected):
    assert learning_rate(progress, peak=1.0, warmup=0.1) == pytest.approx(expected)


def test_no_warmup_and_all_warmup():
    assert learning_rate(0.0, peak=2.0, warmup=0.0) == 2.0
    assert learning_rate(1.0, peak=2.0, warmup=1.0) == 2.0


def test_the_nearest_limit_counts():
    limits = Limits(max_steps=10, max_tokens=1_000, max_minutes=1.0)
    assert limits.progress(steps=1, tokens=500, elapsed_s=12.0) == 0.5
    assert limits.progress(steps=1, tokens=100, elapsed_s=45.0) == 0.75
    assert limits.progress(steps=30, tokens=100, elapsed_s=45.0) == 1.0


def test_state_space_parameters_norms_and_biases_do_not_decay():
    model = LanguageModel(ModelConfig(d_model=8, num_layers=1, direction="bidirectional"))
    decayed, plain = decayed_and_plain(model)
    kinds = {name.rsplit("mamba_fwd.", 1)[-1].rsplit("mamba_rev.", 1)[-1] for name in decayed}
    assert kinds == {
        "embedding.weight", "in_proj.weight", "out_proj.weight", "x_proj.weight", "dt_proj.weight", "conv1d.weight",
    }  # fmt: skip
    plain_kinds = {name.rsplit(".", 2)[-1] if "norm" not in name else "norm" for name in plain}
    assert {"A_log", "D", "bias", "norm"} == plain_kinds
    assert len(decayed) + len(plain) == len(list(model.parameters()))
    optimizer = make_optimizer(model, 0.1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


def test_decay_moves_a_matrix_and_leaves_a_log():
    model = LanguageModel(ModelConfig(d_model=8, num_layers=1))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = make_optimizer(model, 0.5)
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    mixer = "layers.0.mixer."
    after = dict(model.named_parameters())
    assert torch.equal(after[mixer + "A_log"], before[mixer + "A_log"])
    torch.testing.assert_close(after[mixer + "in_proj.weight"], before[mixer + "in_proj.weight"] * 0.95)
