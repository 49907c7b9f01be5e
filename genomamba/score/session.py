"""`genomamba likelihood`: score a genome part by part, so that an interrupted command goes on, and write the file."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.coordinates import Interval
from genomamba.data.examples import example_paths
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, RunError
from genomamba.files import atomic_file
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import load_model
from genomamba.model.device import prepare_passes
from genomamba.score.config import LikelihoodConfig
from genomamba.score.likelihood import check_causal, default_chunk, log_likelihoods
from genomamba.score.partial import Partial, Sums, plan_of
from genomamba.score.progress import Progress
from genomamba.score.reading import Reading, Strand, packs
from genomamba.score.records import RECORDS, Record, write_records
from genomamba.score.tracks import PIECE, TRACKS, check_format, format_of, open_track

__all__ = ["likelihood"]

_log = logging.getLogger("genomamba")


def likelihood(name: str, config: LikelihoodConfig, *, emit: Callable[[str], None]) -> None:
    """Score a genome, a region or many sequences with a model, and write the file that `config.out` names.

    Parameters
    ----------
    name : str
        The model: a run folder, a checkpoint folder, or a name on the hub.
    config : LikelihoodConfig
        As the user gave it.
    emit : callable
        Takes the line that says what was written.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    assert config.out is not None
    out = Path(config.out)
    suffix = _check_output(out, config)
    device = prepare_passes(config.device, config.threads)
    model = load_model(name, revision=config.revision, alphabet=config.alphabet, device=device).eval()
    check_causal(model, name)
    config = dataclasses.replace(config, chunk=config.chunk or default_chunk(model.config))
    genome = _open_genome(config, get_alphabet(model.config.alphabet))
    intervals = _intervals(genome, config.region)
    lengths = {contig.name: contig.length for contig in genome.contigs}
    check_format(out, suffix, lengths)
    plan = _plan(model, genome, intervals, config)
    bases = 0 if config.per_record else sum(map(len, intervals))
    with Partial(out.with_name(f"{out.name}.partial"), plan, bases, force=config.force) as partial:
        _Scoring(model, genome, intervals, config, partial).run()
        sums = [one for part in sorted(partial.done) for one in partial.done[part]]
        with atomic_file(out) as temporary:
            if config.per_record:
                names = [_record_name(interval, config.region) for interval in intervals]
                rows = zip(names, intervals, sums, strict=True)
                write_records(temporary, suffix, (Record(n, len(i), s.scored, s.bits) for n, i, s in rows))
            else:
                _write_track(temporary, suffix, lengths, genome, intervals, partial)
        partial.remove()
    emit(f"{out}: {_in_words(sums)}")


@dataclass(frozen=True, slots=True)
class _Scoring:
    """The parts of a genome that are not done yet. A part is a contig, or several short ones that follow each other."""

    model: LanguageModel
    genome: Genome
    intervals: Sequence[Interval]
    config: LikelihoodConfig
    partial: Partial

    def run(self) -> None:
        assert self.config.chunk is not None
        parts = list(packs(self.intervals, self.config.chunk))
        strands: tuple[Strand, ...] = ("+", "-") if self.config.strand == "both" else (self.config.strand,)
        sizes = [len(strands) * sum(map(len, part)) for part in parts]
        before = sum(sizes[part] for part in self.partial.done)
        if self.partial.done:
            _log.info("%s: going on, %s", self.partial.folder, self._kept(parts))
        starts = [0, *itertools.accumulate(sum(map(len, part)) for part in parts)]
        try:
            with Progress("scoring", "bases", sum(sizes), before) as progress:
                for number, part in enumerate(parts):
                    if number not in self.partial.done:
                        self.partial.finish(number, self._score(part, starts[number], strands, progress))
        except (KeyboardInterrupt, SystemExit):
            _log.info("%s: %s; the same command goes on from there", self.partial.folder, self._kept(parts))
            raise

    def _kept(self, parts: Sequence[Sequence[Interval]]) -> str:
        return f"{sum(len(parts[part]) for part in self.partial.done):,} of {len(self.intervals):,} sequences are done"

    def _score(self, part: Sequence[Interval], start: int, strands: Sequence[Strand], progress: Progress) -> list[Sums]:
        """Put the values of a part at place `start` on, and return the sums of its stretches."""
        places = dict(zip(part, itertools.accumulate(map(len, part), initial=start), strict=False))
        scored, bits = dict.fromkeys(part, 0), dict.fromkeys(part, 0.0)
        for passed, strand in enumerate(strands):
            readings = (Reading(self.genome, interval, strand, self.config.lead) for interval in part)
            for scores in log_likelihoods(self.model, readings, context=self.config.context, chunk=self.config.chunk):
                interval, values = scores.reading.interval, scores.bits
                scored[interval] += int(np.count_nonzero(~np.isnan(values)))
                bits[interval] += float(np.nansum(values, dtype=np.float64))
                if not self.config.per_record:
                    place = places[interval] + scores.start - interval.start
                    if passed:
                        values = (values + self.partial.read(place, values.size)) / np.float32(2)
                    self.partial.write(place, values)
                progress.add(values.size)
        return [Sums(scored[one] // len(strands), bits[one] / len(strands)) for one in part]


def _check_output(out: Path, config: LikelihoodConfig) -> str:
    """Return the format of the output, or refuse it while nothing is computed yet."""
    suffix = format_of(out, (*TRACKS,))
    if config.per_record and suffix not in RECORDS:
        raise ConfigError(
            f"--out is {out}; --per-record writes a table, so its name must end with {', '.join(RECORDS)}"
        )
    if out.is_dir():
        raise RunError(f"{out}: is a folder; name a file by --out")
    if out.exists() and not config.force:
        raise RunError(f"{out}: exists; give --force to replace it, or another --out")
    if not out.parent.is_dir():
        raise RunError(f"{out}: there is no folder {out.parent}; make it, or give another --out")
    return suffix


def _open_genome(config: LikelihoodConfig, alphabet: Alphabet) -> Genome:
    if config.strand != "+" and not alphabet.has_complement:
        raise ConfigError(f"--strand is {config.strand}; the {alphabet.name} alphabet has one strand alone, +")
    paths: list[str | Path] = list(config.fasta) or [files["fasta"] for files in example_paths().values()]
    # Nobody who names a region wants it left out for its contig.
    contigs = config.contigs or (() if config.region is None else ("*",))
    return Genome.open(paths, alphabet, cache_dir=config.cache_dir, contigs=contigs, chrom_map=config.chrom_map)


def _intervals(genome: Genome, region: str | None) -> list[Interval]:
    """Return what is to be scored: all contigs, or one region."""
    if region is None:
        return [Interval(contig.name, 0, contig.length) for contig in genome.contigs]
    return [genome.interval(region)]


def _plan(
    model: LanguageModel, genome: Genome, intervals: Sequence[Interval], config: LikelihoodConfig
) -> dict[str, Any]:
    """Return what the numbers depend on, as an interrupted command's folder keeps it."""
    return plan_of(model, genome, intervals) | {
        "strand": config.strand,
        "lead": config.lead,
        "context": config.context,
        "chunk": config.chunk,
        "per_record": config.per_record,
    }


def _write_track(
    path: Path, suffix: str, lengths: dict[str, int], genome: Genome, intervals: Sequence[Interval], partial: Partial
) -> None:
    alphabet, place = genome.alphabet, 0
    total = sum(map(len, intervals))
    with open_track(path, suffix, lengths) as write, Progress("writing", "bases", total) as progress:
        for interval in intervals:
            for start, end in _steps(interval):
                symbols = genome.fetch(interval.contig, start, end)
                letters = alphabet.text_of_token[alphabet.token_of_symbol[symbols]]
                write(interval.contig, start, letters, partial.read(place, end - start))
                place += end - start
                progress.add(end - start)


def _steps(interval: Interval) -> Iterator[tuple[int, int]]:
    for start in range(interval.start, interval.end, PIECE):
        yield start, min(start + PIECE, interval.end)


def _record_name(interval: Interval, region: str | None) -> str:
    return interval.contig if region is None else f"{interval.contig}:{interval.start + 1}-{interval.end}"


def _in_words(sums: Sequence[Sums]) -> str:
    total = Record("all", 0, sum(one.scored for one in sums), sum(one.bits for one in sums))
    cost = "" if total.bits_per_base is None else f", {total.bits_per_base:.4f} bits per base"
    return f"{total.scored:,} bases scored{cost}"
