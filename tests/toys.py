"""Models whose answer is known by hand."""

import torch

from genomamba.config import ModelConfig
from genomamba.model import LanguageModel


class MarkovModel(LanguageModel):
    """Predicts from the present token alone, by a table (vocab_size, vocab_size) of logits of the next one."""

    def __init__(self, table):
        config = ModelConfig(d_model=16, num_layers=1, d_state=2)
        super().__init__(config)
        self.register_buffer("table", torch.as_tensor(table))
        with torch.no_grad():
            # The residual stream is the token itself, one channel each, and the mixer adds nothing to it.
            self.embedding.weight.copy_(torch.eye(config.vocab_size))
            self.layers[0].mixer.out_proj.weight.zero_()

    def logits_of(self, hidden):
        return self.table[hidden.argmax(-1)]


def dna_table(rows, start="ACGT", elsewhere=-50.0):
    """Logits from probabilities: `rows` maps a base to those of A, C, G, T after it; after [BOS] one of `start`."""
    table = torch.full((16, 16), elsewhere)
    for base, probabilities in rows.items():
        table[7 + "ACGT".index(base), 7:11] = torch.tensor(probabilities).log().clamp(min=elsewhere)
    table[2, [7 + "ACGT".index(base) for base in start]] = 0.0
    return table
