"""Held-out bits per base.

Causal models: every held-out base is scored once. Windows of `context` bases overlap by half; the first of a stretch
is scored whole, of the others the right half, so that a base has between half a context and a whole one to its left,
less only at the start of its stretch. Masked models: windows side by side, 15 % of the bases masked by a fixed draw;
their figure is of another kind and never stands beside next-base figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from genomamba.coordinates import Interval
from genomamba.data.classes import RegionClasses
from genomamba.data.genome import Genome
from genomamba.data.stream import sample_generator
from genomamba.data.windows import Tile, tile
from genomamba.model import LanguageModel
from genomamba.train.distributed import Ranks
from genomamba.train.objective import mask_tokens, shift_right
from genomamba.train.step import losses_of

__all__ = ["BLOCKS", "Scored", "Scorer", "by_genome", "total"]

BLOCKS: Final = 50
"""Into which the windows are cut, in their order: what a base costs is alike over far more than a window."""


@dataclass(slots=True)
class Scored:
    """Sum of negative log-likelihoods, in nats, and the bases it is over; and of these, those of each region class.

    `by_block` has the same two sums of each block of neighbouring windows, which are drawn anew for an interval.
    """

    nats: float = 0.0
    bases: int = 0
    by_class: dict[str, Scored] = field(default_factory=dict)
    by_block: dict[int, tuple[float, int]] = field(default_factory=dict)

    def add(self, other: Scored, block: int | None = None) -> None:
        """Add what was scored elsewhere; of a window, name the block that it belongs to."""
        self.nats += other.nats
        self.bases += other.bases
        for name, one in other.by_class.items():
            self.by_class.setdefault(name, Scored()).add(one, block)
        blocks = other.by_block if block is None else {block: (other.nats, other.bases)}
        for number, (nats, bases) in blocks.items():
            before = self.by_block.get(number, (0.0, 0))
            self.by_block[number] = (before[0] + nats, before[1] + bases)


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores stretches of a genome with a model, in float32 whatever precision it is trained in.

    Attributes
    ----------
    genome : Genome
        Where the bases come from.
    objective : str
        next_token or masked.
    context, batch_size : int
        Bases of a window, windows a forward pass.
    seed : int
        Of the masks of a masked model.
    species : mapping of str to int
        Token of the species of each contig, where the model is told.
    classes : RegionClasses, optional
        Classes of bases that are told apart.
    ranks : Ranks
        Among which the batches are divided; each has the sums of all.
    """

    genome: Genome
    objective: str
    context: int
    batch_size: int
    seed: int
    species: Mapping[str, int] = field(default_factory=dict)
    classes: RegionClasses | None = None
    ranks: Ranks = field(default_factory=Ranks)

    def __call__(
        self,
        model: LanguageModel,
        intervals: Sequence[Interval],
        *,
        max_bases: int | None = None,
        after_batch: Callable[[float], None] | None = None,
    ) -> dict[str, Scored]:
        """Score the bases of `intervals`, by contig.

        Parameters
        ----------
        model : LanguageModel
            Put in evaluation mode while it runs.
        intervals : sequence of Interval
            Stretches to score.
        max_bases : int, optional
            Score about so many bases only, in windows spread evenly.
        after_batch : callable, optional
            Called with the share done, 0 to 1, after each batch, or by all ranks after each has done one; may raise
            to stop.
        """
        stride = max(1, self.context // 2) if self.objective == "next_token" else self.context
        tiles = _spread(tile(intervals, self.context, stride), max_bases)
        was_training = model.training
        model.eval()
        scored = {interval.contig: self._nothing(interval.contig) for interval in intervals}
        at_once = self.batch_size * self.ranks.size
        for turn in range(0, len(tiles), at_once):
            first = turn + self.ranks.rank * self.batch_size
            if batch := tiles[first : first + self.batch_size]:
                self._score(model, batch, range(first, len(tiles)), scored)
            if after_batch is not None:
                after_batch(min(1.0, (turn + at_once) / len(tiles)))
        model.train(was_training)
        return self._sum_over_ranks(scored)

    def _score(self, model: LanguageModel, batch: Sequence[Tile], left: range, scored: dict[str, Scored]) -> None:
        """Add what the windows of a batch give to the sums; `left` are their numbers and all that follow."""
        device = next(model.parameters()).device
        inputs, targets, counted = (x.to(device) for x in self._load(batch, left.start))
        losses = losses_of(model, inputs, targets)
        nats = torch.where(counted, losses.double(), 0.0).sum(1).tolist()
        bases = counted.sum(1).tolist()
        sums = zip(nats, bases, self._by_class(batch, losses, counted), strict=True)
        for number, part, own in zip(left, batch, sums, strict=False):
            scored[part.window.contig].add(Scored(*own), number * BLOCKS // left.stop)

    def _sum_over_ranks(self, scored: dict[str, Scored]) -> dict[str, Scored]:
        if self.ranks.size == 1:
            return scored
        sums = {contig: self._nothing(contig) for contig in scored}
        for other in self.ranks.gather_values(scored):
            for contig, one in other.items():
                sums[contig].add(one)
        return sums

    def _nothing(self, contig: str) -> Scored:
        """Return sums of no base, with all classes in their order where those of the contig's bases are known."""
        names = self.classes.names if self.classes is not None and contig in self.classes.runs else ()
        return Scored(by_class={name: Scored() for name in names})

    def _by_class(self, tiles: Sequence[Tile], losses: Tensor, counted: Tensor) -> list[dict[str, Scored]]:
        """Return, for each window, what its bases of each class cost."""
        if self.classes is None:
            return [{} for _ in tiles]
        names, nats, is_counted = self.classes.names, losses.double().cpu().numpy(), counted.cpu().numpy()
        found: list[dict[str, Scored]] = []
        for row, part in enumerate(tiles):
            classes = self.classes.of(part.window)
            found.append({})
            if classes is None:
                continue
            inside = is_counted[row, : len(part.window)]
            sums = np.bincount(classes[inside], nats[row, : len(part.window)][inside], len(names)).tolist()
            bases = np.bincount(classes[inside], minlength=len(names)).tolist()
            found[-1] = {name: Scored(*both) for name, *both in zip(names, sums, bases, strict=True) if both[1]}
        return found

    def _load(self, tiles: Sequence[Tile], first: int) -> Iterator[Tensor]:
        alphabet = self.genome.alphabet
        length = max(len(part.window) for part in tiles)
        targets = np.full((len(tiles), length), alphabet.unknown, np.int64)
        counted = np.zeros((len(tiles), length), np.bool_)
        for row, part in enumerate(tiles):
            window, scored = part.window, part.scored
            symbols = self.genome.fetch(window.contig, window.start, window.end)
            targets[row, : len(window)] = alphabet.token_of_symbol[symbols]
            counted[row, scored.start - window.start : scored.end - window.start] = True
        counted &= alphabet.is_target_token[targets]
        if self.objective == "next_token":
            inputs = shift_right(targets, alphabet)
        else:
            inputs = targets.copy()
            for row in range(len(tiles)):
                generator = sample_generator(self.seed, first + row, "evaluation mask")
                counted[row] &= mask_tokens(inputs[row], alphabet, generator)
        for row, part in enumerate(tiles):
            if (token := self.species.get(part.window.contig)) is not None:
                inputs[row, 0] = token
                # A masked model reads it in place of the first base.
                counted[row, 0] &= self.objective == "next_token"
        return map(torch.from_numpy, (inputs, targets, counted))


def total(scored: Mapping[str, Scored]) -> Scored:
    """Sum over contigs."""
    whole = Scored()
    for one in scored.values():
        whole.add(one)
    return whole


def by_genome(scored: Mapping[str, Scored]) -> dict[str, Scored]:
    """Sum over the contigs of each genome, GENOME/CONTIG; genomes without a scored base are left out."""
    names = dict.fromkeys(contig.split("/", 1)[0] for contig in scored)
    sums = {
        name: total({contig: one for contig, one in scored.items() if contig.split("/", 1)[0] == name})
        for name in names
    }
    return {name: one for name, one in sums.items() if one.bases}


def _spread(tiles: list[Tile], max_bases: int | None) -> list[Tile]:
    if max_bases is None:
        return tiles
    bases = sum(len(part.scored) for part in tiles)
    count = max(1, round(len(tiles) * min(1.0, max_bases / max(bases, 1))))
    return [tiles[i] for i in np.linspace(0, len(tiles) - 1, count).round().astype(int)]
