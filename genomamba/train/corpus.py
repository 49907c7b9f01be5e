"""The bases of a run: one genome or several, what of them trains, validates and tests, and how they are mixed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from genomamba.alphabet import Alphabet
from genomamba.config import PretrainConfig
from genomamba.coordinates import Interval
from genomamba.data.bed import intersect, read_bed, read_weighted, subtract
from genomamba.data.classes import RegionClasses, read_classes
from genomamba.data.examples import example_paths
from genomamba.data.genome import Genome
from genomamba.data.mixture import MixedStream, Part
from genomamba.data.sheet import Row, read_sheet
from genomamba.data.source import checksum
from genomamba.data.stream import SampleStream, windows_of
from genomamba.data.windows import Split, make_split
from genomamba.errors import ConfigError, DataError

__all__ = ["Corpus", "Member", "open_corpus", "species_ids"]

DEFAULT_SHARE: Final = 0.05
MOST_HELD_OUT: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Member:
    """One genome of a run.

    Attributes
    ----------
    name : str
        Of the genome; empty where there is one alone.
    species : int or None
        Token of its species, where the model is told.
    share : float
        Of the windows, 0 to 1.
    split : Split
        Its part of the corpus's.
    softmask_weight : float
    regions : mapping of float to intervals
        Training stretches by weight.
    """

    name: str
    species: int | None
    share: float
    split: Split
    softmask_weight: float
    regions: Mapping[float, tuple[Interval, ...]]


@dataclass(frozen=True, slots=True)
class Corpus:
    """All genomes of a run as one, whose contigs are named GENOME/CONTIG where there are several.

    Attributes
    ----------
    genome : Genome
    split : Split
        In the order of the members.
    members : tuple of Member
    inputs : list of dict
        Path, bytes and SHA-256 of each file that the bases came from, the sheet among them.
    classes : RegionClasses or None
        Classes of bases that held-out figures are told for.
    class_files, region_files : list of dict
        Path, bytes and SHA-256 of each file of classes, and of what is held out, left out or weighted.
    """

    genome: Genome
    split: Split
    members: tuple[Member, ...]
    inputs: list[dict[str, Any]]
    classes: RegionClasses | None = None
    class_files: list[dict[str, Any]] = field(default_factory=list)
    region_files: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_mixed(self) -> bool:
        """Whether windows are drawn by shares, rather than in one order."""
        return len(self.members) > 1 or len(self.members[0].regions) > 1 or self.members[0].species is not None

    @property
    def species(self) -> dict[str, int]:
        """Return the token of the species of each contig; empty where the model is not told."""
        return {
            interval.contig: member.species
            for member in self.members
            if member.species is not None
            for part in (member.split.train, member.split.valid, member.split.test)
            for interval in part
        }

    def padding(self, context: int) -> float:
        """Return the share of the positions of training windows, 0 to 1, that follow the end of a stretch."""
        read = 0.0
        for member in self.members:
            windows = positions = 0.0
            for weight, regions in member.regions.items():
                for region in regions:
                    count = weight * windows_of(len(region), context)
                    windows, positions = windows + count, positions + count * min(len(region), context)
            read += member.share * positions / (windows * context) if windows else 0.0
        return 1 - read

    def stream(
        self, *, context: int, seed: int, strand: Literal["random", "forward"], max_n: float
    ) -> SampleStream | MixedStream:
        """Return the training windows of a context."""
        common: dict[str, Any] = {"context": context, "strand": strand, "max_n": max_n}
        if not self.is_mixed:
            (only,) = self.members
            (regions,) = only.regions.values()
            return SampleStream(self.genome, regions, seed=seed, softmask_weight=only.softmask_weight, **common)
        parts = []
        for member in (one for one in self.members if one.split.train):
            streams = {
                weight: SampleStream(self.genome, regions, seed=seed, softmask_weight=member.softmask_weight, **common)
                for weight, regions in member.regions.items()
            }
            whole = sum(weight * stream.windows_per_epoch for weight, stream in streams.items())
            parts += [
                Part(stream, member.share * weight * stream.windows_per_epoch / whole, member.species)
                for weight, stream in streams.items()
            ]
        return MixedStream(parts, seed=seed)


def open_corpus(config: PretrainConfig, alphabet: Alphabet) -> Corpus:
    """Open the genomes of a run and divide them, as its settings say.

    Raises
    ------
    ConfigError
        For options that contradict one another, and where nothing is left to train on.
    DataError
        For input that cannot be read.
    """
    if config.genomes is None:
        for name in ("mix_power", "species_token"):
            if getattr(config, name):
                raise ConfigError("is of a mixture of genomes; give those by --genomes", option=name)
        return _one(config, alphabet)
    for name in (
        "fasta",
        "contigs",
        "chrom_map",
        "valid",
        "test",
        "valid_bed",
        "test_bed",
        "regions_bed",
        "exclude_bed",
        "classes",
    ):
        if getattr(config, name):
            raise ConfigError("and --genomes cannot be given together; the table has a column for each", option=name)
    return _several(config, alphabet)


def _one(config: PretrainConfig, alphabet: Alphabet) -> Corpus:
    test = config.test
    paths: list[str | Path] = list(config.fasta)
    if not paths:
        paths = [species["fasta"] for species in example_paths().values()]
    genome = Genome.open(
        paths, alphabet, cache_dir=config.cache_dir, contigs=config.contigs, chrom_map=config.chrom_map
    )
    if not config.fasta and not config.contigs and not test and config.test_bed is None:
        learnt = genome.contigs[0].path
        test = tuple(contig.name for contig in genome.contigs if contig.path != learnt)
    split = make_split(
        genome,
        valid=config.valid,
        test=test,
        valid_bed=config.valid_bed,
        test_bed=config.test_bed,
        **_shares(config, genome),
    )
    split, regions = _narrowed(genome, split, config.exclude_bed, config.regions_bed)
    member = Member("", None, 1.0, split, config.softmask_weight, regions)
    classes = None if config.classes is None else read_classes(config.classes, genome)
    files = [config.valid_bed, config.test_bed, config.exclude_bed, config.regions_bed]
    return Corpus(genome, split, (member,), genome.inputs, classes, _facts_of([config.classes]), _facts_of(files))


def _several(config: PretrainConfig, alphabet: Alphabet) -> Corpus:
    assert config.genomes is not None
    rows = read_sheet(config.genomes)
    genomes, members, classes = {}, [], dict[str, RegionClasses]()
    tokens = species_ids(rows, alphabet) if config.species_token else {}
    for row in rows:
        with _told_of(config.genomes, row):
            genome = Genome.open(row.fasta, alphabet, cache_dir=config.cache_dir, contigs=row.contigs)
            split = make_split(
                genome, valid=row.valid, test=row.test, may_be_whole="*" in row.test, **_shares(config, genome)
            )
            split, regions = _narrowed(genome, split, row.exclude_bed, row.regions_bed)
            if row.classes is not None:
                classes[row.name] = read_classes(row.classes, genome)
            if not split.train and row.weight is not None:
                raise DataError("it is held out whole, so no window is drawn from it; leave its weight empty")
        genomes[row.name] = genome
        soft = config.softmask_weight if row.softmask_weight is None else row.softmask_weight
        named = {weight: _named(row.name, intervals) for weight, intervals in regions.items()}
        own = Split(*(_named(row.name, part) for part in (split.train, split.valid, split.test)))
        members.append(Member(row.name, tokens.get(row.species), 1.0, own, soft, named))
    if not any(member.split.train for member in members):
        raise ConfigError(f"{config.genomes}: every genome is held out whole; leave one to train on")
    shares = _mixed(rows, members, config.mix_power)
    members = [replace(member, share=share) for member, share in zip(members, shares, strict=True)]
    whole = Split(*(tuple(x for m in members for x in getattr(m.split, part)) for part in ("train", "valid", "test")))
    joined = Genome.join(genomes)
    return Corpus(
        joined,
        whole,
        tuple(members),
        [*joined.inputs, _file_facts(config.genomes)],
        RegionClasses.join(classes) if classes else None,
        _facts_of(row.classes for row in rows),
        _facts_of(path for row in rows for path in (row.exclude_bed, row.regions_bed)),
    )


@contextmanager
def _told_of(sheet: str, row: Row) -> Iterator[None]:
    """Have what is wrong with a file name the genome of the sheet that it is of."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{sheet}: genome {row.name!r}: {error}") from error
    except ConfigError as error:
        if error.option is not None:
            raise
        raise ConfigError(f"{sheet}: genome {row.name!r}: {error}") from error


def _facts_of(paths: Iterable[str | None]) -> list[dict[str, Any]]:
    """Return those of each file once, in this order."""
    return [_file_facts(path) for path in dict.fromkeys(paths) if path is not None]


def _file_facts(path: str) -> dict[str, Any]:
    return {"path": path, "bytes": Path(path).stat().st_size, "sha256": checksum(Path(path))}


def species_ids(rows: Sequence[Row], alphabet: Alphabet) -> dict[str, int]:
    """Return a token for each species, from the first id that stands for nothing on, in the order of the rows."""
    species = dict.fromkeys(row.species for row in rows)
    return {name: alphabet.used_ids + number for number, name in enumerate(species)}


def _shares(config: PretrainConfig, genome: Genome) -> dict[str, Any]:
    default = min(DEFAULT_SHARE, MOST_HELD_OUT / sum(contig.length for contig in genome.contigs))
    return {
        "valid_share": default if config.valid_share is None else config.valid_share,
        "test_share": default if config.test_share is None else config.test_share,
        "seed": config.seed,
    }


def _narrowed(
    genome: Genome, split: Split, exclude_bed: str | None, regions_bed: str | None
) -> tuple[Split, dict[float, tuple[Interval, ...]]]:
    """Take out what is excluded, and return the training stretches by weight."""
    trains = bool(split.train)
    if exclude_bed is not None:
        excluded = read_bed(exclude_bed, genome)
        split = Split(*(tuple(subtract(part, excluded)) for part in (split.train, split.valid, split.test)))
    regions = {1.0: split.train}
    if regions_bed is not None:
        weighted = read_weighted(regions_bed, genome)
        found = {weight: tuple(intersect(split.train, intervals)) for weight, intervals in weighted.items()}
        regions = {weight: intervals for weight, intervals in found.items() if intervals}
        inside = [one for intervals in regions.values() for one in intervals]
        split = Split(tuple(intersect(split.train, inside)), split.valid, split.test)
    if trains and not split.train:
        source = regions_bed or exclude_bed
        raise DataError(f"{source}: leaves no base of {genome.contigs[0].path} to train on; name other stretches")
    return split, regions


def _named(name: str, intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    return tuple(replace(interval, contig=f"{name}/{interval.contig}") for interval in intervals)


def _mixed(rows: Sequence[Row], members: Sequence[Member], power: float | None) -> list[float]:
    """Return the share of each genome: its weight times its size to a power, of the sum of these."""
    is_weighted = any(row.weight is not None for row in rows)
    if power is None:
        power = 0.0 if is_weighted else 1.0
    sizes = [sum(map(len, member.split.train)) for member in members]
    wanted = [
        (1.0 if row.weight is None else row.weight) * size**power if size else 0.0
        for row, size in zip(rows, sizes, strict=True)
    ]
    return [one / sum(wanted) for one in wanted]
