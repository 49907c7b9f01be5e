"""A model that a real run has trained, for the commands that take one."""

import contextlib

import numpy as np
import pytest

from genomamba.cli.main import main

CONTIGS = {"one": 3_000, "two": 500, "tiny": 1, "none": 40, "three": 2_000}


@pytest.fixture(scope="session")
def trained_on(tmp_path_factory):
    """A folder with `made.fa`, five contigs of which `none` is all N, and `run`, a causal model of 30 steps on it."""
    folder = tmp_path_factory.mktemp("trained")
    generator = np.random.default_rng(0)
    with (folder / "made.fa").open("w") as file:
        for name, length in CONTIGS.items():
            steps = generator.choice(4, length, p=[0.1, 0.6, 0.2, 0.1])
            text = "".join("ACGT"[i] for i in np.cumsum(steps) % 4) if name != "none" else "N" * length
            file.write(f">{name}\n{text[:70]}{'NNNNN' if name == 'one' else ''}{text[70:].lower()}\n")
    options = (
        "--fasta made.fa --contigs one,three --test-share 0 --valid-share 0.1 --num-layers 2 --d-model 16 --d-state 4"
        " --context 128 --batch-size 8 --max-steps 30 --learning-rate 0.02 --threads 1 --out run"
    )
    pretrain(folder, options)
    return folder


@pytest.fixture(scope="session")
def masked_on(trained_on):
    """The same folder with `masked`, a bidirectional model of one step."""
    options = "--fasta made.fa --contigs one --objective masked --d-model 8 --num-layers 1 --context 64 --max-steps 1"
    pretrain(trained_on, f"{options} --threads 1 --out masked")
    return trained_on


def pretrain(folder, options):
    """Run the command in a folder."""
    with contextlib.chdir(folder):
        assert main(["pretrain", *options.split()]) == 0
