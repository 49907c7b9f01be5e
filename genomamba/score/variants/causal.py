"""Log-likelihood ratios of variants under a causal model, alleles sharing the state of what comes before them.

What a variant is scored in depends on its position alone (see `grid`), so that its score does not depend on the other
variants, nor on how they are divided among runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

import torch

from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.model.process import side_by_side
from genomamba.score.variants.blocks import Block
from genomamba.score.variants.grid import PIECE
from genomamba.score.variants.lanes import Lanes
from genomamba.score.variants.schedule import Schedule
from genomamba.score.variants.settings import CausalScore, CausalSettings
from genomamba.score.variants.source import Record, Source
from genomamba.score.variants.spool import Spool

__all__ = ["CausalScore", "CausalSettings", "default_batch_size", "score_causal"]

_NUMBERS_A_TENSOR: Final = 1 << 20
_ROUND: Final = 16


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
        raise ConfigError(f"is -; the {genome.alphabet.name} alphabet has one strand alone, +", option="strand")
    lanes = Lanes(model, settings.batch_size or default_batch_size(model))
    source = Source(lanes, genome, contig, variants, settings)
    return _from_both_ends(source) if settings.context is None and "-" in settings.strands else _in_order(source)


def _in_order(source: Source) -> Iterator[CausalScore]:
    records = source.records
    for _ in _rounds(source.lanes, source.blocks()):
        while records and not records[0].awaited:
            yield records.popleft().score()
    assert not records, "every variant has its score when nothing is left to read"


def _from_both_ends(source: Source) -> Iterator[CausalScore]:
    """Read the whole contig from its one end, then from the other, where the last variants come first."""
    settings = source.settings
    with Spool() as spool:
        for record in source.taken():
            spool.append(record.variant, record.status)
        for strand in settings.strands:
            for _ in _rounds(source.lanes, iter([source.block(strand, 0, source.spooled(spool, strand))])):
                pass
        for number in range(len(spool)):
            variant, status = spool.read(number)
            count = len(settings.strands) if source.is_scored(status) else 0
            llr, corrected = spool.sums(number)
            yield Record(variant, status, count, 0, llr, corrected).score()


def _rounds(lanes: Lanes, blocks: Iterator[Block]) -> Iterator[None]:
    """Run blocks through the model; give control back now and then, and when all is done."""
    threads = torch.get_num_threads() if lanes.device.type == "cpu" else 1
    schedule = Schedule(lanes, blocks, threads)
    with side_by_side(threads) as on_each:
        while any(on_each(partial(schedule.turns, _ROUND))):
            yield
    yield
