"""Consecutive windows by lanes, for training that carries a state from window to window.

Sample i belongs to lane i % lanes and is its window number i // lanes. In an epoch the regions come in an order of
their own, and the windows of each, end to end, in the order of the bases; this row is turned by a drawn number of
windows and cut into one run of equal length a lane; fewer windows than there are lanes are left over and wait for
another epoch. Each run is read on one strand, drawn: on the other one from its last window to its first. A window
follows on where the one before it in its lane is its neighbour; at the start of a run and of a region, the state begins
anew.

Windows of many N are not drawn again, as this would break the row; N is never a target.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import Literal

from genomamba.coordinates import Interval
from genomamba.data.draws import derive_key, mix, permute
from genomamba.data.genome import Genome
from genomamba.data.stream import Sample, SampleStream, window_start, windows_of
from genomamba.errors import ConfigError

__all__ = ["LaneStream"]


class LaneStream(SampleStream):
    """Samples by number, without end; the module's text says which.

    Parameters
    ----------
    genome, regions, context, seed, strand, softmask_weight
        As of `SampleStream`.
    lanes : int
        Windows of a step, 1 or more.

    Raises
    ------
    ConfigError
        Where there are fewer windows than lanes, or as `SampleStream` says.
    """

    def __init__(
        self,
        genome: Genome,
        regions: Sequence[Interval],
        *,
        context: int,
        seed: int,
        lanes: int,
        strand: Literal["random", "forward"] = "random",
        softmask_weight: float = 1.0,
    ) -> None:
        super().__init__(
            genome, regions, context=context, seed=seed, strand=strand, softmask_weight=softmask_weight
        )  # fmt: skip
        self.lanes = lanes
        self.turns = self.windows_per_epoch // lanes
        if not self.turns:
            raise ConfigError(
                f"--carry-state reads {lanes} lanes, and the training part has {self.windows_per_epoch} windows of "
                f"{context:,} bases; lower --batch-size, --accumulate or --context"
            )
        names = ("lane regions", "lane turn", "lane strand")
        self._region_order, self._shift, self._lane_strand = (derive_key(seed, name) for name in names)
        self._rows = lru_cache(maxsize=4)(self._row)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_rows"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._rows = lru_cache(maxsize=4)(self._row)

    def __getitem__(self, index: int) -> Sample:
        """Return sample `index`; `before` is the token that the one before it in its lane ended with."""
        interval = self.interval(index)
        is_reverse = self._is_reverse(index)
        symbols = self.genome.fetch(interval.contig, interval.start, interval.end)
        sample = self.make_sample(index, interval, symbols, is_reverse=is_reverse)
        return replace(sample, before=self._before(interval, is_reverse)) if self.continues(index) else sample

    def continues(self, index: int) -> bool:
        """Whether a sample's window follows on the one that its lane read before it."""
        if (index // self.lanes) % self.turns == 0:
            return False
        here, before = self.interval(index), self.interval(index - self.lanes)
        neighbours = (here, before) if self._is_reverse(index) else (before, here)
        return neighbours[0].contig == neighbours[1].contig and neighbours[0].end == neighbours[1].start

    def interval(self, index: int, attempt: int = 0) -> Interval:
        """Return the window of a sample; there is one attempt."""
        assert attempt == 0
        turn, lane = divmod(index, self.lanes)
        epoch, place = divmod(turn, self.turns)
        if self._is_reverse(index):
            place = self.turns - 1 - place
        order, ends = self._rows(epoch)
        shift = mix(self._shift ^ mix(epoch)) % self.windows_per_epoch
        window = (shift + lane * self.turns + place) % self.windows_per_epoch
        at = bisect_right(ends, window)
        number = order[at]
        region = self.regions[number]
        draw = mix(mix(self._offset ^ mix(epoch)) + number)
        start = window_start(window - (ends[at - 1] if at else 0), len(region), self.context, draw)
        return Interval(region.contig, region.start + start, min(region.start + start + self.context, region.end))

    def _row(self, epoch: int) -> tuple[list[int], list[int]]:
        """Return the order of the regions in an epoch, and where the windows of each end in their row."""
        key = mix(self._region_order ^ mix(epoch))
        order = [permute(place, len(self.regions), key) for place in range(len(self.regions))]
        return order, list(accumulate(windows_of(len(self.regions[number]), self.context) for number in order))

    def _is_reverse(self, index: int) -> bool:
        turn, lane = divmod(index, self.lanes)
        draw = mix(mix(self._lane_strand ^ mix(turn // self.turns)) + lane)
        return self.strand == "random" and bool(draw & 1)

    def _before(self, interval: Interval, is_reverse: bool) -> int:
        alphabet, at = self.genome.alphabet, interval.end if is_reverse else interval.start - 1
        tokens = alphabet.token_of_symbol[self.genome.fetch(interval.contig, at, at + 1)]
        return int((alphabet.reverse_complement(tokens) if is_reverse else tokens)[0])
