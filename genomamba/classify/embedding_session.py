"""`genomamba embed`: embed sequences part by part, so that an interrupted command goes on, and write the file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.classify.config import DataConfig, EmbedConfig
from genomamba.classify.embedding import Embedding, default_pass, embed_each
from genomamba.classify.embedding_files import Table, check_embedding_format, write_embeddings
from genomamba.classify.labelled import SPLITS, Labelled
from genomamba.classify.reading import read_data, report_leaks
from genomamba.classify.stretches import Stretch, read_stretches
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, RunError
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import load_model
from genomamba.model.device import prepare_passes
from genomamba.score.config import read_shard
from genomamba.score.partial import VALUES, Partial, plan_of
from genomamba.score.progress import Progress
from genomamba.score.reading import Reading
from genomamba.score.sequences import Source

__all__ = ["embed", "embed_labelled"]

_log = logging.getLogger("genomamba")

_PART_BASES: Final = 1 << 18
_NEAR: Final = 0.5


def embed(name: str, config: EmbedConfig, data: DataConfig, *, emit: Callable[[str], None]) -> None:
    """Embed sequences with a model, and write the file that `config.out` names.

    Parameters
    ----------
    name : str
        The model: a run folder, a checkpoint folder, or a name on the hub.
    config : EmbedConfig
    data : DataConfig
        As the user gave them.
    emit : callable
        Takes the lines that say what leaks between the parts of the data, and what was written.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    assert config.out is not None
    out = Path(config.out)
    _check_output(out, config)
    device = prepare_passes(config.device, config.threads)
    model = load_model(name, revision=config.revision, alphabet=config.alphabet, device=device).eval()
    alphabet = get_alphabet(model.config.alphabet)
    embedding = Embedding.of(model.config, alphabet, pool=config.pool, layers=config.layers, strand=config.strand)
    given = _given(config, data, alphabet, emit)
    part, parts = read_shard(config.shard)
    rows = range(len(given) * part // parts, len(given) * (part + 1) // parts)
    work = _Work(model, given, rows, embedding, config.chunk, config.spill, config.shard)
    with Partial(out.with_name(f"{out.name}.partial"), work.plan(), work.numbers, force=config.force) as partial:
        work.run(partial)
        write_embeddings(out, work.table(partial))
        partial.remove()
    what = "bases" if embedding.pool == "none" else "sequences"
    emit(f"{out}: {work.offsets[-1]:,} {what}, {work.width:,} numbers each")


def embed_labelled(
    model: LanguageModel, data: Labelled, embedding: Embedding, cache: Path, *, chunk: int | None, spill: str | None
) -> npt.NDArray[np.float32]:
    """Embed labelled sequences.

    Parameters
    ----------
    model : LanguageModel
        In evaluation mode.
    data : Labelled
    embedding : Embedding
    cache : Path
        Folder that keeps what is done: an interrupted call goes on there, and a whole one removes it.
    chunk, spill
        See `embed_each`.

    Returns
    -------
    (sequences, width), or without pooling (bases, width); float32

    Raises
    ------
    RunError
        Where a number is not finite, or the folder is of other sequences, settings or weights.
    """
    work = _Work(model, _Given(data), range(len(data)), embedding, chunk, spill, None)
    with Partial(cache, work.plan(), work.numbers) as partial:
        work.run(partial)
        values = np.array(work.values(partial))
        partial.remove()
    return values


class _Given:
    """Sequences to embed: labelled ones in memory, or stretches of a genome that are read when they are needed."""

    def __init__(
        self, labelled: Labelled | None, genome: Genome | None = None, stretches: Sequence[Stretch] = ()
    ) -> None:
        self.labelled, self._genome, self._stretches = labelled, genome, stretches

    def __len__(self) -> int:
        return len(self._stretches) if self.labelled is None else len(self.labelled)

    def length(self, row: int) -> int:
        if self.labelled is None:
            return len(self._stretches[row].interval)
        borders = self.labelled.sequences.borders
        return int(borders[row + 1] - borders[row])

    def source(self, row: int) -> Source:
        if self.labelled is not None:
            return self.labelled.sequences.source(row)
        assert self._genome is not None
        return Reading(self._genome, self._stretches[row].interval, self._stretches[row].strand)

    def name(self, row: int) -> str:
        if self.labelled is not None:
            return self.labelled.name(row)
        assert self._genome is not None
        stretch = self._stretches[row]
        contig = stretch.interval.contig
        return contig if len(stretch.interval) == self._genome.length(contig) else stretch.name

    def plan(self, model: LanguageModel) -> dict[str, Any]:
        """Return what the numbers depend on, but for the settings."""
        if self.labelled is None:
            assert self._genome is not None
            plan = plan_of(model, self._genome, [stretch.interval for stretch in self._stretches])
            strands = "".join(stretch.strand for stretch in self._stretches)
            return plan | {"strands": hashlib.sha256(strands.encode()).hexdigest()[:12]}
        digest = hashlib.sha256(self.labelled.sequences.borders.tobytes())
        digest.update(self.labelled.sequences.symbols.data)
        return plan_of(model, None, ()) | {"sequences": digest.hexdigest()[:12]}


@dataclass(frozen=True)
class _Work:
    """Some rows of what was given, and how they are embedded. A part is so many sequences that follow each other."""

    model: LanguageModel
    given: _Given
    rows: range
    embedding: Embedding
    chunk: int | None
    spill: str | None
    shard: str | None

    @cached_property
    def width(self) -> int:
        return self.embedding.width(self.model.config)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.fromiter(map(self.given.length, self.rows), np.int64, len(self.rows))

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Row of the table at which each sequence begins, and their number."""
        sizes = self.lengths if self.embedding.pool == "none" else np.ones(len(self.rows), np.int64)
        return np.concatenate([[0], sizes.cumsum()])

    @property
    def numbers(self) -> int:
        return int(self.offsets[-1]) * self.width

    def plan(self) -> dict[str, Any]:
        """Return what the numbers depend on, as an interrupted command's folder keeps it."""
        return self.given.plan(self.model) | {
            "pool": self.embedding.pool,
            "layers": list(self.embedding.layers),
            "strand": self.embedding.strand,
            "chunk": self.chunk or default_pass(self.model.config),
            "shard": self.shard,
        }

    def run(self, partial: Partial) -> None:
        parts = list(self._parts())
        bases = [int(self.lengths[part.start : part.stop].sum()) for part in parts]
        done = sum(bases[number] for number in partial.done)
        if done:
            _log.info("%s: going on, %s of %s bases are done", partial.folder, f"{done:,}", f"{sum(bases):,}")
        try:
            with Progress("embedding", "bases", sum(bases), done) as progress:
                for number, part in enumerate(parts):
                    if number not in partial.done:
                        self._embed(part, partial, progress)
                        partial.finish(number, [])
        except (KeyboardInterrupt, SystemExit):
            done = sum(bases[number] for number in partial.done)
            _log.info(
                "%s: %s of %s bases are done; the same command goes on from there", partial.folder, f"{done:,}",
                f"{sum(bases):,}",
            )  # fmt: skip
            raise

    def _parts(self) -> Iterator[range]:
        """Cut the rows where so many bases are full. A pass never holds sequences of two parts."""
        start = taken = 0
        for place, length in enumerate(self.lengths.tolist()):
            taken += length
            if taken >= _PART_BASES:
                yield range(start, place + 1)
                start, taken = place + 1, 0
        if start < len(self.rows):
            yield range(start, len(self.rows))

    def _embed(self, part: range, partial: Partial, progress: Progress) -> None:
        sources = (self.given.source(self.rows[place]) for place in part)
        spill = None if self.spill is None else Path(self.spill)
        found = embed_each(self.model, sources, self.embedding, chunk=self.chunk, spill=spill)
        for place, values in zip(part, found, strict=True):
            numbers = values.float().numpy()
            if not np.isfinite(numbers).all():
                name = self.given.name(self.rows[place])
                raise RunError(f"{name}: its numbers are not finite; are the model's weights whole?")
            partial.write(int(self.offsets[place]) * self.width, numbers)
            progress.add(int(self.lengths[place]))

    def values(self, partial: Partial) -> npt.NDArray[np.float32]:
        """Return what was embedded, from the disk: (sequences or bases, width)."""
        shape = (int(self.offsets[-1]), self.width)
        if not self.numbers:
            return np.zeros(shape, np.float32)
        return np.memmap(partial.folder / VALUES, np.float32, "r", shape=shape)

    def table(self, partial: Partial) -> Table:
        """Return what was embedded, and what is known of the sequences."""
        values = self.values(partial)
        labelled = self.given.labelled
        if labelled is not None:
            labelled = labelled.select(np.arange(self.rows.start, self.rows.stop))
        labels = None if labelled is None else labelled.labels
        splits = None if labelled is None or labelled.splits is None else [SPLITS[code] for code in labelled.splits]
        meta = self.plan() | {
            "sequences_in_all": len(self.given),
            "kind": None if labels is None else labels.kind,
            "classes": [] if labels is None else list(labels.classes),
        }
        return Table(
            values=values,
            lengths=self.lengths if self.embedding.pool == "none" else None,
            names=[self.given.name(row) for row in self.rows],
            labels=labels,
            splits=splits,
            meta=meta,
        )


def _check_output(out: Path, config: EmbedConfig) -> None:
    """Refuse an output while nothing is computed yet."""
    check_embedding_format(out)
    if out.is_dir():
        raise RunError(f"{out}: is a folder; name a file by --out")
    if out.exists() and not config.force:
        raise RunError(f"{out}: exists; give --force to replace it, or another --out")
    if not out.parent.is_dir():
        raise RunError(f"{out}: there is no folder {out.parent}; make it, or give another --out")


def _given(config: EmbedConfig, data: DataConfig, alphabet: Alphabet, emit: Callable[[str], None]) -> _Given:
    if data.data is not None or data.base_labels is not None:
        if config.bed is not None:
            raise ConfigError("--bed names stretches without labels, and --data is there too; give one of them")
        labelled = read_data(data, alphabet, labels_needed=False)
        if labelled.splits is not None:
            report_leaks(labelled, _NEAR, drop=False, emit=emit, table=config.leaks)
        return _Given(labelled)
    if not data.fasta:
        raise ConfigError("nothing to embed; name labelled data by --data, or sequences by --fasta")
    genome = Genome.open(list(data.fasta), alphabet, cache_dir=data.cache_dir, contigs=("*",), chrom_map=data.chrom_map)
    if config.bed is not None:
        return _Given(None, genome, read_stretches(Path(config.bed), genome))
    whole = [Stretch(Interval(one.name, 0, one.length), "+", str(one.path), 0) for one in genome.contigs]
    return _Given(None, genome, whole)
