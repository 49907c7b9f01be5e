"""Short sequences through a model in one pass, packed end to end: each gives what it gives by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genomamba.alphabet import get_alphabet
from genomamba.model.language_model import LanguageModel
from genomamba.model.packing import borders_of
from genomamba.model.strand import align_packed_strands, pack_strands
from genomamba.model.streaming import Output, token_log_likelihood

__all__ = ["run_layers_together", "run_together"]


@torch.no_grad()
def run_together(model: LanguageModel, sequences: Sequence[Tensor], output: Output) -> list[Tensor]:
    """Run a model over several sequences at once.

    Parameters
    ----------
    model : LanguageModel
        In evaluation mode; causal where `output` is log_likelihood.
    sequences : sequence of (length,), int64
        Ids of the model's alphabet, one token or more each, on any device.
    output : {"logits", "hidden", "log_likelihood"}
        As of `genomamba.model.streaming.stream`.

    Returns
    -------
    list of Tensor
        For each sequence what `stream` gives of it, without the batch: (length, vocab_size), (length, d_model) or
        (length,); on the model's device.
    """
    device = model.embedding.weight.device
    lengths = [sequence.numel() for sequence in sequences]
    tokens = torch.cat(list(sequences)).to(device)[None]
    borders = borders_of(torch.tensor(lengths))
    packed = _run(model, tokens, borders.to(device), output)
    return list(packed[0].split(lengths))


@torch.no_grad()
def run_layers_together(
    model: LanguageModel, sequences: Sequence[Tensor], layers: Sequence[int]
) -> list[tuple[Tensor, ...]]:
    """Run the network over one strand of several sequences at once, as `genomamba.model.streaming.stream_layers` does.

    Parameters
    ----------
    model, sequences
        As of `run_together`.
    layers : sequence of int
        See `LanguageModel.residual_streams`.

    Returns
    -------
    list of tuple of (length, d_model), floating
        For each layer the values of each sequence, on the model's device.
    """
    lengths = [sequence.numel() for sequence in sequences]
    device = model.embedding.weight.device
    tokens = torch.cat(list(sequences)).to(device)[None]
    borders = borders_of(torch.tensor(lengths)).to(device)
    return [values[0].split(lengths) for values in model.residual_streams(tokens, layers, borders)]


def _run(model: LanguageModel, tokens: Tensor, borders: Tensor, output: Output) -> Tensor:
    if output == "log_likelihood":
        alphabet = get_alphabet(model.config.alphabet)
        inputs = tokens.roll(1, dims=1)
        inputs[:, borders[:-1]] = alphabet.bos
        return token_log_likelihood(model(inputs, cu_seqlens=borders), tokens, alphabet)
    if output == "logits":
        logits: Tensor = model(tokens, cu_seqlens=borders)
        return logits
    if not model.config.equivariant:
        return model.hidden(tokens, borders)
    both, both_borders = pack_strands(tokens, borders, model.complement)
    return align_packed_strands(model.hidden(both, both_borders), borders)
