"""The Python blocks of docs/reference/python.md run, one after the other, and give what they say."""

import ast
import io
import re
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import huggingface_hub
import pytest
import torch

import genomamba
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
            exec(compile(ast.Module([node], []), "docs/reference/python.md", "exec"), namespace)


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
    found = blocks((ROOT / "docs/reference/python.md").read_text())
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
    Path("runs/demo").rename("runs/mine")
    shutil.copy(example_paths()["scerevisiae"]["fasta"], "genome.fa.gz")
    first, second = blocks((ROOT / "README.md").read_text())
    namespace = labelled_sequences()
    for code in (first, second):
        run_block(code, namespace)
    assert (namespace["model"].predict(namespace["others"]) == ["n", "y"]).all()


def test_the_page_on_labels_runs(models):
    namespace = {"genomamba": genomamba} | labelled_sequences()
    for code in blocks((ROOT / "docs/reference/classify.md").read_text()):
        run_block(code, namespace)
    assert namespace["search"].best_params_["hidden"] in (0, 32)


def labelled_sequences():
    """Names that the pages use: sequences of C and T, or of A and G, which is what the labels say."""
    sequences = [("CTTC" if number % 2 else "AGGA") * (2 + number % 5) for number in range(60)]
    labels = ["y" if number % 2 else "n" for number in range(60)]
    return {"sequences": sequences, "labels": labels, "others": ["AGGAAGGA", "CTTCCTTC"]}


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
