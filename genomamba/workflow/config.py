"""What the configuration of each workflow may hold: settings of its own, and settings of the commands that it calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from genomamba.classify.config import DataConfig, EmbedConfig, PartsConfig, TaskConfig
from genomamba.classify.finetune_config import FinetuneConfig, PredictConfig
from genomamba.classify.probe_config import ProbeConfig
from genomamba.config import PretrainConfig
from genomamba.score.config import EvaluateConfig, LikelihoodConfig
from genomamba.score.variants.config import CalibrateConfig, ScoreConfig

__all__ = ["GIVEN", "STUDY", "WORKFLOWS", "Workflow"]

GIVEN: Final = frozenset(
    {
        *("fasta", "vcf", "bed", "region", "regions_bed", "contigs", "chrom_map", "revision", "alphabet", "cache_dir"),
        *("data", "gff", "leaks", "classes"),
        *("out", "output_type", "warnings", "per_record", "lead", "shard", "calibration", "spill", "metrics", "report"),
        *("threads", "dry_run", "resume", "force"),
    }
)
"""Settings of commands that a workflow gives by itself."""


STUDY: Final = ("labels", "positive", "compare", "markov_order")
"""Settings of `ScoreConfig` that `genomamba merge` takes about scores that are there."""


@dataclass(frozen=True, kw_only=True)
class _Common:
    """What every workflow can be told."""

    name: str = "genome"
    """Of the folder of the results: results/NAME/."""
    fasta: tuple[str, ...] = ()
    """FASTA files; plain, gzip or BGZF. None: chromosome I of three yeasts, built in."""
    threads: int = 2
    """CPU threads of a job that trains or scores."""
    runtime: str = "4h"
    """Time that a cluster is asked to give such a job."""
    gpu: int = 0
    """GPUs that a cluster is asked to give a job that trains or scores; the commands take --device cuda by `device`."""


@dataclass(frozen=True, kw_only=True)
class _WithClasses(_Common):
    """What a workflow can be told that tells how well a model does."""

    classes: str | None = None
    """Tell what was held out by class of base too: BED, whose fourth column names a class such as exon or repeat,
    or GFF3 or GTF, which give CDS, exon, intron and intergenic."""


@dataclass(frozen=True, kw_only=True)
class _WithModel(_Common):
    """What a workflow can be told that takes a model, or trains one."""

    model: str | None = None
    """Folder of a model, or OWNER/NAME on the Hugging Face hub. None: one is trained, as `pretrain` says."""


@dataclass(frozen=True, kw_only=True)
class _WithNames(_WithModel):
    """What a workflow can be told that reads files about the genome."""

    chrom_map: str | None = None
    """Two-column file: contig as in the VCF or the annotation, name in the FASTA."""


@dataclass(frozen=True, kw_only=True)
class _WithVariants(_WithNames):
    """What a workflow can be told that scores variants."""

    fasta: tuple[str, ...] = field()
    """FASTA files of the reference; plain, gzip or BGZF."""
    cohorts: str
    """Sheet of the VCFs, which are sorted: a TSV with the columns cohort and vcf; or a mapping of one to the other."""
    background: str | None = None
    """VCF of background variants, such as common ones, for `calibrate`. None: random ones, drawn from the FASTA."""
    shard_records: int = 20_000
    """Most records of a shard, which is a job; shards are cut by contig and size."""


@dataclass(frozen=True, kw_only=True)
class _WithTrack(_WithModel):
    """What a workflow can be told that scores every base."""

    contigs: tuple[str, ...] = ()
    """Contigs to score: names, or patterns such as 'chr*'. None: all but alternative, unplaced, viral."""
    track_bases: int = 50_000_000
    """Bases that a job scores: whole contigs that follow each other, and at least one."""


@dataclass(frozen=True, kw_only=True)
class _WithTasks(_WithNames):
    """What a workflow can be told that classifies sequences."""

    gff: str | None = None
    """Annotation of the genome, GFF3 or GTF, plain or gzip, that `tasks` are made from."""


@dataclass(frozen=True, kw_only=True)
class _WithAll(_WithTrack, _WithVariants, _WithTasks, _WithClasses):
    """What a workflow can be told that does all of it."""

    fasta: tuple[str, ...] = field()
    """FASTA files of the genome; plain, gzip or BGZF."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """One workflow.

    Attributes
    ----------
    does : str
        One line.
    settings : type
        Dataclass of its own settings.
    sections : dict of str to type
        Settings of commands, by the key that they stand under.
    named : dict of str to tuple of type
        Settings of things of which there may be several, each under its name, by the key that these stand under.
    optional : frozenset of str
        Sections that are not run where they are left out or null.
    """

    does: str
    settings: type
    sections: Mapping[str, type]
    named: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()


_TRAINING: Final = {"pretrain": PretrainConfig}
_SCORING: Final = {"calibrate": CalibrateConfig, "score": ScoreConfig, "merge": ScoreConfig}
_CLASSIFYING: Final = {"embed": EmbedConfig, "probe": ProbeConfig, "finetune": FinetuneConfig, "predict": PredictConfig}
_LABELLED: Final = {"tasks": (TaskConfig, PartsConfig), "data": (DataConfig, PartsConfig)}

WORKFLOWS: Final = {
    "pretrain": Workflow(
        does="FASTA to a model, its report, and what context is worth to it",
        settings=_WithClasses,
        sections=_TRAINING | {"evaluate": EvaluateConfig},
        optional=frozenset({"evaluate"}),
    ),
    "score_variants": Workflow(
        does="VCFs to scored VCFs, in shards",
        settings=_WithVariants,
        sections=_TRAINING | _SCORING,
        optional=frozenset({"calibrate"}),
    ),
    "classify": Workflow(
        does="annotation, BED or labelled sequences to classifiers, each beside its baselines",
        settings=_WithTasks,
        sections=_TRAINING | _CLASSIFYING,
        named=_LABELLED,
        optional=frozenset(_CLASSIFYING),
    ),
    "genome_track": Workflow(
        does="log-likelihood of every base of a genome, contigs apart, as one bigWig",
        settings=_WithTrack,
        sections=_TRAINING | {"likelihood": LikelihoodConfig},
    ),
    "all": Workflow(
        does="FASTA, VCFs and labels to a model, its report, a track, scored VCFs, and classifiers",
        settings=_WithAll,
        sections=_TRAINING | {"evaluate": EvaluateConfig} | _SCORING | {"likelihood": LikelihoodConfig} | _CLASSIFYING,
        named=_LABELLED,
        optional=frozenset({"evaluate", "calibrate", *_CLASSIFYING}),
    ),
}
