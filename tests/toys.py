"""Models whose answer is known by hand."""

import math

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


class RecallingModel(LanguageModel):
    """Reads GGT and a base, and from then on gives that base the logit `logit`, other bases 0; before it, all four 0.

    `forgets` is the rate, a base, at which what is kept decays: after 110 / forgets bases float32 has nothing left.
    """

    def __init__(self, logit=9.0, forgets=0.0):
        config = ModelConfig(d_model=32, num_layers=2, d_state=4)
        super().__init__(config)
        self.logit = logit
        first, second = (layer.mixer for layer in self.layers)
        bases = slice(7, 11)
        with torch.no_grad():
            # Channels 0 to 15 of the residual stream are the token, 16 to 19 "GGT and this base end here", 20 to 23
            # "this base was read behind GGT".
            for parameter in (p for mixer in (first, second) for p in mixer.parameters()):
                parameter.zero_()
            self.embedding.weight.copy_(torch.eye(16, 32))
            size = 32**0.5
            # The first layer keeps nothing (delta is 0) and passes on, of each base, "GGT came before it": G, G and -T
            # over the three bases before, gated by the base itself.
            first.dt_proj.bias.fill_(-100)
            first.D.fill_(1)
            first.in_proj.weight[0:4, 7 + 2], first.in_proj.weight[0:4, 7 + 3] = 1 / size, -1 / size
            first.conv1d.weight[0:4, 0] = 400 * torch.tensor([1.0, 1.0, -1.0, 0.0])
            first.conv1d.bias[0:4] = -1000
            first.in_proj.weight[64:68, bases] = 20 * torch.eye(4) / size
            first.out_proj.weight[16:20, 0:4] = torch.eye(4)
            # The second adds up what it gets from those, without end.
            second.dt_proj.bias.fill_(20)
            second.A_log.fill_(-60 if not forgets else math.log(forgets / 20))
            second.in_proj.weight[0:4, 16:20] = torch.eye(4)
            second.conv1d.weight[0:4, 0, 3] = 1
            second.conv1d.bias[4] = 10
            second.x_proj.weight[[-8, -4], 4] = 1
            second.in_proj.weight[64:68, 0:16] = 1
            second.out_proj.weight[20:24, 0:4] = 1e3 * torch.eye(4)

    def logits_of(self, hidden):
        logits = hidden.new_full((*hidden.shape[:-1], 16), -50.0)
        logits[..., 7:11] = self.logit * hidden[..., 20:24] / 32**0.5
        return logits
