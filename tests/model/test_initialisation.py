"""The published initialisation, number by number."""

import math

import pytest
import torch
import torch.nn.functional as F

from genomamba.config import PRESETS, ModelConfig
from genomamba.model import LanguageModel, count_parameters


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(d_model=64, num_layers=4))


def test_a_log_is_log_of_one_to_n_and_d_is_one(model):
    for layer in model.layers:
        expected = torch.log(torch.arange(1.0, 17.0)).expand(128, 16)
        torch.testing.assert_close(layer.mixer.A_log, expected)
        assert (layer.mixer.D == 1).all()


def test_delta_is_log_uniform_between_a_thousandth_and_a_tenth(model):
    delta = torch.cat([F.softplus(layer.mixer.dt_proj.bias) for layer in model.layers]).detach()
    assert delta.min() >= 0.001 * 0.999
    assert delta.max() <= 0.1 * 1.001
    logs = (delta.log() - math.log(0.001)) / (math.log(0.1) - math.log(0.001))
    # 512 uniform draws: mean within five standard errors, spread close to that of a uniform.
    assert abs(logs.mean().item() - 0.5) < 5 / math.sqrt(12 * 512)
    assert logs.std().item() == pytest.approx(1 / math.sqrt(12), rel=0.1)


def test_projections_onto_the_residual_stream_shrink_with_depth():
    deviations = {}
    for num_layers in (1, 16):
        torch.manual_seed(0)
        model = LanguageModel(ModelConfig(d_model=64, num_layers=num_layers))
        deviations[num_layers] = model.layers[0].mixer.out_proj.weight.std().item()
    assert deviations[1] / deviations[16] == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_tied_projections_are_scaled_once(tied):
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(d_model=64, num_layers=4, direction="bidirectional", tie_directions=tied))
    for name in ("mamba_fwd", "mamba_rev"):
        deviation = getattr(model.layers[0].mixer, name).out_proj.weight.std().item()
        # Uniform within 128^-0.5, divided by sqrt(4).
        assert deviation == pytest.approx(128**-0.5 / math.sqrt(3) / 2, rel=0.05)


def test_embedding_is_the_head():
    model = LanguageModel(ModelConfig(d_model=8, num_layers=1))
    assert sum("head" in name for name, _ in model.named_parameters()) == 0


@pytest.mark.parametrize(
    ("preset", "expected"), [("tiny", 130_000), ("small", 470_000), ("base", 3_500_000), ("large", 7_000_000)]
)
def test_presets_have_about_the_documented_size(preset, expected):
    with torch.device("meta"):
        model = LanguageModel(ModelConfig(**PRESETS[preset]))
    assert count_parameters(model) == pytest.approx(expected, rel=0.15)
