"""Sequences of any length through a model in bounded memory, with the numbers of one pass.

A causal model carries its state from piece to piece. A bidirectional one needs, at every layer, all of the layer below
from both sides: it is walked layer by layer, each layer left to right and right to left, over two residual streams that
lie in memory or on disk.
"""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.errors import ConfigError, RunError
from genomamba.model.block import Block
from genomamba.model.language_model import LanguageModel
from genomamba.model.mixer import BidirectionalMixer
from genomamba.model.state import MambaState
from genomamba.model.strand import align_strands, merge_strands, stack_strands
from genomamba_kernels import MixerState

__all__ = ["Output", "bytes_per_base", "read", "stream", "stream_layers", "token_log_likelihood"]

Output = Literal["logits", "hidden", "log_likelihood"]


def stream(
    model: LanguageModel,
    tokens: Tensor | Iterable[Tensor],
    *,
    output: Output = "logits",
    chunk: int = 16_384,
    spill: Path | None = None,
) -> Iterator[Tensor]:
    """Run a model over sequences of any length and give the results piece by piece, left to right.

    Memory beyond the tokens does not grow with the length for a causal model. A bidirectional one holds two streams of
    4 bytes a channel, base (and strand): in memory, or below `spill`.

    Parameters
    ----------
    model : LanguageModel
        In evaluation mode.
    tokens : (batch, length), int64 or uint8, or an iterable of such pieces
        Ids of the model's alphabet, on any device; what is read is moved to the model's. Pieces follow each other left
        to right; a causal model asks for one when the one before it is done, any other for all of them first.
    output : {"logits", "hidden", "log_likelihood"}
        Logits (batch, piece, vocab_size) as of `LanguageModel.forward`; the normalised residual stream (batch, piece,
        d_model), for an equivariant model (batch, piece, 2 * d_model), at each base the given strand's channels and
        behind them the other's; or the log-likelihood of each token given those before it (batch, piece), in nats,
        causal models only, NaN where the token is none that a model predicts (N).
    chunk : int
        Most positions of a result. No number depends on it beyond rounding.
    spill : Path, optional
        Folder for the residual streams of a bidirectional model; removed at the end.

    Raises
    ------
    ConfigError
        For the log-likelihood of a model that sees both sides, and for a chunk below 1.
    RunError
        Where the folder cannot hold the streams.
    """
    if chunk < 1:
        raise ConfigError(f"chunk is {chunk}; it must be 1 or more, such as 16384")
    causal = model.config.direction == "causal" and not model.config.equivariant
    if output == "log_likelihood":
        if not causal:
            raise ConfigError(
                "log_likelihood needs a causal model; this one sees both sides of a base, itself included"
            )
        return _log_likelihoods(model, _cut(tokens, chunk))
    if causal:
        head: Callable[[Tensor], Tensor] = (
            torch.no_grad()(model.logits_of) if output == "logits" else lambda hidden: hidden
        )
        return (head(hidden) for hidden, _ in read(model, _cut(tokens, chunk)))
    whole = tokens if isinstance(tokens, Tensor) else torch.cat(list(tokens), dim=1)
    return _both_sides(model, whole, output, chunk, spill)


@torch.no_grad()
def stream_layers(
    model: LanguageModel,
    tokens: Tensor | Iterable[Tensor],
    layers: Sequence[int],
    *,
    chunk: int = 16_384,
    spill: Path | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Run the network over one strand and give the residual stream at chosen depths, piece by piece.

    An equivariant model is run on the strand given alone: the other one is its reverse complement, read likewise.

    Parameters
    ----------
    model : LanguageModel
        In evaluation mode.
    tokens, chunk, spill
        As of `stream`.
    layers : sequence of int
        See `LanguageModel.residual_streams`.

    Yields
    ------
    place : int
        Place in `layers`.
    values : (batch, piece, d_model), floating
        Pieces of one place come left to right; those of several places come in any order.

    Raises
    ------
    RunError
        Where `spill` cannot hold the streams.
    """
    depth = max(layers)
    if model.config.direction == "causal":
        yield from _layers_in_turn(model, _cut(tokens, chunk), layers)
        return
    whole = tokens if isinstance(tokens, Tensor) else torch.cat(list(tokens), dim=1)
    pieces = _pieces(whole.shape[1], chunk)
    weight = model.embedding.weight
    with _open_streams(model, whole.shape, spill) as (source, target):
        for piece in pieces:
            source.put(piece, model.embedding(whole[:, piece].to(weight.device, torch.int64)))
        blocks = list(model.blocks())
        for number in range(depth + 1):
            for place in (place for place, layer in enumerate(layers) if layer == number):
                for piece in pieces:
                    x = source.get(piece)
                    # On the CPU x is a view of a stream that the layers above write over.
                    yield place, model.norm_f(x) if number == len(blocks) else x.clone()
            if number < depth:
                _walk(blocks[number], source, target, pieces)
                source, target = target, source


def bytes_per_base(model: LanguageModel) -> int:
    """Return what `stream` holds in memory for each base of one sequence, whose tokens come in pieces of int64.

    0 for a causal model, which lets go of what it has read; else the tokens, as they came and as a whole, and two
    residual streams, for each strand.
    """
    config = model.config
    if config.direction == "causal" and not config.equivariant:
        return 0
    number = model.embedding.weight.dtype.itemsize
    strands = 2 if config.equivariant else 1
    return 8 + 8 * strands + 2 * number * config.d_model * strands


@torch.no_grad()
def read(
    model: LanguageModel, pieces: Iterable[Tensor], state: MambaState | None = None
) -> Iterator[tuple[Tensor, MambaState]]:
    """Read a sequence that comes in pieces, causal models only.

    Parameters
    ----------
    model : LanguageModel
        In evaluation mode.
    pieces : iterable of (batch, length), int64 or uint8
        Ids of the model's alphabet, left to right, on any device.
    state : MambaState, optional
        After all that came before. Default: nothing came before.

    Yields
    ------
    hidden : (batch, length, d_model), floating
        Normalised residual stream of a piece, without gradient.
    state : MambaState
        After that piece.

    Raises
    ------
    ConfigError
        For a model that reads both directions.
    """
    weight = model.embedding.weight
    wide = torch.promote_types(weight.dtype, torch.float32)
    for piece in pieces:
        if state is None:
            state = MambaState.start(model.config, piece.shape[0], weight.device, wide)
        hidden, state = model.advance(piece.to(weight.device, torch.int64), state)
        yield hidden, state


def token_log_likelihood(logits: Tensor, tokens: Tensor, alphabet: Alphabet) -> Tensor:
    """Return the log-likelihood of each token under the logits that predict it.

    Parameters
    ----------
    logits : (batch, length, vocab_size), floating
        Of a causal model, after what comes before each token.
    tokens : (batch, length), int64
        On the device of the logits.
    alphabet : Alphabet
        Of the tokens.

    Returns
    -------
    log_likelihood : (batch, length), float32, or float64 where the logits are
        In nats, over the whole vocabulary; NaN where the token is none that a model predicts (N).
    """
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    values = -F.cross_entropy(wide.flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)
    is_target = torch.from_numpy(alphabet.is_target_token).to(tokens.device)
    return values.masked_fill(~is_target[tokens], torch.nan)


def _layers_in_turn(
    model: LanguageModel, pieces: Iterable[Tensor], layers: Sequence[int]
) -> Iterator[tuple[int, Tensor]]:
    """Carry the states of the layers of a causal model from piece to piece."""
    weight = model.embedding.weight
    blocks = list(model.blocks())[: max(layers)]
    states: list[MixerState] | None = None
    for piece in pieces:
        if states is None:
            wide = torch.promote_types(weight.dtype, torch.float32)
            states = list(MambaState.start(model.config, piece.shape[0], weight.device, wide).layers())
        x = model.embedding(piece.to(weight.device, torch.int64))
        streams = [x]
        for number, block in enumerate(blocks):
            x, states[number] = block.advance(x, states[number])
            streams.append(x)
        for place, layer in enumerate(layers):
            yield place, model.norm_f(x) if layer == model.config.num_layers else streams[layer]


def _pieces(length: int, chunk: int) -> list[slice]:
    return [slice(start, min(start + chunk, length)) for start in range(0, length, chunk)]


def _cut(tokens: Tensor | Iterable[Tensor], chunk: int) -> Iterator[Tensor]:
    """Give what comes, in pieces of at most `chunk` positions."""
    for given in [tokens] if isinstance(tokens, Tensor) else tokens:
        for piece in _pieces(given.shape[1], chunk):
            yield given[:, piece]


@torch.no_grad()
def _log_likelihoods(model: LanguageModel, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
    alphabet = get_alphabet(model.config.alphabet)
    inputs, targets = itertools.tee(pieces)
    for (hidden, _), piece in zip(read(model, _moved_right(inputs, alphabet.bos)), targets, strict=True):
        yield token_log_likelihood(model.logits_of(hidden), piece.to(hidden.device, torch.int64), alphabet)


def _moved_right(pieces: Iterable[Tensor], bos: int) -> Iterator[Tensor]:
    """Put [BOS] before a sequence that comes in pieces and drop its last token: what each token is predicted from."""
    before: Tensor | None = None
    for piece in pieces:
        first = torch.full_like(piece[:, :1], bos) if before is None else before
        yield torch.cat([first, piece[:, :-1]], dim=1)
        before = piece[:, -1:]


@torch.no_grad()
def _both_sides(
    model: LanguageModel, tokens: Tensor, output: Output, chunk: int, spill: Path | None
) -> Iterator[Tensor]:
    if model.config.equivariant:
        tokens = stack_strands(tokens.to(torch.int64), model.complement.to(tokens.device))
    pieces = _pieces(tokens.shape[1], chunk)
    weight = model.embedding.weight
    with _open_streams(model, tokens.shape, spill) as (source, target):
        for piece in pieces:
            source.put(piece, model.embedding(tokens[:, piece].to(weight.device, torch.int64)))
        for layer in model.blocks():
            _walk(layer, source, target, pieces)
            source, target = target, source
        for piece in pieces:
            hidden = model.norm_f(source.get(piece))
            if not model.config.equivariant:
                yield hidden if output == "hidden" else model.logits_of(hidden)
                continue
            # The other strand's numbers for these bases lie at its mirror-image positions.
            both = _mirrored(model, source, hidden, piece)
            yield (
                align_strands(both) if output == "hidden" else merge_strands(model.logits_of(both), model.complement)
            )


def _walk(layer: Block, source: _Stream, target: _Stream, pieces: list[slice]) -> None:
    """Fill `target` with what a layer makes of `source`."""
    mixer = layer.mixer
    if not isinstance(mixer, BidirectionalMixer):
        state: MixerState | None = None
        for piece in pieces:
            x = source.get(piece)
            mixed, state = mixer.advance(layer.norm(x), state)
            target.put(piece, x + mixed)
        return
    state = None
    for piece in pieces:
        mixed, state = mixer.mamba_fwd.advance(layer.norm(source.get(piece)), state)
        target.put(piece, mixed)
    state = None
    for piece in reversed(pieces):
        x = source.get(piece)
        mixed, state = mixer.mamba_rev.advance(layer.norm(x), state)
        target.put(piece, x + mixer.merge(target.get(piece), mixed))


def _mirrored(model: LanguageModel, source: _Stream, hidden: Tensor, piece: slice) -> Tensor:
    """Return the given strand at a piece, and behind it the other strand at the mirror image of the piece."""
    batch = hidden.shape[0] // 2
    mirror = slice(source.length - piece.stop, source.length - piece.start)
    return torch.cat([hidden[:batch], model.norm_f(source.get(mirror))[batch:]])


class _Stream:
    """A residual stream (rows, length, d_model) outside of the model's device: pieces in, pieces out."""

    def __init__(self, values: Tensor, device: torch.device) -> None:
        self._values, self._device = values, device
        self.length = values.shape[1]

    def get(self, piece: slice) -> Tensor:
        return self._values[:, piece].to(self._device)

    def put(self, piece: slice, values: Tensor) -> None:
        self._values[:, piece] = values


@contextmanager
def _open_streams(model: LanguageModel, shape: torch.Size, spill: Path | None) -> Iterator[tuple[_Stream, _Stream]]:
    """Make two streams in memory, or in files below `spill` that are gone at the end."""
    weight = model.embedding.weight
    dtype, whole = weight.dtype, (*shape, model.config.d_model)
    if spill is None:
        yield (
            _Stream(torch.empty(whole, dtype=dtype), weight.device),
            _Stream(torch.empty(whole, dtype=dtype), weight.device),
        )
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="genomamba-stream-", dir=spill)
    except OSError as error:
        raise RunError(f"{spill}: cannot hold the residual streams ({error.strerror}); name another folder") from error
    with folder as path:
        one, two = (_on_disk(Path(path) / name, whole, dtype) for name in ("one", "two"))
        yield _Stream(one, weight.device), _Stream(two, weight.device)


def _on_disk(path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    size = math.prod(shape) * dtype.itemsize
    try:
        with path.open("wb") as file:
            # The blocks are taken at once: a disk that fills up later would end the process with a signal.
            os.posix_fallocate(file.fileno(), 0, size) if hasattr(os, "posix_fallocate") else file.truncate(size)
    except OSError as error:
        raise RunError(
            f"{path.parent.parent}: cannot hold a residual stream of {size / 2**30:,.1f} GiB ({error.strerror});"
            " name a folder with more room"
        ) from error
    return torch.from_file(str(path), shared=True, size=math.prod(shape), dtype=dtype).view(shape)
