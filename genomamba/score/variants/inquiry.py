"""What a scoring that is under way is asked beside its numbers: the study of its labels, and the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genomamba.data.genome import Genome
from genomamba.data.vcf import VcfReader
from genomamba.model import LanguageModel, count_parameters
from genomamba.score.variants.baselines import checked_order, with_random_weights
from genomamba.score.variants.config import ScoreConfig
from genomamba.score.variants.labels import LabelledRecords, Labels
from genomamba.score.variants.page import write_page
from genomamba.score.variants.scorers import Scorer, choose_scorer
from genomamba.score.variants.selection import Records
from genomamba.score.variants.study import Scored, Study

__all__ = ["Inquiry"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inquiry:
    """A scoring, and what is asked about it.

    Attributes
    ----------
    config : ScoreConfig
        As the user gave it.
    vcf : Path
        The records, at rest.
    taken : Selection
        Which of them are scored.
    labels : Labels, optional
        Of all their alleles, where any are asked for.
    name, model, trained_context, genome, scorer
        What scores them.
    columns : tuple of str
        Its numbers, and what is made of them, the main one first.
    """

    config: ScoreConfig
    vcf: Path
    taken: Records
    labels: Labels | None
    name: str
    model: LanguageModel
    trained_context: int | None
    genome: Genome
    scorer: Scorer
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        # Refused before hours of work.
        if "markov" in self.config.baselines:
            checked_order(self.genome, self.config.markov_order)

    def study(
        self,
        rows: Callable[[VcfReader], Iterator[Scored]],
        score_others: Callable[[Scorer, LabelledRecords], Sequence[float]],
    ) -> Study | None:
        """Find what is asked; None where nothing is.

        Parameters
        ----------
        rows : callable
            Gives the records of a reader with their numbers.
        score_others : callable
            Scores the alleles of some records by another scorer, and gives its main score of each.
        """
        config = self.config
        if not config.study:
            return None
        untrained = None
        if self.labels is not None and "random" in config.baselines:
            network = with_random_weights(self.model)
            other = choose_scorer(network, self.name, self.genome, config.scoring, self.trained_context)
            untrained = score_others(other, LabelledRecords(self.taken, self.labels))
        with VcfReader(self.vcf) as reader:
            found = Study(config.study, str(config.vcf), reader.header, self.labels, self.genome, self.taken.contig)
            found.gather(rows(reader), self.columns, untrained)
        return found

    def write(self, study: Study | None, command: str) -> None:
        """Write the files that are asked for: metrics and page."""
        if study is None:
            return
        study.write_metrics()
        if self.config.report is not None:
            write_page(study, Path(self.config.report), self._facts(), command)

    def _facts(self) -> dict[str, Any]:
        """Return what a page says of the model and of the files."""
        context = self.scorer.settings["context"]
        return {
            "model": f"{self.name}: {count_parameters(self.model):,} parameters, {self.model.config.direction}",
            "context": "the whole contig" if context is None else f"{context:,} bases",
            "reference": ", ".join(self.config.fasta),
            "variants": str(self.config.vcf),
            "output": str(self.config.out),
        }
