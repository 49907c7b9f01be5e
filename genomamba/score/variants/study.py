"""What is asked about scores once they are there: how they do against labels, and a page that shows them.

The scored records are read once more for it, from what an interrupted command would go on from, or from a file that was
scored before.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.data.vcf import VcfReader, VcfRecord
from genomamba.data.vcf_header import VcfHeader
from genomamba.errors import DataError
from genomamba.score.variants.baselines import RANDOM_SEED, MarkovScorer
from genomamba.score.variants.config import StudyConfig
from genomamba.score.variants.evaluation import Evaluated, Evaluation, evaluate, oriented
from genomamba.score.variants.labels import Field, Labels
from genomamba.score.variants.scorers import STATUS_TAG
from genomamba.score.variants.status import Status
from genomamba.score.variants.summary import Summary

__all__ = ["Scored", "Study", "read_scored", "score_columns"]


class Scored(NamedTuple):
    """Records with what was found of their alleles, in their order."""

    records: list[VcfRecord]
    columns: Mapping[str, npt.NDArray[np.float32]]
    """A number an allele, by the column's name in tables, such as `llr`; NaN where there is none."""
    statuses: list[Status]


class Study:
    """What is asked of scores, and what is found.

    Parameters
    ----------
    config : StudyConfig
        What is asked.
    where : str
        The file, for messages.
    header : VcfHeader
        Of that file.
    labels : Labels, optional
        Of all alleles of the records that will come.
    genome : Genome, optional
        Where the alleles lie. Without it there is no Markov model, and CpG is not known.
    contig_of : callable
        Gives the name of a record's contig in the genome.

    Attributes
    ----------
    summary : Summary, optional
        For the page, where that is asked for.
    evaluation : Evaluation, optional
        Of the labels, where there are any.
    curves : tuple of Evaluated
        The model's first score and the others, as they were held against the labels.
    """

    def __init__(
        self,
        config: StudyConfig,
        where: str,
        header: VcfHeader,
        labels: Labels | None,
        genome: Genome | None,
        contig_of: Callable[[VcfRecord], str | None],
    ) -> None:
        self.config, self.labels = config, labels
        self.summary: Summary | None = None
        self.evaluation: Evaluation | None = None
        self.curves: tuple[Evaluated, ...] = ()
        self._where, self._genome, self._contig_of = where, genome, contig_of
        numbers = [*config.compare]
        texts: list[str] = []
        if labels is not None:
            (texts if labels.is_class else numbers).insert(0, labels.tag)
        self._numbers = {name: Field(name, header) for name in numbers}
        self._texts = {name: Field(name, header) for name in texts}

    def gather(self, rows: Iterable[Scored], columns: Sequence[str], untrained: Sequence[float] | None = None) -> None:
        """Read the scored records once, and find all that is asked.

        Parameters
        ----------
        rows : iterable of Scored
            All of them.
        columns : sequence of str
            Of the scores, the main one first.
        untrained : sequence of float, optional
            The main score by the network with random weights, an allele of the records in which any has a label.
        """
        main = columns[0]
        if self.config.report is not None:
            self.summary = Summary(main, self._genome, self._numbers, self._texts)
        markov = None
        if self.labels is not None and self._genome is not None and "markov" in self.config.baselines:
            markov = MarkovScorer(self._genome, self.config.markov_order)
        scores = {name: array("f") for name in columns}
        by_markov = array("f")
        for one in rows:
            if self.summary is not None:
                self.summary.add(one.records, self._contig_of, one.columns, one.statuses, self._where)
            if self.labels is not None:
                for name, held in scores.items():
                    held.frombytes(np.asarray(one.columns[name], np.float32).tobytes())
            if markov is not None:
                found = self._markov_scores(markov, one.records, one.columns[main])
                by_markov.frombytes(found.astype(np.float32).tobytes())
        if self.labels is not None:
            self._evaluate(self.labels, main, scores, (markov, by_markov), untrained)

    def _markov_scores(
        self, markov: MarkovScorer, records: Sequence[VcfRecord], main: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        """Score the alleles that the model has scored; NaN for the others."""
        places, alleles = [], []
        at = 0
        for record in records:
            contig = self._contig_of(record)
            for alt in record.alts:
                if contig is not None and np.isfinite(main[at]):
                    places.append(at)
                    alleles.append((contig, Variant(contig, record.pos - 1, record.ref, alt)))
                at += 1
        found = np.full(at, np.nan)
        found[places] = markov.scores(alleles)
        return found

    def _evaluate(
        self,
        labels: Labels,
        main: str,
        scores: Mapping[str, array[float]],
        markov: tuple[MarkovScorer | None, array[float]],
        untrained: Sequence[float] | None,
    ) -> None:
        own = oriented({name: np.array(held, np.float64) for name, held in scores.items()})
        evaluated = [Evaluated(name, values, True) for name, values in own]
        notes = [f"Higher stands for less likely: {own[0][0]} is {main} with its sign turned"] * (own[0][0] != main)
        model, by_markov = markov
        if model is not None:
            name = f"Markov, order {model.order}"
            evaluated.append(Evaluated(name, -np.array(by_markov, np.float64), False))
            notes.append(
                f"{name}: the ratio of the bases that change and the {model.order} behind them, its sign turned; fitted"
                f" on both strands of {model.bases:,} bases of the FASTA, the sites scored here among them"
            )
        if untrained is not None:
            values = np.full(labels.values.size, np.nan)
            values[labels.in_labelled_records] = untrained
            ((_, turned),) = oriented({main: values})
            evaluated.append(Evaluated("random weights", turned, False))
            notes.append(f"random weights: the same network before any training (seed {RANDOM_SEED}), scored alike")
        for name, values in labels.compared.items():
            evaluated.append(Evaluated(name, values, False))
        if labels.compared:
            taken = ", higher taken for more positive" if labels.is_class else ""
            notes.append(
                f"{', '.join(labels.compared)}: as the file has {'it' if len(labels.compared) == 1 else 'them'}{taken}"
            )
        self.evaluation = evaluate(labels, evaluated, notes)
        self.curves = tuple(one for i, one in enumerate(evaluated) if i == 0 or not one.is_model)

    def lines(self) -> list[str]:
        """Return what a terminal shows."""
        return [] if self.evaluation is None else self.evaluation.lines()

    def write_metrics(self) -> None:
        """Write the file of metrics, where it is asked for."""
        if self.evaluation is not None and self.config.metrics is not None:
            self.evaluation.write(Path(self.config.metrics))


def score_columns(header: VcfHeader) -> dict[str, str]:
    """Return the columns of scores that a file of ours has, and the tag of each, in the order of its header.

    Raises
    ------
    DataError
        Where it has none.
    """
    own = header.own_tags()
    found = {
        name.removeprefix("GM_").lower(): name
        for name, field in header.info.items()
        if name in own and field.type == "Float" and field.number == "A"
    }
    if not found or STATUS_TAG.id not in own:
        raise DataError(f"{header.name}: its header declares no scores of genomamba; give a VCF that score has written")
    return found


def read_scored(reader: VcfReader) -> Iterator[Scored]:
    """Yield the records of a file that was scored, with their numbers as the file has them, six digits."""
    fields = {name: Field(tag, reader.header) for name, tag in score_columns(reader.header).items()}
    status = Field(STATUS_TAG.id, reader.header)
    for records in reader.batches():
        columns = {
            name: np.array([x for record in records for x in field.numbers(record, reader.name)], np.float32)
            for name, field in fields.items()
        }
        statuses = [
            _status(text, record, reader.name) for record in records for text in status.texts(record, reader.name)
        ]
        yield Scored(records, columns, statuses)


def _status(text: Any, record: VcfRecord, where: str) -> Status:
    try:
        return Status((text or b"").decode())
    except ValueError:
        raise DataError(
            f"{where}:{record.number}: {STATUS_TAG.id} is missing or none of ours; give a file as score has written it"
        ) from None
