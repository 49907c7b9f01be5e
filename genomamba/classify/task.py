"""`genomamba make-task`: windows on a feature of a genome's annotation, and windows that are like them but for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from genomamba.alphabet import get_alphabet
from genomamba.classify.config import TaskConfig
from genomamba.classify.labelled import SPLITS, Collector, Labelled, Split
from genomamba.classify.negatives import (
    Ground,
    Windows,
    choose,
    free_places,
    free_tiles,
    overlaps,
    places_of_motif,
    tiles,
)
from genomamba.classify.reading import report_leaks
from genomamba.classify.sites import MOTIFS, Annotation, read_annotation
from genomamba.classify.stretches import Stretch
from genomamba.coordinates import Interval
from genomamba.data.bed import merge
from genomamba.data.genome import Contig, Genome
from genomamba.errors import ConfigError, DataError, RunError
from genomamba.files import atomic_file
from genomamba.score.reading import Strand
from genomamba.score.tracks import format_of, open_text

__all__ = ["BACKGROUND", "make_task"]

BACKGROUND: Final = "background"
COLUMNS: Final = ("name", "contig", "start", "end", "strand", "split", "label", "sequence")

_FORMATS: Final = (".tsv", ".tsv.gz")
_CODING: Final = "CDS"
_FIRST_LINE: Final = 2
_DRAWN: Final = 50
"""Candidates that are looked at for each that is wanted."""


def make_task(config: TaskConfig, *, emit: Callable[[str], None]) -> None:
    """Write a table of windows on a feature and of background.

    Parameters
    ----------
    config : TaskConfig
        As the user gave it.
    emit : callable
        Takes the lines that say what was found, what leaks, and what was written.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    assert config.out is not None
    assert config.gff is not None
    assert config.feature is not None
    out = Path(config.out)
    suffix = format_of(out, _FORMATS)
    if out.exists() and not config.force:
        raise RunError(f"{out}: exists; give --force to replace it, or another --out")
    if not out.parent.is_dir():
        raise RunError(f"{out}: there is no folder {out.parent}; make it, or give another --out")
    genome = Genome.open(
        list(config.fasta), get_alphabet("dna"), cache_dir=config.cache_dir, contigs=config.contigs,
        chrom_map=config.chrom_map,
    )  # fmt: skip
    splits = _splits(genome, config)
    annotation = read_annotation(Path(config.gff), genome, config.feature)
    places: list[_Place] = []
    data = _labelled(genome, _find(genome, annotation, config, emit), splits, config, out, places)
    if data.splits is not None:
        data, _ = report_leaks(data, config.near, drop=config.drop_leaks, emit=emit, table=config.leaks)
    # The line of the table that a window was on tells its place, also where others have been left out.
    _write(out, suffix, data, [places[line - _FIRST_LINE] for line in data.lines.tolist()])
    emit(f"{out}: {_in_words(data)}")


class _Place(NamedTuple):
    """Where a window lies, 0-based and half-open."""

    contig: str
    start: int
    end: int
    strand: Strand


@dataclass(frozen=True, slots=True)
class _Found:
    """Windows of one contig: those on the feature, and background."""

    contig: str
    feature: Windows
    background: Windows


def _splits(genome: Genome, config: TaskConfig) -> dict[str, Split]:
    """Return the part of each contig; nothing where none was named."""
    if not config.valid and not config.test:
        return {}
    splits: dict[str, Split] = {contig.name: "train" for contig in genome.contigs}
    for split, patterns in (("valid", config.valid), ("test", config.test)):
        for name in (name for pattern in patterns for name in genome.match(pattern)):
            if splits[name] not in ("train", split):
                raise ConfigError(f"--valid and --test both name {name}; it can be in one of them")
            splits[name] = "valid" if split == "valid" else "test"
    if "train" not in splits.values():
        raise ConfigError("--valid and --test name all contigs; leave one to train on")
    return splits


def _find(genome: Genome, annotation: Annotation, config: TaskConfig, emit: Callable[[str], None]) -> Iterator[_Found]:
    """Find the windows of every contig; where a limit is given, the share of each is that of its windows."""
    rngs = {contig.name: np.random.default_rng([config.seed, number]) for number, contig in enumerate(genome.contigs)}
    by_contig = annotation.by_contig()
    positives = {
        contig.name: _on_feature(_ground(genome, contig, config), by_contig[contig.name], rngs[contig.name])
        for contig in genome.contigs
    }
    every = dict(positives)
    total = sum(map(len, positives.values()))
    if not total:
        raise DataError(
            f"{config.gff}: no window of {config.length} bases on a {config.feature} lies within a contig and is"
            " free of N; give a smaller --length"
        )
    if config.limit is not None and config.limit < total:
        owners = np.repeat(np.arange(len(positives)), [len(one) for one in positives.values()])
        drawn = np.random.default_rng(config.seed).permutation(total)[: config.limit]
        places = np.arange(total) - np.searchsorted(owners, owners)
        for number, name in enumerate(positives):
            mine = drawn[owners[drawn] == number]
            positives[name] = positives[name].select(np.sort(places[mine]))
    short = 0
    for contig in genome.contigs:
        feature = positives[contig.name]
        if not len(feature):
            continue
        ground, rng = _ground(genome, contig, config), rngs[contig.name]
        found = _matched(ground, contig.name, by_contig[contig.name], feature, every[contig.name], config, rng)
        short += len(feature) - len(found.feature)
        if len(found.feature):
            yield found
    if short:
        emit(
            f"{config.gff}: {short:,} of {total:,} windows on a {config.feature} are left out, for their contigs have"
            " no more background to set against them"
        )


def _ground(genome: Genome, contig: Contig, config: TaskConfig) -> Ground:
    return Ground(genome.fetch(contig.name, 0, contig.length), genome.alphabet, config.length)


def _on_feature(ground: Ground, annotation: Annotation, rng: np.random.Generator) -> Windows:
    parts = []
    for strand in ("+", "-"):
        stretches = [one for one, along in annotation.stretches if along == strand]
        starts, ends = (np.array([getattr(one, end) for one in stretches], np.int64) for end in ("start", "end"))
        places = tiles(starts, ends, rng, ground.length).starts
        sites = [one.position for one in annotation.sites if one.strand == strand]
        here = Windows.around(np.array(sites, np.int64), np.full(len(sites), strand == "-"), ground.length)
        parts += [Windows(places, np.full(places.size, strand == "-")), here]
    return ground.usable(Windows.join(parts))


def _matched(
    ground: Ground, contig: str, annotation: Annotation, feature: Windows, every: Windows, config: TaskConfig,
    rng: np.random.Generator,
) -> _Found:  # fmt: skip
    """Draw the background of windows of one contig, none of which overlaps any of `every`, all windows on the feature.

    Where there is too little of it, fewer windows on the feature are kept.
    """
    assert config.feature is not None
    taken = merge(Interval(contig, start, start + ground.length) for start in every.starts.tolist())
    if config.feature in MOTIFS:
        pairs = [
            _drawn(ground, candidates.select(~overlaps(candidates, ground.length, taken)), alike, config, rng)
            for alike, candidates in _by_motif(ground, feature, config.feature)
        ]
    elif config.feature == _CODING:
        pairs = [
            _drawn(ground, free_tiles(ground.symbols.size, annotation.taken, rng, ground.length), feature, config, rng)
        ]
    else:
        count = _DRAWN * _wanted(feature, config)
        candidates = free_places(ground.symbols.size, rng, count, ground.length)
        candidates = candidates.select(~overlaps(candidates, ground.length, taken))
        pairs = [_drawn(ground, candidates, feature, config, rng)]
    kept, background = (Windows.join(parts) for parts in zip(*pairs, strict=True))
    return _Found(contig, kept, background)


def _by_motif(ground: Ground, feature: Windows, name: str) -> Iterator[tuple[Windows, Windows]]:
    """Give the windows that have the same letters at the site, with all places of the contig that have them."""
    offset, size = MOTIFS[name]
    at = ground.length // 2 + offset
    motifs = ground.letters(feature)[:, at : at + size]
    for motif in np.unique(motifs, axis=0):
        text = ground.alphabet.decode(ground.alphabet.token_of_symbol[motif]).decode()
        sites = places_of_motif(ground.symbols, ground.alphabet, text, offset)
        is_reverse = np.repeat((False, True), [one.size for one in sites])
        yield (
            feature.select((motifs == motif).all(1)),
            Windows.around(np.concatenate(sites), is_reverse, ground.length),
        )


def _wanted(feature: Windows, config: TaskConfig) -> int:
    return round(config.negatives * len(feature))


def _drawn(
    ground: Ground, candidates: Windows, feature: Windows, config: TaskConfig, rng: np.random.Generator
) -> tuple[Windows, Windows]:
    """Draw from the candidates, with the share of G and C of the feature where asked; return both, in proportion."""
    wanted = _wanted(feature, config)
    candidates = ground.usable(choose(candidates, _DRAWN * wanted, rng))
    gc = (ground.gc(feature), ground.gc(candidates)) if config.match_gc else None
    background = choose(candidates, wanted, rng, gc)
    if len(background) < wanted:
        kept = round(len(background) / config.negatives)
        feature = feature.select(np.sort(rng.permutation(len(feature))[:kept]))
    return feature, background


def _labelled(
    genome: Genome, found: Iterable[_Found], splits: dict[str, Split], config: TaskConfig, out: Path,
    places: list[_Place],
) -> Labelled:  # fmt: skip
    """Return the windows as labelled data, left to right on each contig, and put their places into `places`."""
    collector = Collector(str(out), genome.alphabet)
    for one in found:
        windows = Windows.join([one.feature, one.background])
        labels = np.repeat([config.feature or "", BACKGROUND], [len(one.feature), len(one.background)])
        symbols = genome.fetch(one.contig, 0, genome.length(one.contig))
        letters = Ground(symbols, genome.alphabet, config.length).letters(windows)
        for row in np.argsort(windows.starts, kind="stable").tolist():
            start = int(windows.starts[row])
            place = _Place(one.contig, start, start + config.length, "-" if windows.is_reverse[row] else "+")
            line = len(places) + _FIRST_LINE
            split = splits.get(one.contig)
            name = Stretch(Interval(*place[:3]), place.strand, str(out), line).name
            collector.add(
                letters[row], str(out), line, label=str(labels[row]), contig=one.contig, split=split, name=name
            )
            places.append(place)
    return collector.finish("single", [BACKGROUND, config.feature or ""])


def _write(out: Path, suffix: str, data: Labelled, places: list[_Place]) -> None:
    assert data.labels is not None
    with atomic_file(out) as temporary, open_text(temporary, suffix) as put:
        columns = [name for name in COLUMNS if name != "split" or data.splits is not None]
        put("\t".join(columns) + "\n")
        for row, place in enumerate(places):
            split = [] if data.splits is None else [SPLITS[data.splits[row]]]
            fields = [data.name(row), *map(str, place), *split, data.labels.text(row), data.sequences.text(row)]
            put("\t".join(fields) + "\n")


def _in_words(data: Labelled) -> str:
    """Return how many windows of each class each part has."""
    assert data.labels is not None
    codes = np.zeros(len(data), np.int8) if data.splits is None else data.splits
    parts = []
    for number, split in enumerate(SPLITS):
        here = data.labels.values[codes == number]
        if here.size:
            counts = np.bincount(here, minlength=2)
            background, feature = data.labels.classes
            told = f"{counts[1]:,} {feature}, {counts[0]:,} {background}"
            parts.append(told if data.splits is None else f"{split}: {told}")
    return "; ".join(parts)
