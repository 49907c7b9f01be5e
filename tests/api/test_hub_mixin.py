"""What is saved loads as it was, with a card; what is pushed is what is saved."""

import ast
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch

import genomamba
from genomamba.errors import ConfigError, RunError


def same(found, expected):
    ours, theirs = found.state_dict(), expected.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("kind", ["causal", "bidirectional", "equivariant"])
def test_a_saved_model_loads_as_it_was(make_model, tmp_path, kind, draw_text):
    model, folder = make_model(kind, torch.float32), tmp_path / "new/saved"
    model.provenance |= {"objective": "masked", "context": 64}
    assert model.save_pretrained(folder) is None
    for loaded in (genomamba.from_pretrained(folder), genomamba.Model.from_pretrained(str(folder))):
        assert same(loaded, model)
        assert loaded.config == model.config
        assert loaded.provenance == model.provenance
        assert not loaded.training
        assert torch.equal(loaded.logits(draw_text(30)), model.logits(draw_text(30)))
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_a_card_that_is_there_is_left(make_model, tmp_path):
    (tmp_path / "README.md").write_text("written by hand\n")
    make_model().save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "written by hand\n"


def test_a_folder_that_cannot_be_made_is_told_in_one_line(make_model, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file/saved: cannot be made \(Not a directory\); name another folder"):
        make_model().save_pretrained(tmp_path / "file/saved")


class FakeApi:
    """Takes what is pushed in the place of the hub."""

    def __init__(self, folder):
        self.folder, self.calls = folder, []

    def __call__(self, token=None):
        self.calls.append(("token", token))
        return self

    def create_repo(self, repo_id, **options):
        self.calls.append(("create", repo_id, options["private"]))
        return huggingface_hub.RepoUrl(f"https://huggingface.co/{repo_id}")

    def upload_folder(self, *, repo_id, folder_path, revision, **options):
        self.calls.append(("upload", repo_id, revision))
        shutil.copytree(folder_path, self.folder)
        return "address of the commit"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    api = FakeApi(tmp_path / "pushed")
    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", api)
    return api


def test_what_is_pushed_loads_as_it_was(make_model, hub):
    model = make_model(dtype=torch.float32)
    given = {"license": "cc-by-4.0"}
    assert model.push_to_hub("someone/model", private=True, branch="v1", token="t", model_card_kwargs=given) == (
        "address of the commit"
    )
    assert hub.calls == [("token", "t"), ("create", "someone/model", True), ("upload", "someone/model", "v1")]
    assert same(genomamba.from_pretrained(hub.folder), model)
    card = huggingface_hub.ModelCard.load(hub.folder / "README.md")
    assert (card.data.library_name, card.data.license) == ("genomamba", "cc-by-4.0")
    assert "dna" in card.data.tags
    assert card.text.lstrip().startswith("# someone/model\n")
    assert 'from_pretrained("someone/model")' in card.text


def test_saving_may_push(make_model, hub, tmp_path):
    make_model().save_pretrained(tmp_path / "saved", push_to_hub=True, repo_id="someone/model")
    assert hub.calls[-1] == ("upload", "someone/model", None)
    assert "# saved" not in (hub.folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"model": "nowhere"}, RunError, "^nowhere: no such folder"),
        ({"model": "{saved}", "revision": "v1"}, ConfigError, "is of a name on the hub"),
        ({"model": "{saved}", "alphabet": "bytes"}, RunError, "the model has the alphabet dna"),
        ({"model": "{saved}", "device": "tpu"}, ConfigError, "'tpu'"),
    ],
    ids=["absent", "revision", "alphabet", "device"],
)
def test_what_cannot_be_loaded_is_told_in_one_line(make_model, tmp_path, options, kind, message):
    make_model().save_pretrained(tmp_path)
    given = {name: str(tmp_path) if value == "{saved}" else value for name, value in options.items()}
    with pytest.raises(kind, match=message) as caught:
        genomamba.from_pretrained(**given)
    assert "\n" not in str(caught.value)


def test_type_checkers_see_the_names_that_come_later():
    (guarded,) = [node for node in ast.parse(Path(genomamba.__file__).read_text()).body if isinstance(node, ast.If)]
    (imported,) = guarded.body
    assert imported.module == "genomamba.api"
    assert {name.name for name in imported.names} == set(genomamba.__all__) - {"__version__"}


def test_names_of_the_package_come_when_they_are_asked_for():
    assert set(genomamba.__all__) <= set(dir(genomamba))
    assert genomamba.Model.__name__ == "Model"
    with pytest.raises(AttributeError, match="module 'genomamba' has no attribute 'model_'"):
        genomamba.model_  # noqa: B018
