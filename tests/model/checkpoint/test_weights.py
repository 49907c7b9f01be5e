"""Files of weights: shards, pickles that hold more than tensors, and what is damaged."""

import json
import os

import pytest
import safetensors.torch
import torch

from genomamba.errors import RunError
from genomamba.model.checkpoint.weights import find_weights, read_tensors

A, B = torch.arange(6.0).reshape(2, 3), torch.ones(4)


def write_shards(folder, ending="safetensors"):
    stem = "model" if ending == "safetensors" else "pytorch_model"
    names = {"a": f"{stem}-00001-of-00002.{ending}", "b": f"{stem}-00002-of-00002.{ending}"}
    for (name, file), tensor in zip(names.items(), (A, B), strict=True):
        if ending == "safetensors":
            safetensors.torch.save_file({name: tensor}, folder / file)
        else:
            torch.save({name: tensor}, folder / file)
    index = folder / f"{stem}.{ending}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return index


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_shards_are_one_set_of_tensors(tmp_path, ending):
    index = write_shards(tmp_path, ending)
    assert find_weights(tmp_path) == index
    tensors = read_tensors(index)
    assert tensors.keys() == {"a", "b"}
    assert torch.equal(tensors["a"], A)


def test_files_are_found_in_their_order(tmp_path):
    for name in ("pytorch_model.bin.index.json", "pytorch_model.bin", "model.safetensors.index.json"):
        (tmp_path / name).touch()
        assert find_weights(tmp_path).name == name
    (tmp_path / "model.safetensors").touch()
    assert find_weights(tmp_path).name == "model.safetensors"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_both_forms_of_a_pickle_are_read(tmp_path, zipped):
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": A}, path, _use_new_zipfile_serialization=zipped)
    assert torch.equal(read_tensors(path)["a"], A)


class Trap:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch sprung",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_no_code_is_run(tmp_path, monkeypatch, zipped):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": A, "b": Trap()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(RunError, match="could run code, which are never loaded") as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


def an_entry_that_is_no_tensor(folder):
    torch.save({"state_dict": {"a": A}}, folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def a_list(folder):
    torch.save([A], folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def a_cut_pickle(folder):
    path = folder / "pytorch_model.bin"
    torch.save({"a": A}, path)
    path.write_bytes(path.read_bytes()[:-200])
    return path


def a_cut_pickle_of_the_old_form(folder):
    path = folder / "pytorch_model.bin"
    torch.save({"a": A}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:200])
    return path


def an_empty_pickle(folder):
    (folder / "pytorch_model.bin").touch()
    return folder / "pytorch_model.bin"


def text_for_safetensors(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 10\n")
    return folder / "model.safetensors"


def a_shard_that_is_absent(folder):
    index = write_shards(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    return index


def a_shard_elsewhere(folder):
    index = write_shards(folder)
    index.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    return index


def an_index_without_its_map(folder):
    index = write_shards(folder)
    index.write_text(json.dumps({"metadata": {}}))
    return index


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (an_entry_that_is_no_tensor, "state_dict is a dict; it should hold tensors by name"),
        (a_list, "holds a list; it should hold tensors by name"),
        (a_cut_pickle, "damaged"),
        (a_cut_pickle_of_the_old_form, "damaged or unreadable"),
        (an_empty_pickle, "damaged"),
        (text_for_safetensors, "damaged or unreadable"),
        (a_shard_that_is_absent, "model-00002-of-00002.safetensors is not there, one of 2 shards"),
        (a_shard_elsewhere, "names '../secret.safetensors', which is not a file beside it"),
        (an_index_without_its_map, "has no weight_map"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_read_is_one_line(tmp_path, damage, message):
    path = damage(tmp_path)
    with pytest.raises(RunError, match=message) as caught:
        read_tensors(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
