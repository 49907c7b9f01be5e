"""Weights on disk come back as they were, and what does not fit is refused by name."""

import json
import re

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
    [
        {},
        {"direction": "bidirectional"},
        {"direction": "bidirectional", "equivariant": True},
        {"alphabet": "bytes"},
        {
            "alphabet": "[PAD],[MASK],[UNK],a,c,g,t",
            "vocab_rows": 8,
            "direction": "bidirectional",
            "merge": "multiply",
            "norm": "layer",
            "proj_bias": True,
            "conv_bias": False,
            "tie_head": False,
        },
    ],
    ids=["causal", "tied", "equivariant", "bytes", "as-published"],
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
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))


def later_format(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))


def format_as_text(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": "2"}))


def no_object(folder):
    (folder / "config.json").write_text("[1, 2]")


def no_model(folder):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    del values["model"]
    path.write_text(json.dumps(values))


def only_checkpoints(folder):
    (folder / "model.safetensors").unlink()
    (folder / "checkpoints/step-00000003").mkdir(parents=True)


def whole_numbers(folder):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    tensors["norm_f.weight"] = torch.zeros(8, dtype=torch.int8)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")


def unknown_field(folder):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values["model"]["depth"] = 3
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_a_tensor, "missing norm_f.weight$"),
        (add_a_tensor, "unexpected surplus$"),
        (reshape_a_tensor, r"misshaped norm_f.weight \(9,\) for \(8,\)$"),
        (whole_numbers, r"not floating norm_f.weight \(torch.int8\)$"),
        (truncate, "damaged"),
        (other_format, "model_type 'bert'; what is read is genomamba, state-spaces Mamba-1"),
        (later_format, "format version 99, but 2 is read; upgrade genomamba"),
        (format_as_text, "format_version is '2'; it must be a whole number"),
        (unknown_field, "unknown fields depth"),
        (no_object, "it should hold a JSON object"),
        (no_model, r"damaged \(KeyError\('model'\)\)"),
        (only_checkpoints, "not ended, so there is no model here yet; give its checkpoint .*step-00000003$"),
        (lambda folder: (folder / "config.json").unlink(), "no model here; .* holds config.json and weights"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_does_not_fit_is_named_in_one_line(tmp_path, damage, message):
    make_saved(tmp_path)
    damage(tmp_path)
    with pytest.raises(GenomambaError, match=message) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_model": 8.0}, "model.d_model is 8.0; it must be of type int"),
        ({"d_model": True}, "model.d_model is True; it must be of type int"),
        ({"d_model": "8"}, "model.d_model is '8'; it must be of type int"),
        ({"tie_head": 1}, "model.tie_head is 1; it must be of type bool"),
        ({"alphabet": None}, "model.alphabet is None; it must be of type str"),
        ({"norm_eps": "1e-5"}, "model.norm_eps is '1e-5'; it must be of type float"),
        ({"norm_eps": -1}, "model.norm_eps is -1; it must be a number above 0"),
        ({"norm_eps": float("nan")}, "model.norm_eps is nan; it must be a number above 0"),
    ],
    ids=str,
)
def test_a_setting_of_another_type_is_named(tmp_path, changes, message):
    make_saved(tmp_path)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    values["model"] |= changes
    path.write_text(json.dumps(values))
    with pytest.raises(GenomambaError, match=f"config.json: {re.escape(message)}"):
        load_model(tmp_path)
    values["model"] |= {name: getattr(ModelConfig(d_model=8), name) for name in changes} | {"norm_eps": 1}
    path.write_text(json.dumps(values))
    assert load_model(tmp_path).config.norm_eps == 1


def test_a_config_of_the_first_format_is_read(tmp_path):
    model = make_saved(tmp_path, direction="bidirectional", equivariant=True)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    first = {
        "alphabet", "d_model", "num_layers", "d_state", "d_conv", "expand", "dt_rank", "direction", "tie_directions",
        "equivariant", "norm_eps",
    }  # fmt: skip
    values["format_version"] = 1
    values["model"] = {name: value for name, value in values["model"].items() if name in first}
    path.write_text(json.dumps(values))
    assert load_model(tmp_path).config == model.config


def test_the_weights_are_not_those_of_the_file(tmp_path):
    """A file that is written to later must not change, or end, a process that has read it."""
    model = make_saved(tmp_path)
    loaded = load_model(tmp_path)
    size = (tmp_path / "model.safetensors").stat().st_size
    with open(tmp_path / "model.safetensors", "r+b") as file:
        file.write(bytes(size))
    assert torch.equal(loaded.norm_f.weight, model.norm_f.weight)


def test_loading_draws_no_weights(tmp_path):
    make_saved(tmp_path)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    loaded = load_model(tmp_path)
    assert torch.equal(torch.rand(1), expected)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_an_alphabet_that_the_model_does_not_have_is_refused(tmp_path):
    make_saved(tmp_path)
    assert load_model(tmp_path, alphabet="dna").config.alphabet == "dna"
    with pytest.raises(GenomambaError, match="the model has the alphabet dna; it cannot be read as bytes"):
        load_model(tmp_path, alphabet="bytes")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("nowhere", {}, "nowhere: no such folder; give a run folder"),
        ("{folder}/model.safetensors", {}, "is a file; give the folder that holds"),
        ("{folder}", {"revision": "main"}, "^revision main is of a name on the hub"),
        ("{folder}", {"alphabet": "rna"}, "^alphabet is 'rna'; it must be dna, bytes, tokens, or all tokens"),
    ],
    ids=["nowhere", "file", "revision", "alphabet"],
)
def test_what_is_no_folder_is_told_in_one_line(tmp_path, model, options, message):
    make_saved(tmp_path)
    with pytest.raises(GenomambaError, match=message) as caught:
        load_model(model.format(folder=tmp_path), **options)
    assert "\n" not in str(caught.value)
