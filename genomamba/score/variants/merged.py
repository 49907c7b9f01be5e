"""What `genomamba merge` is asked of a file that was scored: how it does against labels, and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genomamba.alphabet import get_alphabet
from genomamba.data.genome import Genome
from genomamba.data.vcf import VcfReader, VcfRecord
from genomamba.errors import DataError
from genomamba.score.variants.config import StudyConfig
from genomamba.score.variants.labels import read_labels
from genomamba.score.variants.page import write_page
from genomamba.score.variants.study import Study, read_scored, score_columns

__all__ = ["study_scored"]


def study_scored(scored: Path, values: Mapping[str, Any], *, command: str, emit: Callable[[str], None]) -> None:
    """Hold the scores of a file against labels of the same file, and write the page, as asked.

    Parameters
    ----------
    scored : Path
        A VCF or BCF that was scored.
    values : mapping
        Settings of `StudyConfig` that were given, and `fasta`, `chrom_map`, `cache_dir`.
    command : str
        As typed.
    emit : callable
        Takes the lines that say what was found.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    places = {name: values[name] for name in ("fasta", "chrom_map", "cache_dir") if name in values}
    config = StudyConfig(
        baselines=("markov",) if places.get("fasta") else (),
        **{name: value for name, value in values.items() if name not in places},
    )
    genome = None
    if "fasta" in places:
        genome = Genome.open(
            list(places["fasta"]), get_alphabet("dna"), cache_dir=places.get("cache_dir"), contigs=("*",),
            chrom_map=places.get("chrom_map"),
        )  # fmt: skip
    labels = None
    if config.labels is not None:
        labels = read_labels(scored, None, config.labels, config.positive, config.compare)
        emit(f"{scored}: {labels.in_words()}")
    with VcfReader(scored) as reader:
        columns = list(score_columns(reader.header))
        study = Study(config, str(scored), reader.header, labels, genome, _contigs(genome))
        study.gather(read_scored(reader), columns)
    study.write_metrics()
    if config.report is not None:
        facts = {"variants": str(scored)} | ({"reference": ", ".join(places["fasta"])} if genome else {})
        write_page(study, Path(config.report), facts, command)
    for line in study.lines():
        emit(line)


def _contigs(genome: Genome | None) -> Callable[[VcfRecord], str | None]:
    """Return what gives the name of a record's contig in the genome."""
    names: dict[str, str | None] = {}

    def contig_of(record: VcfRecord) -> str | None:
        if genome is None:
            return None
        if record.chrom not in names:
            try:
                names[record.chrom] = genome.resolve(record.chrom)
            except DataError:
                names[record.chrom] = None
        return names[record.chrom]

    return contig_of
