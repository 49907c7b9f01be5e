"""The convert command: what it writes, what it prints, and what it refuses."""

import json

import pytest
import torch

from genomamba.cli.main import main
from genomamba.config import ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import load_model, open_checkpoint, save_model


@pytest.fixture
def make_saved(tmp_path):
    """A function that saves a small model, and returns it and its folder."""

    def make(**shape):
        torch.manual_seed(0)
        model = LanguageModel(ModelConfig(d_model=8, num_layers=2, d_state=4, **shape))
        folder = tmp_path / "saved"
        folder.mkdir()
        save_model(folder, model, {"objective": "next_token", "context": 64})
        return model, folder

    return make


def same(found, expected):
    return all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in found.state_dict().items())


def test_there_and_back(make_saved, tmp_path, capsys):
    model, folder = make_saved()
    there, back = tmp_path / "there", tmp_path / "new/back"
    assert main(["convert", str(folder), str(there), "--to", "huggingface"]) == 0
    assert json.loads((there / "config.json").read_text())["model_type"] == "mamba"
    assert sorted(file.name for file in there.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert main(["convert", str(there), str(back)]) == 0
    assert same(load_model(back), model)
    first, second = capsys.readouterr().out.splitlines()
    described = f"causal, 2 layers, d_model 8, {sum(p.numel() for p in model.parameters()):,} parameters, alphabet dna"
    assert first == f"{there}: huggingface layout, from {folder} (genomamba): {described}"
    assert second == f"{back}: genomamba layout, from {there} (huggingface): {described}"


def test_what_is_known_of_the_training_is_kept(make_saved, tmp_path):
    _, folder = make_saved(direction="bidirectional", equivariant=True)
    assert main(["convert", str(folder), str(tmp_path / "copy")]) == 0
    copy = open_checkpoint(tmp_path / "copy")
    assert copy.training == {"objective": "next_token", "context": 64}
    assert copy.config == open_checkpoint(folder).config


def test_an_alphabet_that_is_named_is_kept(make_saved, tmp_path, capsys):
    _, folder = make_saved()
    published = tmp_path / "published"
    assert main(["convert", str(folder), str(published), "--to", "huggingface"]) == 0
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (published / name).unlink()
    config = json.loads((published / "config.json").read_text())
    del config["genomamba_alphabet"]
    (published / "config.json").write_text(json.dumps(config))
    capsys.readouterr()
    assert main(["convert", str(published), str(tmp_path / "out")]) == 2
    assert "name them by --alphabet" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    spelled = "[CLS],[SEP],[BOS],[MASK],[PAD],,[UNK],A,C,G,T,N"
    assert main(["convert", str(published), str(tmp_path / "out"), "--alphabet", spelled]) == 0
    assert open_checkpoint(tmp_path / "out").config.alphabet == spelled


def test_an_empty_folder_is_filled_and_a_full_one_left_alone(make_saved, tmp_path, capsys):
    model, folder = make_saved()
    out = tmp_path / "out"
    out.mkdir()
    assert main(["convert", str(folder), str(out)]) == 0
    assert same(load_model(out), model)
    before = {file: file.stat().st_mtime_ns for file in out.iterdir()}
    assert main(["convert", str(folder), str(out)]) == 1
    assert capsys.readouterr().err == f"{out}: is there already; give a folder that is new or empty\n"
    assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{folder}", "out", "--to", "onnx"], 2, "invalid choice: 'onnx'"),
        (["{folder}", "out", "--alphabet", "rna"], 2, "--alphabet is 'rna'; it must be dna"),
        (["{folder}", "out", "--revision", "v1"], 2, "--revision v1 is of a name on the hub"),
        (["{folder}", "out", "--to", "huggingface"], 2, "reads left to right, and this model reads both ways"),
        (["nowhere", "out"], 1, "nowhere: no such folder"),
        (["{folder}"], 2, "the following arguments are required: OUT"),
    ],
    ids=["layout", "alphabet", "revision", "bidirectional", "nowhere", "no-out"],
)
def test_refusals_are_one_line(make_saved, tmp_path, monkeypatch, capsys, arguments, code, message):
    _, folder = make_saved(direction="bidirectional")
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *(argument.format(folder=folder) for argument in arguments)]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
