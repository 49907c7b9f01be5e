"""What commands that score variants begin with: the model on its device, the genome, and what scores by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from genomamba.alphabet import get_alphabet
from genomamba.data.genome import Genome
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import Checkpoint
from genomamba.model.device import prepare_passes
from genomamba.score.variants.config import ScorerConfig
from genomamba.score.variants.scorers import Scorer, choose_scorer

__all__ = ["Opened", "open_scorer"]


class Opened(NamedTuple):
    """A model in evaluation mode, the context it was trained with, a genome in its alphabet, and its scorer there."""

    model: LanguageModel
    trained_context: int | None
    genome: Genome
    scorer: Scorer


def open_scorer(checkpoint: Checkpoint, config: ScorerConfig, *, contigs: Sequence[str] = ("*",)) -> Opened:
    """Load a model and open the genome, as the user asked; threads are set for the process.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of the model.
    config : ScorerConfig
        As the user gave it.
    contigs : sequence of str
        See `Genome.open`.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    device = prepare_passes(config.device, config.threads)
    model = checkpoint.load(device).eval()
    genome = Genome.open(
        list(config.fasta), get_alphabet(model.config.alphabet), cache_dir=config.cache_dir, contigs=contigs,
        chrom_map=config.chrom_map,
    )  # fmt: skip
    trained = checkpoint.training.get("context")
    return Opened(model, trained, genome, choose_scorer(model, checkpoint.name, genome, config.scoring, trained))
