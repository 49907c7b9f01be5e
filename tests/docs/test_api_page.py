"""The Python blocks of docs/api.md run, one after the other, and give what they say."""

import ast
import io
import re
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import huggingface_hub
import pytest
import torch

from genomamba import Model
from genomamba.config import ModelConfig
from genomamba.data.examples import example_paths
from genomamba.model import LanguageModel

ROOT = Path(__file__).parents[2]


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


def run_block(code, namespace):
    """Run a block statement by statement; what stands behind `# ->` is what its expression gives."""
    lines = code.splitlines()
    for node in ast.parse(code).body:
        source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        _, arrow, expected = lines[node.end_lineno - 1].partition("  # -> ")
        if arrow:
            assert isinstance(node, ast.Expr), source
            assert repr(eval(source, namespace)) == expected, source
        else:
            exec(compile(ast.Module([node], []), "docs/api.md", "exec"), namespace)


class Pushed:
    """In the place of the hub."""

    def __init__(self, token=None):
        pass

    def create_repo(self, repo_id, private, exist_ok):
        return huggingface_hub.RepoUrl(f"https://huggingface.co/{repo_id}")

    def upload_folder(self, *, folder_path, **options):
        shutil.copytree(folder_path, "pushed")


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Pushed)
    torch.manual_seed(0)
    for name, shape in (("demo", {"d_model": 16}), ("masked", {"d_model": 8, "direction": "bidirectional"})):
        config = ModelConfig(num_layers=1, d_state=4, **shape)
        Model(LanguageModel(config), name=name, provenance={"context": 64}).save_pretrained(f"runs/{name}")


def test_the_page_runs(models):
    found = blocks((ROOT / "docs/api.md").read_text())
    assert len(found) == 14
    namespace = {}
    said = io.StringIO()
    with redirect_stdout(said):
        for code in found:
            run_block(code, namespace)
    assert said.getvalue() == "chrI:230,001-240,000: NC_001133.9 has 230,218 bases; stay within it\n"
    assert 1.5 < min(namespace["bits_per_base"]) < 5
    assert sum(namespace["next_base"].values()) < 1
    assert "license: cc-by-4.0" in Path("pushed/README.md").read_text()


def test_the_block_of_the_readme_runs(models):
    (code,) = blocks((ROOT / "README.md").read_text())
    Path("runs/demo").rename("runs/mine")
    shutil.copy(example_paths()["scerevisiae"]["fasta"], "genome.fa.gz")
    run_block(code, {})


def test_a_wrong_value_is_seen():
    with pytest.raises(AssertionError):
        run_block("1 + 1  # -> 3\n", {})
    run_block("x = [\n    1,\n]\nx + [2]  # -> [1, 2]\n", {})


def test_the_example_of_the_kernels_runs():
    namespace = {}
    for block in blocks((ROOT / "kernels/README.md").read_text()):
        run_block(block, namespace)
    assert namespace["y"].shape == (2, 1000, 64)
    assert namespace["state"].shape == (2, 64, 16)
