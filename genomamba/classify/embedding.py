"""What a model makes of sequences: numbers for each, or for each of its bases, that do not depend on the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.classify.config import Pool, StrandUse
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.model.streaming import stream_layers
from genomamba.model.together import run_layers_together
from genomamba.score.reading import Strand, packs
from genomamba.score.sequences import Source, pieces_of

__all__ = ["Embedding", "default_pass", "embed_each"]

# Fewer, larger passes: on two cores that others used too, 16,384 bases took a third of the time of 2,048 at width 256.
_BASES_A_PASS: Final = 16_384
_NUMBERS_A_TENSOR: Final = 1 << 23


@dataclass(frozen=True, slots=True)
class Embedding:
    """Which numbers are kept.

    Attributes
    ----------
    pool : {"mean", "sum", "max", "last", "middle", "none"}
        Over the positions of a sequence, each strand in its own reading order; none keeps them all.
    layers : tuple of int
        Depths from 0 to num_layers, see `genomamba.model.LanguageModel.residual_streams`.
    strand : {"+", "-", "mean", "both"}
        Which strands are read; both puts the numbers of - behind those of +.
    """

    pool: Pool
    layers: tuple[int, ...]
    strand: StrandUse

    @classmethod
    def of(
        cls, config: ModelConfig, alphabet: Alphabet, *, pool: Pool, layers: Sequence[int], strand: StrandUse | None
    ) -> Embedding:
        """Check what was asked for, and fill in what was not.

        Parameters
        ----------
        config : ModelConfig
            Of the model.
        alphabet : Alphabet
            Of the model.
        pool : {"mean", "sum", "max", "last", "middle", "none"}
        layers : sequence of int
            Below 0 they count from the last.
        strand : {"+", "-", "mean", "both"}, optional
            Default: both for an equivariant model, and + for others.

        Raises
        ------
        ConfigError
            For a layer that the model does not have, and for a second strand where there is none.
        """
        depth = config.num_layers
        for layer in layers:
            if not -depth - 1 <= layer <= depth:
                raise ConfigError(
                    f"are {', '.join(map(str, layers))}; they must lie between {-depth - 1} and {depth}, 0 being the"
                    " embedding of the tokens and -1 the last",
                    option="layers",
                )
        if strand is None:
            strand = "both" if config.equivariant else "+"
        if strand != "+" and not alphabet.has_complement:
            raise ConfigError(f"is {strand}; the {alphabet.name} alphabet has one strand alone, +", option="strand")
        return cls(pool, tuple(layer % (depth + 1) for layer in layers), strand)

    @property
    def strands(self) -> tuple[Strand, ...]:
        """Which strands are read, in order."""
        return {"+": ("+",), "-": ("-",)}.get(self.strand, ("+", "-"))  # type: ignore[return-value]

    def width(self, config: ModelConfig) -> int:
        """Numbers of a sequence, or of a base."""
        return config.d_model * len(self.layers) * (2 if self.strand == "both" else 1)


@dataclass(frozen=True, slots=True)
class _Read:
    """One strand of a sequence, in reading order."""

    source: Source
    alphabet: Alphabet
    strand: Strand

    def __len__(self) -> int:
        return len(self.source)

    def tokens(self, start: int, end: int) -> Tensor:
        if self.strand == "+":
            return self.source.tokens(start, end)
        given = self.source.tokens(len(self) - end, len(self) - start).cpu().numpy()
        return torch.from_numpy(self.alphabet.reverse_complement(given).copy())


def default_pass(config: ModelConfig) -> int:
    """Return how many bases go through the network at once."""
    return min(_BASES_A_PASS, max(512, _NUMBERS_A_TENSOR // config.d_inner))


def embed_each(
    model: LanguageModel,
    sources: Iterable[Source],
    embedding: Embedding,
    *,
    chunk: int | None = None,
    spill: Path | None = None,
) -> Iterator[Tensor]:
    """Embed sequences, one after the other: short ones share a pass, end to end without padding, long ones are streams.

    Parameters
    ----------
    model : LanguageModel
        In evaluation mode.
    sources : iterable of Source
        Of one token or more each, taken as they are needed.
    embedding : Embedding
    chunk : int, optional
        Most bases of a pass. Default: `default_pass`.
    spill : Path, optional
        See `genomamba.model.streaming.stream`.

    Yields
    ------
    (width,) or, without pooling, (length, width), float32 or float64, on the CPU
        Of the layers in order, those of strand + first. Without pooling, row t is of base t as given, on either strand.
    """
    chunk = chunk or default_pass(model.config)
    alphabet = get_alphabet(model.config.alphabet)
    reads = (_Read(source, alphabet, strand) for source in sources for strand in embedding.strands)
    waiting: list[Tensor] = []
    for pack in packs(reads, chunk):
        if len(pack) == 1 and len(pack[0]) > chunk:
            results = [_embed_stream(model, pack[0], embedding, chunk, spill)]
        else:
            results = _embed_together(model, pack, embedding)
        for result in results:
            waiting.append(result)
            if len(waiting) == len(embedding.strands):
                yield _joined(waiting, embedding)
                waiting = []


def _joined(strands: list[Tensor], embedding: Embedding) -> Tensor:
    """Put the strands of a sequence together; those of bases in the order of the bases."""
    if embedding.pool == "none":
        strands = [
            values.flip(0) if strand == "-" else values
            for strand, values in zip(embedding.strands, strands, strict=True)
        ]
    if len(strands) == 1:
        return strands[0]
    return torch.cat(strands, dim=-1) if embedding.strand == "both" else (strands[0] + strands[1]) / 2


def _embed_together(model: LanguageModel, pack: Sequence[_Read], embedding: Embedding) -> list[Tensor]:
    tokens = [read.tokens(0, len(read))[0] for read in pack]
    layers = run_layers_together(model, tokens, embedding.layers)
    return [
        torch.cat([_pooled(values, embedding.pool) for values in sequence], dim=-1).cpu()
        for sequence in zip(*layers, strict=True)
    ]


def _embed_stream(model: LanguageModel, read: _Read, embedding: Embedding, chunk: int, spill: Path | None) -> Tensor:
    """Embed a long sequence; where positions are pooled, no more than a piece of it is held."""
    found: list[list[Tensor]] = [[] for _ in embedding.layers]
    starts = [0] * len(embedding.layers)
    for place, piece in stream_layers(model, pieces_of(read, chunk), embedding.layers, chunk=chunk, spill=spill):
        values, here = piece[0], found[place]
        match embedding.pool:
            case "none":
                here.append(values.cpu())
            case "mean" | "sum":
                total = values.sum(0, dtype=torch.float64)
                here[:] = [here[0] + total if here else total]
            case "max":
                most = values.amax(0)
                here[:] = [torch.maximum(here[0], most) if here else most]
            case "last":
                here[:] = [values[-1]]
            case "middle":
                offsets = (position - starts[place] for position in _middle(len(read)))
                here += [values[offset] for offset in offsets if 0 <= offset < len(values)]
                starts[place] += len(values)
    dtype = model.embedding.weight.dtype
    if embedding.pool == "middle":
        found = [[(here[0] + here[1]) / 2] for here in found]
    if embedding.pool == "mean":
        found = [[(total / len(read)).to(dtype)] for (total,) in found]
    if embedding.pool == "sum":
        found = [[total.to(dtype)] for (total,) in found]
    return torch.cat([torch.cat(here) for here in found], dim=-1).cpu()


def _pooled(values: Tensor, pool: Pool) -> Tensor:
    match pool:
        case "mean":
            return values.mean(0, dtype=torch.float64).to(values.dtype)
        case "sum":
            return values.sum(0, dtype=torch.float64).to(values.dtype)
        case "max":
            return values.amax(0)
        case "last":
            return values[-1]
        case "middle":
            first, second = _middle(len(values))
            return (values[first] + values[second]) / 2
    return values


def _middle(length: int) -> tuple[int, int]:
    """Return the two positions in the middle; of an odd length the same one twice."""
    return (length - 1) // 2, length // 2
