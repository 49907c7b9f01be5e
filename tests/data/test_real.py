"""Real genomes read as their keepers describe them; where GENOMAMBA_DATA names them."""

import numpy as np
import pytest

from genomamba.data.card import dataset_card
from genomamba.data.genome import Genome
from genomamba.data.stream import SampleStream
from genomamba.data.windows import make_split
from genomamba.errors import DataError


def test_yeast_is_asked_for_by_chromosome(data_dir, dna):
    genome = Genome.open([data_dir / "yeast" / "S288C_R64-2-1.fsa.gz"], dna, progress=False)
    assert len(genome.contigs) == 17
    split = make_split(genome, test=["IV", "chrXII"], valid=["XVI"])
    assert [i.contig for i in split.test] == ["ref|NC_001136|", "ref|NC_001144|"]
    assert genome.resolve("chrM") == "ref|NC_001224|"
    card = dataset_card(genome, split, dna, 1024)
    assert sum(s["bases"] for s in card["splits"].values()) == 12_157_105


def test_human_chromosome_20_has_its_bases(data_dir, dna):
    genome = Genome.open([data_dir / "human_chr20" / "20.fa.gz"], dna, progress=False)
    split = make_split(genome)
    splits = dataset_card(genome, split, dna, 1024)["splits"].values()
    assert sum(s["bases"] for s in splits) == genome.length("chr20") == 63_025_520
    assert sum(s["acgt"] for s in splits) == 59_505_520
    stream = SampleStream(genome, split.train, context=1024, seed=0, max_n=0.2)
    assert max((stream[i].weights == 0).mean() for i in range(300)) <= 0.2


def test_softmask_of_a_fly_is_kept(data_dir, dna):
    genome = Genome.open([data_dir / "drosophila_chr2R" / "dm3_chr2R.fa.gz"], dna, progress=False)
    symbols = genome.fetch("2R", 0, 21_146_708)
    assert 0.05 < np.mean(dna.softmask(symbols)) < 0.5
    with pytest.raises(DataError, match="has 21,146,708 bases"):
        genome.fetch("2R", 0, 21_146_709)
