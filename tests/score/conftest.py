"""Small genomes and models of random weights, in float64 so that an oracle is exact."""

import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.data.genome import Genome
from genomamba.model import LanguageModel


@pytest.fixture
def make_genome(tmp_path):
    """Open a genome of the records given, as text by name."""

    def make(records, alphabet="dna"):
        path = tmp_path / "made.fa"
        path.write_text("".join(f">{name}\n{text}\n" for name, text in records.items()))
        return Genome.open([path], get_alphabet(alphabet), cache_dir=tmp_path / "cache", progress=False)

    return make


@pytest.fixture
def make_model():
    def make(**shape):
        torch.manual_seed(0)
        model = LanguageModel(ModelConfig(d_model=8, num_layers=2, d_state=4, **shape))
        # At their initial size, weights hardly move a prediction from uniform.
        with torch.no_grad():
            model.embedding.weight.mul_(40)
        return model.double().eval()

    return make


@pytest.fixture
def random_text():
    def draw(length, seed=0, letters="ACGT"):
        generator = torch.Generator().manual_seed(seed)
        return "".join(letters[i] for i in torch.randint(len(letters), (length,), generator=generator).tolist())

    return draw
