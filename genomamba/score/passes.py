"""A model over sequences of any lengths, and what becomes of the pieces of each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor

from genomamba.alphabet import Alphabet
from genomamba.errors import RunError
from genomamba.model import LanguageModel
from genomamba.model.streaming import Output, stream
from genomamba.model.together import run_together
from genomamba.score.reading import packs
from genomamba.score.sequences import Form, Source, pieces_of

__all__ = ["Pieces", "Reduce", "finite_bits", "in_form", "join", "join_bits", "mean", "passes", "sum_bits"]

Pieces: TypeAlias = Iterator[tuple[Tensor, Tensor]]
"""Of one sequence, left to right: tokens (piece,), and what a model says of them, (piece, ...)."""

Reduce: TypeAlias = Callable[[Pieces], Tensor]
"""Makes one tensor of them."""


def passes(model: LanguageModel, sources: Iterable[Source], output: Output, chunk: int) -> Iterator[Pieces]:
    """Run a model over sequences: short ones that follow each other together, long ones as streams.

    Parameters
    ----------
    model : LanguageModel
        In evaluation mode.
    sources : iterable of Source
        Of one token or more each.
    output : {"logits", "hidden", "log_likelihood"}
        As of `genomamba.model.streaming.stream`.
    chunk : int
        Most tokens of a pass.

    Yields
    ------
    Pieces
        Those of each sequence, on the model's device; to be used up before the next are asked for.
    """
    for pack in packs(sources, chunk):
        if len(pack) == 1:
            given, kept = itertools.tee(pieces_of(pack[0], chunk))
            values = stream(model, given, output=output, chunk=chunk)
            yield ((tokens[0], piece[0]) for tokens, piece in zip(kept, values, strict=True))
        else:
            sequences = [source.tokens(0, len(source))[0] for source in pack]
            for tokens, whole in zip(sequences, run_together(model, sequences, output), strict=True):
                yield iter([(tokens, whole)])


def join(pieces: Pieces) -> Tensor:
    """Return the values of all positions: (length, ...)."""
    return torch.cat([values for _, values in pieces])


def mean(pieces: Pieces) -> Tensor:
    """Return the mean over the positions, (...), in the dtype of the values; no more than a piece is held."""
    total, count, dtype = torch.zeros(()), 0, torch.float32
    for _, values in pieces:
        total = total.to(values.device) + values.sum(0, dtype=torch.float64)
        count, dtype = count + values.shape[0], values.dtype
    return (total / count).to(dtype)


def join_bits(alphabet: Alphabet, name: str, pieces: Pieces) -> Tensor:
    """Return log-likelihoods in bits, (length,), from nats; raises as `finite_bits` does."""
    return torch.cat(list(finite_bits(alphabet, name, pieces)))


def sum_bits(alphabet: Alphabet, name: str, pieces: Pieces) -> Tensor:
    """Return the sum of what `join_bits` gives: (), float64. Tokens that are not predicted are left out."""
    return torch.stack([bits.nansum(dtype=torch.float64) for bits in finite_bits(alphabet, name, pieces)]).sum()


def finite_bits(alphabet: Alphabet, name: str, pieces: Iterable[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
    """Turn pieces of log-likelihoods from nats into bits, rounded once.

    Parameters
    ----------
    alphabet : Alphabet
        Of the tokens.
    name : str
        Of the model, for the message.
    pieces : iterable of (tokens, nats)
        Of one shape each; NaN where the token is none that a model predicts.

    Raises
    ------
    RunError
        Where the number of another token is not finite.
    """
    is_target = torch.from_numpy(alphabet.is_target_token)
    for tokens, nats in pieces:
        bits = (nats.double() / math.log(2)).to(nats.dtype)
        if not bits[is_target[tokens.cpu()].to(bits.device)].isfinite().all():
            raise RunError(f"{name}: the model's log-likelihoods are not finite; are its weights whole?")
        yield bits


def in_form(results: list[Tensor], form: Form, *, stack: bool = False) -> Tensor | list[Tensor]:
    """Return results in the form in which their sequences were given; with `stack`, several are one tensor, too."""
    if form == "one":
        return results[0]
    return torch.stack(results) if stack or form == "rows" else results
