"""Small genomes, written as users have them."""

import gzip
from multiprocessing import get_context

import numpy as np
import pytest
from Bio import bgzf

from genomamba.alphabet import get_alphabet
from genomamba.data.genome import Genome

# One server of workers serves the whole session; what loaders need is imported in it once.
get_context("forkserver").set_forkserver_preload(["genomamba.data.stream", "torch.utils.data"])


@pytest.fixture
def dna():
    return get_alphabet("dna")


@pytest.fixture
def write_fasta(tmp_path):
    """Write records, name to sequence, as plain, gzip or BGZF by the name's end; return the path."""

    def write(records, name="made.fa", width=60, end="\n"):
        lines = []
        for header, sequence in records.items():
            lines.append(f">{header}")
            lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
        data = "".join(line + end for line in lines).encode()
        path = tmp_path / name
        if name.endswith(".bgz"):
            with bgzf.BgzfWriter(str(path), "wb") as file:
                file.write(data)
        else:
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


@pytest.fixture
def random_records():
    """Draw contigs of given lengths, in both cases, with some N."""

    def draw(lengths, seed=0):
        generator = np.random.default_rng(seed)
        letters = np.frombuffer(b"ACGTACGTacgtN", "S1")
        return {name: generator.choice(letters, n).tobytes().decode() for name, n in lengths.items()}

    return draw


@pytest.fixture
def made_genome(write_fasta, dna):
    """Open a genome of the records given, as text by name."""

    def make(records, **options):
        return Genome.open([write_fasta(records)], dna, progress=False, **options)

    return make
