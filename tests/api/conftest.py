"""Models of random weights, and a FASTA beside a BED."""

import pytest
import torch

from genomamba import Model
from genomamba.config import ModelConfig
from genomamba.model import LanguageModel

KINDS = {
    "causal": {},
    "bidirectional": {"direction": "bidirectional"},
    "equivariant": {"direction": "bidirectional", "equivariant": True},
}


def draw_text(length, seed=0, letters="ACGT"):
    generator = torch.Generator().manual_seed(seed)
    return "".join(letters[i] for i in torch.randint(len(letters), (length,), generator=generator).tolist())


@pytest.fixture
def make_model():
    def make(kind="causal", dtype=torch.float64, **shape):
        torch.manual_seed(0)
        network = LanguageModel(ModelConfig(d_model=8, num_layers=2, d_state=4, **KINDS[kind], **shape))
        # At their initial size, weights hardly move a prediction from uniform.
        with torch.no_grad():
            network.embedding.weight.mul_(40)
        return Model(network.to(dtype), name="made").eval()

    return make


@pytest.fixture(name="draw_text", scope="session")
def fixture_draw_text():
    return draw_text


@pytest.fixture(scope="session")
def records():
    """Two contigs: one with N and lower case, and one that is left out where contigs are not named."""
    one = draw_text(300, 1)
    return {"chr1": one[:100] + "NNnn" + one[100:200].lower() + one[200:], "chrUn_x": draw_text(50, 2)}


@pytest.fixture(scope="session")
def fasta(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("genome") / "made.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in records.items()))
    return path
