"""The same held-out bases, scored with more and more of what lies around them.

What is scored are blocks of bases, drawn once. Of a causal model, context c means that a block is read behind exactly c
bases of its contig: its first base is predicted from c bases, its last from c + size - 1. Of a masked model, it means a
window of c bases with the block in its middle; bases of the block are masked by a draw that no context changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genomamba.coordinates import Interval
from genomamba.data.classes import RegionClasses
from genomamba.data.draws import derive_key, permute, sample_generator
from genomamba.data.genome import Genome
from genomamba.errors import DataError, RunError
from genomamba.model import LanguageModel
from genomamba.model.streaming import stream, token_log_likelihood
from genomamba.score.likelihood import log_likelihoods
from genomamba.score.partial import Partial, Sums
from genomamba.score.reading import Reading
from genomamba.train.objective import mask_tokens

__all__ = ["Costs", "Targets", "Window", "draw_targets", "parts_of", "score_contexts"]

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
    by_class : dict of str to Costs
        What the bases of each class cost, in the order of the classes; those without a scored base are left out.
    """

    contexts: tuple[int, ...]
    bits: Float64Array
    bases: npt.NDArray[np.int64]
    by_class: dict[str, Costs] = field(default_factory=dict)


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


def parts_of(blocks: int, windows: Sequence[Window], chunk: int) -> Iterator[tuple[int, slice]]:
    """Give, for each part, the number of its window and the blocks that are scored in it together.

    Parameters
    ----------
    blocks : int
        How many there are.
    windows, chunk
        As of `score_contexts`.
    """
    for row, window in enumerate(windows):
        together = max(1, chunk // len(window))
        for first in range(0, blocks, together):
            yield row, slice(first, min(first + together, blocks))


def score_contexts(
    model: LanguageModel,
    genome: Genome,
    blocks: Sequence[Interval],
    windows: Sequence[Window],
    *,
    chunk: int,
    seed: int = 0,
    spill: Path | None = None,
    classes: RegionClasses | None = None,
    partial: Partial | None = None,
    after_part: Callable[[int], None] = lambda _: None,
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
    classes : RegionClasses, optional
        Classes of bases that are told apart.
    partial : Partial, optional
        Holds the parts that are done, which are not scored again, and gets the others. A part is as many blocks, in one
        of the windows, as `chunk` has room for; of each block it holds the sums of all bases, then those of each class.
    after_part : callable, optional
        Called with the bases that a part has read, as it is done here.

    Raises
    ------
    RunError
        Where the model's numbers are not finite, and where `partial` cannot be written.
    """
    names = () if classes is None else classes.names
    bits = np.zeros((1 + len(names), len(windows), len(blocks)))
    bases = np.zeros((1 + len(names), len(blocks)), np.int64)
    for part, (row, some) in enumerate(parts_of(len(blocks), windows, chunk)):
        window = windows[row]
        if partial is not None and part in partial.done:
            sums = partial.done[part]
        else:
            each = (
                _causal(model, genome, blocks[some], window, chunk)
                if window.causal
                else _masked(model, genome, blocks[some], some.start, window, chunk, seed, spill)
            )
            sums = [one for block, of in zip(blocks[some], each, strict=True) for one in _sums(block, of, classes)]
            if partial is not None:
                partial.finish(part, sums)
            after_part((some.stop - some.start) * len(window))
        bits[:, row, some] = -np.array([one.bits for one in sums]).reshape(-1, len(bits)).T
        bases[:, some] = np.array([one.scored for one in sums]).reshape(-1, len(bits)).T
    contexts = tuple(window.context for window in windows)
    by_class = {
        name: Costs(contexts, own, scored) for name, own, scored in zip(names, bits[1:], bases[1:], strict=True)
    }
    return Costs(contexts, bits[0], bases[0], {name: one for name, one in by_class.items() if one.bases.any()})


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


def _sums(block: Interval, bits: Float64Array, classes: RegionClasses | None) -> list[Sums]:
    """Return the sums of a block, then those of its bases of each class; a base whose bits are NaN is not scored."""
    is_scored = ~np.isnan(bits)
    whole = Sums(int(is_scored.sum()), float(bits[is_scored].sum()))
    if classes is None:
        return [whole]
    of_base = classes.of(block)
    if of_base is None:
        return [whole, *(Sums() for _ in classes.names)]
    count = len(classes.names)
    sums = np.bincount(of_base[is_scored], bits[is_scored], count).tolist()
    scored = np.bincount(of_base[is_scored], minlength=count).tolist()
    return [whole, *map(Sums, scored, sums)]


def _causal(
    model: LanguageModel, genome: Genome, blocks: Sequence[Interval], window: Window, chunk: int
) -> list[Float64Array]:
    """Return the log-likelihood of each base of each block."""
    bits = {block: np.zeros(window.size) for block in blocks}
    readings = (Reading(genome, block, lead=window.left) for block in blocks)
    for scores in log_likelihoods(model, readings, chunk=chunk):
        at = scores.start - scores.reading.interval.start
        bits[scores.reading.interval][at : at + scores.bits.size] = scores.bits
    return list(bits.values())


def _masked(
    model: LanguageModel,
    genome: Genome,
    blocks: Sequence[Interval],
    first: int,
    window: Window,
    chunk: int,
    seed: int,
    spill: Path | None,
) -> list[Float64Array]:
    """Return the log-likelihood of each base of each block, NaN where it is not masked.

    `first` numbers the blocks, for the draw of the masks.
    """
    alphabet, inside = genome.alphabet, slice(window.left, window.left + window.size)
    around = map(window.around, blocks)
    read = np.stack([alphabet.token_of_symbol[genome.fetch(one.contig, one.start, one.end)] for one in around])
    targets = torch.from_numpy(read[:, inside].copy())
    chosen = torch.from_numpy(
        np.stack(
            [
                mask_tokens(row[inside], alphabet, sample_generator(seed, number, "evaluation mask"))
                for number, row in enumerate(read, first)
            ]
        )
    )
    logits = _logits_inside(model, torch.from_numpy(read), inside, max(1, chunk // len(blocks)), spill)
    bits = token_log_likelihood(logits.cpu(), targets, alphabet).double() / np.log(2)
    is_bad = (chosen & ~torch.isfinite(bits)).any(1)
    if is_bad.any():
        block = blocks[int(is_bad.nonzero()[0])]
        raise RunError(f"{block}: the model's log-likelihoods are not finite; are its weights whole?")
    return list(torch.where(chosen, bits, torch.nan).numpy())


def _logits_inside(model: LanguageModel, tokens: Tensor, inside: slice, chunk: int, spill: Path | None) -> Tensor:
    """Return the logits of some positions, (batch, positions, vocab_size), of windows that are read whole."""
    kept, at = [], 0
    for piece in stream(model, tokens, output="logits", chunk=chunk, spill=spill):
        kept.append(piece[:, max(0, inside.start - at) : max(0, inside.stop - at)])
        at += piece.shape[1]
    return torch.cat(kept, dim=1)
