"""The same held-out bases, scored with more and more of what lies around them.

What is scored are blocks of bases, drawn once. Of a causal model, context c means that a block is read behind exactly c
bases of its contig: its first base is predicted from c bases, its last from c + size - 1. Of a masked model, it means a
window of c bases with the block in its middle; bases of the block are masked by a draw that no context changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genomamba.coordinates import Interval
from genomamba.data.draws import derive_key, permute, sample_generator
from genomamba.data.genome import Genome
from genomamba.errors import DataError, RunError
from genomamba.model import LanguageModel
from genomamba.model.streaming import stream, token_log_likelihood
from genomamba.score.likelihood import log_likelihoods
from genomamba.score.reading import Reading
from genomamba.train.objective import mask_tokens

__all__ = ["Costs", "Targets", "Window", "draw_targets", "score_contexts"]

Float64Array = npt.NDArray[np.float64]

MOST_N = 0.2


@dataclass(frozen=True, slots=True)
class Window:
    """What a model sees of a block's neighbourhood.

    Attributes
    ----------
    context : int
        See the module's text.
    size : int
        Bases of a block.
    causal : bool
        Whether the model reads what comes before the block alone.
    """

    context: int
    size: int
    causal: bool

    @property
    def left(self) -> int:
        """Bases before the block."""
        return self.context if self.causal else (self.context - self.size) // 2

    @property
    def right(self) -> int:
        """Bases behind the block."""
        return 0 if self.causal else self.context - self.size - self.left

    def __len__(self) -> int:
        return self.left + self.size + self.right

    def around(self, block: Interval) -> Interval:
        """Return the bases that are read for a block."""
        return Interval(block.contig, block.start - self.left, block.end + self.right)


@dataclass(frozen=True, slots=True)
class Targets:
    """Blocks to be scored with every context.

    Attributes
    ----------
    blocks : tuple of Interval
        Blocks of one size, in the order of the genome.
    bases, usable : int
        Bases that they could have come from, and those of them that have the largest context around them.
    """

    blocks: tuple[Interval, ...]
    bases: int
    usable: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What each block costs with each context.

    Attributes
    ----------
    contexts : tuple of int
        Ascending.
    bits : (contexts, blocks), float64
        Sum over the scored bases of a block, 0 or above.
    bases : (blocks,), int64
        Scored bases of each block, the same with every context.
    """

    contexts: tuple[int, ...]
    bits: Float64Array
    bases: npt.NDArray[np.int64]


def draw_targets(genome: Genome, stretches: Sequence[Interval], window: Window, count: int, seed: int) -> Targets:
    """Draw blocks that every context up to that of `window` can be read around.

    Each stretch, as far as the window stays on the contig, is cut into blocks end to end. They are taken in an order
    drawn by the seed; one with an N in it, or with more than a fifth of N in its window, is passed over.

    Parameters
    ----------
    genome : Genome
        Where the bases come from.
    stretches : sequence of Interval
        Bases that may be scored; what is read around them may lie outside.
    window : Window
        Of the largest context.
    count : int
        Most blocks.

    Raises
    ------
    DataError
        Where there is no such block.
    """
    usable = [one for one in (_within_reach(genome, stretch, window) for stretch in stretches) if len(one)]
    ends = np.cumsum([0, *(len(one) // window.size for one in usable)])
    total, key = int(ends[-1]), derive_key(seed, "blocks")
    blocks: list[Interval] = []
    for position in range(total):
        number = permute(position, total, key)
        of = int(np.searchsorted(ends, number, side="right")) - 1
        start = usable[of].start + (number - int(ends[of])) * window.size
        block = Interval(usable[of].contig, start, start + window.size)
        if _is_known(genome, block, 0.0) and _is_known(genome, window.around(block), MOST_N):
            blocks.append(block)
        if len(blocks) == count:
            break
    if not blocks:
        raise DataError(_no_room(genome, stretches, window, total))
    order = {contig.name: number for number, contig in enumerate(genome.contigs)}
    blocks.sort(key=lambda block: (order[block.contig], block.start))
    return Targets(tuple(blocks), sum(map(len, stretches)), sum(map(len, usable)))


def score_contexts(
    model: LanguageModel,
    genome: Genome,
    blocks: Sequence[Interval],
    windows: Sequence[Window],
    *,
    chunk: int,
    seed: int = 0,
    spill: Path | None = None,
    after_block: Callable[[int], None] = lambda _: None,
) -> Costs:
    """Score the same blocks in each of the windows.

    Parameters
    ----------
    model : LanguageModel
        In evaluation mode, of the kind that the windows are for.
    genome : Genome
        Where the bases come from.
    blocks : sequence of Interval
        As `draw_targets` gives them for the largest of the windows.
    windows : sequence of Window
        Ascending by context.
    chunk : int
        Bases of a forward pass. Memory does not grow with the context of a causal model; a masked one holds two
        residual streams of its window, in memory or below `spill`.
    seed : int
        Of the masks.
    after_block : callable, optional
        Called with the bases read for each block, as it is done.

    Raises
    ------
    RunError
        Where the model's numbers are not finite.
    """
    rows, bases = [], np.zeros(len(blocks), np.int64)
    for window in windows:
        row = np.zeros(len(blocks))
        done = (
            _causal(model, genome, blocks, window, chunk)
            if window.causal
            else _masked(model, genome, blocks, window, chunk, seed, spill)
        )
        for number, bits, scored in done:
            if not np.isfinite(bits):
                raise RunError(f"{blocks[number]}: the model's log-likelihoods are not finite; are its weights whole?")
            row[number], bases[number] = bits, scored
            after_block(len(window))
        rows.append(row)
    return Costs(tuple(window.context for window in windows), np.stack(rows), bases)


def _within_reach(genome: Genome, stretch: Interval, window: Window) -> Interval:
    """Return the part of a stretch whose blocks have the window around them on their contig."""
    start = max(stretch.start, window.left)
    end = min(stretch.end, genome.length(stretch.contig) - window.right)
    return Interval(stretch.contig, start, max(start, end))


def _is_known(genome: Genome, interval: Interval, most_n: float) -> bool:
    """Whether at most so large a share of the bases is none that a model predicts."""
    alphabet = genome.alphabet
    tokens = alphabet.token_of_symbol[genome.fetch(interval.contig, interval.start, interval.end)]
    return int(np.count_nonzero(~alphabet.is_target_token[tokens])) <= most_n * len(interval)


def _no_room(genome: Genome, stretches: Sequence[Interval], window: Window, blocks: int) -> str:
    if blocks:
        return (
            f"all {blocks:,} blocks of {window.size:,} bases that have {window.context:,} bases of context hold N; "
            "give smaller --contexts, or other bases by --region or --bed"
        )
    longest = max((genome.length(stretch.contig) for stretch in stretches), default=0)
    where = "before it" if window.causal else "around it"
    return (
        f"no block of {window.size:,} bases has {window.context:,} bases of context {where} on its contig (the longest "
        f"contig has {longest:,}); give smaller --contexts, or other bases by --region or --bed"
    )


def _causal(
    model: LanguageModel, genome: Genome, blocks: Sequence[Interval], window: Window, chunk: int
) -> Iterator[tuple[int, float, int]]:
    """Give number, cost and scored bases of each block, in turn."""
    numbers = {block: number for number, block in enumerate(blocks)}
    bits, left = 0.0, window.size
    readings = (Reading(genome, block, lead=window.left) for block in blocks)
    for scores in log_likelihoods(model, readings, chunk=chunk):
        bits -= float(scores.bits.sum(dtype=np.float64))
        left -= scores.bits.size
        if not left:
            yield numbers[scores.reading.interval], bits, window.size
            bits, left = 0.0, window.size


def _masked(
    model: LanguageModel,
    genome: Genome,
    blocks: Sequence[Interval],
    window: Window,
    chunk: int,
    seed: int,
    spill: Path | None,
) -> Iterator[tuple[int, float, int]]:
    """Give number, cost and masked bases of each block, in turn."""
    alphabet, together = genome.alphabet, max(1, chunk // len(window))
    inside = slice(window.left, window.left + window.size)
    for first in range(0, len(blocks), together):
        numbers = range(first, min(first + together, len(blocks)))
        around = [window.around(blocks[number]) for number in numbers]
        read = np.stack([alphabet.token_of_symbol[genome.fetch(one.contig, one.start, one.end)] for one in around])
        targets = torch.from_numpy(read[:, inside].copy())
        chosen = torch.from_numpy(
            np.stack(
                [
                    mask_tokens(row[inside], alphabet, sample_generator(seed, number, "evaluation mask"))
                    for number, row in zip(numbers, read, strict=True)
                ]
            )
        )
        logits = _logits_inside(model, torch.from_numpy(read), inside, max(1, chunk // len(numbers)), spill)
        bits = -token_log_likelihood(logits.cpu(), targets, alphabet).double() / np.log(2)
        costs = torch.where(chosen, bits, 0.0).sum(1).tolist()
        yield from zip(numbers, costs, chosen.sum(1).tolist(), strict=True)


def _logits_inside(model: LanguageModel, tokens: Tensor, inside: slice, chunk: int, spill: Path | None) -> Tensor:
    """Return the logits of some positions, (batch, positions, vocab_size), of windows that are read whole."""
    kept, at = [], 0
    for piece in stream(model, tokens, output="logits", chunk=chunk, spill=spill):
        kept.append(piece[:, max(0, inside.start - at) : max(0, inside.stop - at)])
        at += piece.shape[1]
    return torch.cat(kept, dim=1)
