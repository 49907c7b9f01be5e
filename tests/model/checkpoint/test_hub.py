"""Names on the hub, fetched by the hub's own client from a server on this machine."""

import http.server
import json
import re
import threading

import huggingface_hub.constants
import pytest
import torch

from genomamba.config import ModelConfig
from genomamba.errors import RunError
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import is_hub_name, load_model, save_huggingface, save_model

SHA = {"main": "1" * 40, "v1": "2" * 40}


class Hub(http.server.ThreadingHTTPServer):
    """Answers as the hub does for one repository, `someone/model`, whose revisions are folders."""

    def __init__(self, folders):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folders = {SHA[revision]: folder for revision, folder in folders.items()}
        self.fetched = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET(with_body=False)

    def do_GET(self, with_body=True):
        path = self.path.partition("?")[0]
        if found := re.fullmatch(r"/api/models/someone/(gated|model)/revision/(\w+)", path):
            self.repository(found[1], found[2])
        elif found := re.fullmatch(r"/api/models/someone/model/tree/(\w+)", path):
            files = sorted(self.server.folders[found[1]].iterdir())
            self.answer([
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": file.name} for file in files
            ])  # fmt: skip
        elif found := re.fullmatch(r"/someone/model/resolve/(\w+)/(.+)", path):
            if with_body:
                self.server.fetched.append(found[2])
            body = (self.server.folders[found[1]] / found[2]).read_bytes()
            self.answer(body, with_body, {"X-Repo-Commit": found[1], "ETag": f'"{found[1]}{found[2]}"'})
        else:
            self.refuse(404, "RepoNotFound")

    def repository(self, name, revision):
        sha = SHA.get(revision, revision)
        if name == "gated":
            self.refuse(403, "GatedRepo")
        elif sha not in self.server.folders:
            self.refuse(404, "RevisionNotFound")
        else:
            siblings = [{"rfilename": file.name} for file in self.server.folders[sha].iterdir()]
            self.answer({"id": "someone/model", "sha": sha, "siblings": siblings})

    def refuse(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, content, with_body=True, headers=()):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


def make_model(seed):
    torch.manual_seed(seed)
    return LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4))


@pytest.fixture
def start(tmp_path, monkeypatch):
    """A function that serves folders, by revision, and points the hub's client at them; its cache is of this test."""
    hubs = []

    def start(**folders):
        hub = Hub(folders)
        hubs.append(hub)
        address = f"http://127.0.0.1:{hub.server_port}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        template = huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{repo_id}")
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "".join(template[1:]))
        return hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.chdir(tmp_path)
    yield start
    for hub in hubs:
        hub.close()


@pytest.fixture
def folders(tmp_path):
    """One model a revision: ours on main, with files that nobody needs, and a pickle for transformers on v1."""
    main, v1 = tmp_path / "main", tmp_path / "v1"
    for folder in (main, v1):
        folder.mkdir()
    save_model(main, make_model(0), {"objective": "next_token"})
    for name in ("pytorch_model.bin", "modeling_mamba.py", "README.md", "optimizer.safetensors"):
        (main / name).write_text("nobody needs this")
    save_huggingface(v1, make_model(1))
    tensors = {name: tensor.clone() for name, tensor in load_tensors(v1).items()}
    (v1 / "model.safetensors").unlink()
    torch.save(tensors, v1 / "pytorch_model.bin")
    return {"main": main, "v1": v1}


def load_tensors(folder):
    import safetensors.torch

    return safetensors.torch.load_file(folder / "model.safetensors")


def same(found, expected):
    return all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in found.state_dict().items())


def test_only_what_is_read_is_fetched_and_once(start, folders):
    hub = start(**folders)
    assert same(load_model("someone/model"), make_model(0))
    assert sorted(hub.fetched) == ["config.json", "model.safetensors"]
    assert same(load_model("someone/model"), make_model(0))
    assert len(hub.fetched) == 2


def test_a_revision_and_its_pickle(start, folders):
    hub = start(**folders)
    assert same(load_model("someone/model", revision="v1"), make_model(1))
    assert sorted(hub.fetched) == ["config.json", "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json"]
    assert same(load_model("someone/model", revision=SHA["v1"]), make_model(1))


def test_what_was_fetched_is_there_without_the_hub(start, folders):
    hub = start(**folders)
    load_model("someone/model")
    hub.close()
    assert same(load_model("someone/model"), make_model(0))


def test_a_folder_goes_before_the_hub(start, folders, tmp_path):
    hub = start(**folders)
    assert is_hub_name("someone/model")
    (tmp_path / "someone/model").mkdir(parents=True)
    save_model(tmp_path / "someone/model", make_model(3), {})
    assert not is_hub_name("someone/model")
    assert same(load_model("someone/model"), make_model(3))
    assert not hub.fetched


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("someone/other", {}, r"someone/other: there is no such folder here, and no such model on the hub"),
        ("someone/model", {"revision": "v9"}, r"someone/model: the hub has no revision v9 of it; give a branch"),
        ("someone/gated", {}, r"someone/gated: its owner asks for consent"),
        ("someone/a--b", {}, r"someone/a--b: there is no such folder here, and no such model on the hub"),
    ],
    ids=["absent", "revision", "gated", "impossible"],
)
def test_what_the_hub_does_not_give_is_told_in_one_line(start, folders, name, options, message):
    start(**folders)
    with pytest.raises(RunError, match=message) as caught:
        load_model(name, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("told", [False, True], ids=["no-answer", "told-to-stay-offline"])
def test_no_hub_is_told_in_one_line(start, folders, monkeypatch, told):
    hub = start(**folders)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", told)
    if not told:
        hub.close()
    with pytest.raises(RunError, match=r"someone/model: there is no such .* cannot be fetched") as caught:
        load_model("someone/model")
    assert str(caught.value).endswith("check the connection, or give a folder")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model", "./a/b", "/a/b", "a/b/c", "a\\b", "..", "../b", "a/", "a/.."])
def test_paths_are_no_hub_names(name):
    assert not is_hub_name(name)
