"""What the tests of workflows share: commands run as a person types them, a model of random weights, a made genome."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from genomamba.config import ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import save_model

BIN = Path(sys.executable).parent
LENGTHS = {"chr1": 4_000, "chr2": 1_500, "chr3": 700}


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Variables of a shell in which genomamba and snakemake are found, and Snakemake's cache is its own."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("xdg"))}


@pytest.fixture(scope="session")
def call(environment):
    """Run a command in a folder; return what it printed, and fail where its exit code is another than `code`."""

    def run(folder, *command, code=0):
        done = subprocess.run(
            [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert (done.returncode == 0) == (code == 0), said
        return said

    return run


@pytest.fixture(scope="session")
def pipeline(call):
    """Run `genomamba pipeline`."""
    return lambda folder, *words, code=0: call(folder, sys.executable, "-m", "genomamba", "pipeline", *words, code=code)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder of a small causal model of random weights."""
    torch.manual_seed(0)
    made = LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4))
    with torch.no_grad():
        made.embedding.weight.mul_(40)
    folder = tmp_path_factory.mktemp("models") / "made"
    folder.mkdir()
    save_model(folder, made, {"objective": "next_token", "context": 128, "strand": "random"})
    return folder


@pytest.fixture(scope="session")
def texts():
    """Bases of three contigs, by name."""
    generator = np.random.default_rng(0)
    return {name: "".join(generator.choice(list("ACGT"), length)) for name, length in LENGTHS.items()}


@pytest.fixture
def project(tmp_path, texts, model):
    """A folder with a genome, two VCFs, one of them in the sheet, and the configuration of `score_variants`."""
    (tmp_path / "genome.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    write_vcf(tmp_path / "ours.vcf", texts, {"chr1": 40, "chr2": 10, "chr3": 5})
    write_vcf(tmp_path / "theirs.vcf", texts, {"chr2": 8}, seed=1)
    (tmp_path / "cohorts.tsv").write_text("cohort\tvcf\nours\tours.vcf\n")
    config = {
        "name": "made",
        "fasta": "genome.fa",
        "model": str(model),
        "cohorts": "cohorts.tsv",
        "shard_records": 40,
        "threads": 1,
        "score": {"context": 128, "horizon": 32},
    }
    write_config(tmp_path, config)
    return tmp_path


@pytest.fixture
def change(project):
    """Change the configuration of the project."""

    def run(leave=(), **settings):
        config = yaml.safe_load((project / "config.yaml").read_text()) | settings
        write_config(project, {key: value for key, value in config.items() if key not in leave})

    return run


def write_config(folder, config):
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def write_vcf(path, texts, counts, seed=0):
    generator = np.random.default_rng(seed)
    rows = []
    for contig, count in counts.items():
        for place in sorted(generator.choice(len(texts[contig]) - 200, count, replace=False).tolist()):
            ref = texts[contig][place + 100]
            alt = generator.choice([base for base in "ACGT" if base != ref])
            rows.append(f"{contig}\t{place + 101}\t.\t{ref}\t{alt}\t.\t.\t.\n")
    header = "".join(f"##contig=<ID={name},length={len(text)}>\n" for name, text in texts.items())
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    path.write_text(f"##fileformat=VCFv4.2\n{header}{columns}{''.join(rows)}")
