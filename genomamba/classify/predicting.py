"""What a head says of sequences."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genomamba.classify.examples import passes_of
from genomamba.classify.heads import SequenceModel
from genomamba.classify.sequences import SequenceList
from genomamba.errors import RunError

__all__ = ["predict_logits"]


@torch.no_grad()
def predict_logits(model: SequenceModel, sequences: SequenceList) -> Tensor:
    """Return the logits of sequences, (sequences, outputs), or (bases, outputs) for labels of bases, on the CPU.

    Sequences that follow each other go through the network together; what one gives depends on no other.

    Raises
    ------
    RunError
        Where a number is not finite.
    """
    device = model.network.embedding.weight.device
    strands = 1 if model.config.strand == "given" else 2
    found = []
    for part in passes_of(sequences.lengths, strands=strands):
        borders = sequences.borders[part.start : part.stop + 1]
        ids = sequences.alphabet.token_of_symbol[sequences.symbols[borders[0] : borders[-1]]]
        lengths = torch.from_numpy(np.diff(borders))
        found.append(model(torch.from_numpy(ids).to(device), lengths.to(device)).cpu())
    logits = torch.cat(found)
    if not logits.isfinite().all():
        raise RunError("the model's numbers are not finite; are its weights whole?")
    return logits
