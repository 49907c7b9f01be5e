"""The language model: embedding, residual blocks, norm, tied head."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.model.block import Block
from genomamba.model.mixer import Mixer
from genomamba.model.strand import merge_strands, stack_strands

__all__ = ["LanguageModel", "count_parameters"]

EMBEDDING_STD = 0.02


class LanguageModel(nn.Module):
    """Mamba-1 language model over one alphabet: causal, bidirectional, or equivariant to reverse complement.

    Parameters
    ----------
    config : ModelConfig
        Shape of the network.

    References
    ----------
    Gu & Dao 2023, "Mamba", arXiv:2312.00752; Schiff et al. 2024, "Caduceus", arXiv:2403.03234.
    """

    complement: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm_f = nn.RMSNorm(config.d_model, eps=config.norm_eps)
        if config.equivariant:
            complement = get_alphabet(config.alphabet).complement_of_token
            self.register_buffer("complement", torch.as_tensor(complement), persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw every weight anew from torch's generator.

        As in the published Mamba: embedding normal with deviation 0.02; projections uniform within fan_in^-0.5, those
        that write to the residual stream divided by sqrt(num_layers).
        """
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        mixers = [module for module in self.modules() if isinstance(module, Mixer)]
        for mixer in mixers:
            mixer.conv1d.reset_parameters()
            mixer.reset_state_space()
            for projection in (mixer.in_proj, mixer.x_proj, mixer.out_proj):
                nn.init.kaiming_uniform_(projection.weight, a=math.sqrt(5))
            # A tied projection is drawn twice and scaled after the last draw.
            mixer.out_proj.weight.div_(math.sqrt(self.config.num_layers))

    def set_recompute(self, recompute: bool) -> None:
        """Let every mixer keep only its input for backward and compute the rest again: less memory, more time."""
        for module in self.modules():
            if isinstance(module, Mixer):
                module.recompute = recompute

    def hidden(self, tokens: Tensor) -> Tensor:
        """Return the normalised residual stream of tokens (batch, length): (batch, length, d_model)."""
        x_blm = self.embedding(tokens)
        for layer in self.layers:
            x_blm = layer(x_blm)
        normalised: Tensor = self.norm_f(x_blm)
        return normalised

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of every position.

        Parameters
        ----------
        tokens : (batch, length), int64
            Ids of the model's alphabet.

        Returns
        -------
        logits : (batch, length, vocab_size), floating
            Unnormalised log-probabilities. At position t, of the token after t for a causal model, of the token at t
            for a bidirectional one.
        """
        if not self.config.equivariant:
            return F.linear(self.hidden(tokens), self.embedding.weight)
        both = self.hidden(stack_strands(tokens, self.complement))
        return merge_strands(F.linear(both, self.embedding.weight), self.complement)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable weights, tied ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
