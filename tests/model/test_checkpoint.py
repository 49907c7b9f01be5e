"""Weights on disk come back as they were, and what does not fit is refused by name."""

import json

import pytest
import safetensors.torch
import torch

from genomamba.config import ModelConfig
from genomamba.errors import GenomambaError
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import load_model, save_model


def make_saved(folder, **shape):
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(d_model=8, num_layers=2, d_state=4, **shape))
    save_model(folder, model, {"objective": "next_token"})
    return model


@pytest.mark.parametrize(
    "shape",
    [{}, {"direction": "bidirectional"}, {"direction": "bidirectional", "equivariant": True}, {"alphabet": "bytes"}],
    ids=["causal", "tied", "equivariant", "bytes"],
)
def test_weights_come_back_bit_for_bit(tmp_path, shape):
    model = make_saved(tmp_path, **shape)
    loaded = load_model(tmp_path)
    assert loaded.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_tied_projections_stay_one_tensor(tmp_path):
    make_saved(tmp_path, direction="bidirectional")
    mixer = load_model(tmp_path).layers[0].mixer
    assert mixer.mamba_rev.in_proj.weight is mixer.mamba_fwd.in_proj.weight


def drop_a_tensor(folder):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    del tensors["norm_f.weight"]
    safetensors.torch.save_file(tensors, folder / "model.safetensors")


def add_a_tensor(folder):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    safetensors.torch.save_file(tensors | {"surplus": torch.zeros(1)}, folder / "model.safetensors")


def reshape_a_tensor(folder):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    tensors["norm_f.weight"] = torch.zeros(9)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def other_format(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "caduceus"}))


def unknown_field(folder):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values["model"]["depth"] = 3
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_a_tensor, "norm_f.weight"),
        (add_a_tensor, "surplus"),
        (reshape_a_tensor, r"norm_f.weight \(9,\) for \(8,\)"),
        (truncate, "damaged"),
        (other_format, "not a genomamba config"),
        (unknown_field, "unknown fields depth"),
        (lambda folder: (folder / "config.json").unlink(), "no model here"),
    ],
    ids=["missing", "unexpected", "misshaped", "truncated", "other-format", "unknown-field", "no-config"],
)
def test_what_does_not_fit_is_named_in_one_line(tmp_path, damage, message):
    make_saved(tmp_path)
    damage(tmp_path)
    with pytest.raises(GenomambaError, match=message) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)
