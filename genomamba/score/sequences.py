"""What a caller gives a model to read, as sequences of tokens: text, token ids, or stretches of a FASTA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.config import ModelConfig
from genomamba.coordinates import Interval
from genomamba.data.bed import read_intervals
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, DataError
from genomamba.score.reading import Reading, Strand

__all__ = ["Form", "Held", "Region", "Sequences", "Single", "Source", "pieces_of", "read_sequences"]

Single: TypeAlias = str | bytes | Tensor
"""Text, or token ids: (length,), or (batch, length) for rows of one length."""

Region: TypeAlias = str | Interval
"""As in chr1:1,001-2,000 (1-based, inclusive), or an interval (0-based, half-open)."""

Sequences: TypeAlias = Single | Sequence[Single] | tuple[str | Path | Genome, Region | Path | Sequence[Region]]
"""One sequence, a list of them, or (FASTA, regions)."""

Form = Literal["one", "many", "rows"]
"""What was given: one sequence, a list, or a tensor (batch, length)."""

_BED: Final = (".bed", ".bed.gz", ".bed.bgz")
_ID_DTYPES: Final = (torch.uint8, torch.int16, torch.int32, torch.int64)


class Source(Protocol):
    """Tokens of one sequence in reading order, read when they are needed."""

    def __len__(self) -> int: ...

    def tokens(self, start: int, end: int) -> Tensor:
        """Return the tokens at offsets [start, end): (1, end - start), int64."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A sequence in memory, (length,), in the smallest dtype that holds its ids: a chromosome is long."""

    ids: Tensor
    alphabet: Alphabet
    strand: Strand

    def __len__(self) -> int:
        return self.ids.numel()

    def tokens(self, start: int, end: int) -> Tensor:
        """Return the tokens at offsets [start, end): (1, end - start), int64."""
        if self.strand == "+":
            return self.ids[None, start:end].to(torch.int64)
        other = self.ids[len(self) - end : len(self) - start].cpu().numpy()
        return torch.from_numpy(np.ascontiguousarray(self.alphabet.reverse_complement(other)))[None]


def read_sequences(
    given: Sequences, config: ModelConfig, *, strand: Strand = "+", may_be_empty: bool = False
) -> tuple[list[Source], Form]:
    """Turn what a caller gives into sequences of tokens.

    Parameters
    ----------
    given : str, bytes, Tensor, list of these, or (fasta, regions)
        Text of the model's alphabet; token ids, (length,) or (batch, length), of any integer dtype; or a FASTA (path,
        folder, glob or open `Genome`) with a region, a list of regions, or a BED file: a `Path`, or text that ends with
        .bed or .bed.gz. Lines of a BED file are taken in their order, each by itself, and its strands are not read.
    config : ModelConfig
        Of the model that is to read them.
    strand : {"+", "-"}
        - reads the reverse complement.
    may_be_empty : bool
        Whether a sequence may be of no tokens.

    Returns
    -------
    sources : list of Source
    form : {"one", "many", "rows"}
        Whether one sequence was given, several, or a tensor (batch, length).

    Raises
    ------
    DataError
        For a letter that the alphabet lacks, and for files and regions that cannot be read.
    ConfigError
        For what is none of the above, for ids that the model does not have, and for an empty sequence.
    """
    sources: list[Source]
    if isinstance(given, tuple):
        sources, form = _of_genome(given, config, strand)
    elif isinstance(given, list):
        sources = [_held(one, f"sequence {number}", config, strand) for number, one in enumerate(given)]
        form = "many"
    elif isinstance(given, Tensor) and given.ndim == 2:
        sources = [_held(row, f"row {number} of the tokens", config, strand) for number, row in enumerate(given)]
        form = "rows"
    else:
        sources, form = [_held(given, "the sequence", config, strand)], "one"
    if not sources:
        raise ConfigError("no sequence was given; give one at least")
    for number, source in enumerate(sources):
        if not len(source) and not may_be_empty:
            raise ConfigError(
                f"{'the sequence' if form == 'one' else f'sequence {number}'} is empty; give a base of it"
            )
    return sources, form


def pieces_of(source: Source, size: int) -> Iterator[Tensor]:
    """Give the tokens of a sequence in pieces (1, at most `size`), int64, left to right."""
    for start in range(0, len(source), size):
        yield source.tokens(start, min(start + size, len(source)))


def _held(given: Any, what: str, config: ModelConfig, strand: Strand) -> Held:
    alphabet = get_alphabet(config.alphabet)
    small = next(dtype for dtype in _ID_DTYPES if config.vocab_size - 1 <= torch.iinfo(dtype).max)
    if isinstance(given, str | bytes):
        try:
            token_of_symbol = torch.from_numpy(alphabet.token_of_symbol).to(small).numpy()
            ids = torch.from_numpy(token_of_symbol[alphabet.symbols(given)])
        except DataError as error:
            raise DataError(f"{what}: {error}") from None
    elif isinstance(given, Tensor):
        ids = _checked(given, what, alphabet.used_ids or config.vocab_size).to(small)
    else:
        raise ConfigError(
            f"{what} is of type {type(given).__name__}; give text, a list of texts, a tensor of token ids, "
            "or a tuple (fasta, regions)"
        )
    return Held(ids, alphabet, strand)


def _checked(ids: Tensor, what: str, count: int) -> Tensor:
    if ids.ndim != 1 or ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ConfigError(
            f"{what} is a tensor {tuple(ids.shape)} of {ids.dtype}; token ids are whole numbers, (length,) or "
            "(batch, length)"
        )
    # Of other unsigned ones torch knows no smallest.
    ids = ids.detach().to(ids.dtype if ids.dtype in (torch.uint8, torch.int64) else torch.int64)
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < count:
        wrong = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
        raise ConfigError(f"{what} holds the id {wrong}; those of the model's alphabet lie between 0 and {count - 1}")
    return ids


def _of_genome(given: tuple[Any, ...], config: ModelConfig, strand: Strand) -> tuple[list[Source], Form]:
    if len(given) != 2:
        raise ConfigError(f"a tuple of {len(given)} was given; a tuple is (fasta, regions), and sequences go in a list")
    fasta, regions = given
    alphabet = get_alphabet(config.alphabet)
    if isinstance(fasta, Genome):
        genome = fasta
        if genome.alphabet is not alphabet:
            raise ConfigError(f"the genome was opened with {genome.alphabet.name}, and the model has {alphabet.name}")
    elif isinstance(fasta, str | Path):
        genome = _open(fasta, alphabet)
    else:
        raise ConfigError(f"the FASTA is of type {type(fasta).__name__}; give its path, or an open Genome")
    if isinstance(regions, Path) or (isinstance(regions, str) and regions.lower().endswith(_BED)):
        found, form = read_intervals(regions, genome), "many"
    elif isinstance(regions, list):
        found, form = [_interval(genome, one) for one in regions], "many"
    else:
        found, form = [_interval(genome, regions)], "one"
    return [Reading(genome, interval, strand) for interval in found], "one" if form == "one" else "many"


def _open(fasta: str | Path, alphabet: Alphabet) -> Genome:
    try:
        # Nobody who names a region wants it left out for its contig.
        return Genome.open([fasta], alphabet, contigs=["*"])
    except DataError as error:
        if Path(fasta).exists():
            raise
        raise DataError(f"{error} (a tuple is (fasta, regions); sequences go in a list)") from None


def _interval(genome: Genome, region: Any) -> Interval:
    if isinstance(region, str):
        return genome.interval(region)
    if not isinstance(region, Interval):
        raise ConfigError(
            f"a region is of type {type(region).__name__}; give chr1:1,001-2,000, an Interval, a list of them, or a BED"
        )
    contig = genome.resolve(region.contig)
    if not region.start < region.end <= genome.length(contig):
        raise DataError(f"{region}: {contig} has {genome.length(contig):,} bases; stay within it")
    return Interval(contig, region.start, region.end)
