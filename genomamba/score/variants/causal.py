"""Log-likelihood ratios of variants under a causal model, alleles sharing the state of what comes before them.

What a variant is scored in depends on its position alone (see `grid`), so that its score does not depend on the other
variants, nor on how they are divided among runs.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch

from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, DataError
from genomamba.model import LanguageModel
from genomamba.model.process import side_by_side
from genomamba.score.reading import Strand
from genomamba.score.variants.blocks import Block, Site
from genomamba.score.variants.grid import PIECE, Grid
from genomamba.score.variants.haplotype import StrandOfContig
from genomamba.score.variants.lanes import Float64Array, Lanes
from genomamba.score.variants.schedule import Schedule
from genomamba.score.variants.status import Status, status_of

__all__ = ["CausalScore", "CausalSettings", "default_batch_size", "measure_tail", "score_causal"]

_NUMBERS_A_TENSOR: Final = 1 << 20
_ROUND: Final = 16
_TAIL: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class CausalSettings:
    """What a score depends on beside the model, the genome and the variant, and what it does not depend on."""

    context: int | None
    """Most bases to the left of a variant, even: it has half as many or more, or all there are. None: all there are."""
    horizon: int = 2048
    """Bases from the variant on that are compared."""
    strands: tuple[Strand, ...] = ("+", "-")
    """Strands whose scores are averaged."""
    keep_mismatches: bool = False
    """Score variants whose REF is not what the genome has, too: as many bases of the genome give way to ALT."""
    batch_size: int | None = None
    """Sequences that go through the model at once. Default: `default_batch_size`."""

    def __post_init__(self) -> None:
        if self.context is not None and (self.context < 2 or self.context % 2):
            raise ConfigError(f"--context is {self.context}; it must be an even number of bases, such as 131072")
        if self.horizon < 2:
            raise ConfigError(f"--horizon is {self.horizon}; it must be 2 bases or more, such as 2048")
        if self.batch_size is not None and self.batch_size < 1:
            raise ConfigError(f"--batch-size is {self.batch_size}; it must be 1 or more, such as 16")
        if not self.strands or len(set(self.strands)) != len(self.strands) or not {"+", "-"}.issuperset(self.strands):
            raise ConfigError(f"--strand is {' '.join(self.strands)!r}; it must be +, - or both")

    @property
    def longest(self) -> int:
        """Bases that an allele may have."""
        return self.horizon // 2


@dataclass(frozen=True, slots=True)
class CausalScore:
    """What a causal model says of a variant.

    Attributes
    ----------
    variant : Variant
        As it was given.
    status : Status
        Why it is not scored, or OK.
    llr : float
        Log-likelihood of the alternative haplotype minus that of the reference, in nats, over as many bases of each
        from the variant on; the mean over the strands, NaN where it is not scored.
    llr_length_corrected : float
        The same, but both haplotypes end with the same base of the reference, and each base that the alternative has
        more is taken to cost what a base of the reference costs on average. `llr` where both have the same length.
    """

    variant: Variant
    status: Status
    llr: float
    llr_length_corrected: float


@dataclass(slots=True, eq=False)
class _Record:
    """A variant whose score is on its way."""

    variant: Variant
    status: Status
    strands: int
    awaited: int
    llr: float = 0.0
    corrected: float = 0.0

    def add(self, llr: float, corrected: float) -> None:
        self.llr, self.corrected, self.awaited = self.llr + llr, self.corrected + corrected, self.awaited - 1

    def score(self) -> CausalScore:
        if not self.strands:
            return CausalScore(self.variant, self.status, math.nan, math.nan)
        return CausalScore(self.variant, self.status, self.llr / self.strands, self.corrected / self.strands)


def default_batch_size(model: LanguageModel) -> int:
    """Return so many sequences that the largest tensors of a pass take 4 MiB: larger ones are no faster on a CPU."""
    return min(64, max(4, _NUMBERS_A_TENSOR // (model.config.d_inner * PIECE)))


def score_causal(
    model: LanguageModel, genome: Genome, contig: str, variants: Iterable[Variant], settings: CausalSettings
) -> Iterator[CausalScore]:
    """Score the variants of one contig, in their order.

    Numbers are those of the model's dtype, summed in float64. On a CPU, as many threads as torch has work at different
    sequences; no number depends on how many there are.

    Parameters
    ----------
    model : LanguageModel
        Causal, in evaluation mode.
    genome : Genome
        Of the model's alphabet.
    contig : str
        Name in the FASTA; that of the variants is not looked at.
    variants : iterable of Variant
        By ascending start. They are read as far ahead as keeps the lanes full.
    settings : CausalSettings
        Of the definition and of the work.

    Yields
    ------
    CausalScore
        One a variant.

    Raises
    ------
    ConfigError
        For a model that is not causal, and for the minus strand of an alphabet without complement.
    DataError
        Where a variant starts before the one before it.
    RunError
        Where what the model says of a base is not finite.
    """
    if "-" in settings.strands and not genome.alphabet.has_complement:
        raise ConfigError(f"--strand is -; the {genome.alphabet.name} alphabet has one strand alone, +")
    lanes = Lanes(model, settings.batch_size or default_batch_size(model))
    return _scores(lanes, _Source(lanes, genome, contig, variants, settings))


def measure_tail(
    model: LanguageModel,
    genome: Genome,
    contig: str,
    scores: Sequence[CausalScore],
    settings: CausalSettings,
) -> Float64Array:
    """Measure what lies beyond the horizon: by how much scores change where four times as many bases are compared.

    Parameters
    ----------
    model, genome, contig, settings
        As `score_causal` had them.
    scores : sequence of CausalScore
        A sample of what it gave, in its order.

    Returns
    -------
    differences : (scored,), float64
        Absolute differences of `llr`, in nats, of those that are scored.
    """
    scored = [one for one in scores if not math.isnan(one.llr)]
    farther = dataclasses.replace(settings, horizon=_TAIL * settings.horizon)
    again = score_causal(model, genome, contig, [one.variant for one in scored], farther)
    return np.array([abs(far.llr - near.llr) for near, far in zip(scored, again, strict=True)])


def _scores(lanes: Lanes, source: _Source) -> Iterator[CausalScore]:
    threads = torch.get_num_threads() if lanes.device.type == "cpu" else 1
    schedule = Schedule(lanes, source.blocks(), threads)
    records = source.records
    with side_by_side(threads) as on_each:
        more = True
        while more:
            more = any(on_each(partial(schedule.turns, _ROUND)))
            while records and not records[0].awaited:
                yield records.popleft().score()
    assert not records, "every variant has its score when nothing is left to read"


class _Source:
    """Variants, taken as blocks are asked for.

    Attributes
    ----------
    records : deque of _Record
        Of the variants taken, in their order.
    """

    def __init__(
        self, lanes: Lanes, genome: Genome, contig: str, variants: Iterable[Variant], settings: CausalSettings
    ) -> None:
        self.records: deque[_Record] = deque()
        self._lanes, self._genome, self._contig, self._settings = lanes, genome, contig, settings
        self._variants = variants
        self._grid, self._length = Grid(settings.context), genome.length(contig)
        # Sites by block, of the blocks that more variants may lie in.
        self._open: dict[Strand, dict[int, list[Site]]] = {strand: {} for strand in settings.strands}

    def blocks(self) -> Iterator[Block]:
        """Give blocks when all their variants are there."""
        last = -1
        for variant in self._variants:
            if variant.start < last:
                raise DataError(f"{variant}: stands behind a variant at {last + 1:,}; sort variants by their positions")
            last = variant.start
            yield from self._closed(last)
            self._add(variant)
        yield from self._closed(None)

    def _add(self, variant: Variant) -> None:
        settings, contig = self._settings, self._contig
        status = status_of(variant, self._genome, contig, settings.longest, settings.strands)
        is_scored = status is Status.OK or (status is Status.REF_MISMATCH and settings.keep_mismatches)
        count = len(settings.strands) if is_scored else 0
        record = _Record(variant, status, count, count)
        self.records.append(record)
        for strand in settings.strands[:count]:
            edit = StrandOfContig(self._genome, contig, strand).edit(variant)
            site = Site.of(edit, self._length, settings.horizon, record.add)
            self._open[strand].setdefault(self._grid.block(edit.start), []).append(site)

    def _closed(self, start: int | None) -> Iterator[Block]:
        """Give the blocks that no variant from `start` on can lie in, or where there is none any more, all."""
        for strand, blocks in self._open.items():
            for number in list(blocks):
                if start is None or self._is_closed(strand, number, start):
                    yield self._block(strand, number, blocks.pop(number))

    def _is_closed(self, strand: Strand, number: int, start: int) -> bool:
        end = self._grid.end(number)
        if end is None:
            return False
        # Along the minus strand, the block ends where the one before it begins on the plus strand.
        return start >= end if strand == "+" else start > self._length - self._grid.start(number)

    def _block(self, strand: Strand, number: int, sites: list[Site]) -> Block:
        sites.sort(key=lambda site: site.edit.start)
        sequence = StrandOfContig(self._genome, self._contig, strand)
        alphabet, state = self._lanes.alphabet, self._lanes.start()
        first, start = self._grid.first(number), self._grid.start(number)
        return Block(sequence, first, start, iter(sites), state, alphabet.bos, alphabet.unknown)
