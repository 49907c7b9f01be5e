"""Everything settled before the first step: defaults resolved, data opened, network built, cost measured."""

from __future__ import annotations

import dataclasses
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from genomamba.alphabet import get_alphabet
from genomamba.config import PRESETS, ModelConfig, Preset, PretrainConfig, check_no_leak
from genomamba.coordinates import Interval
from genomamba.data.examples import example_paths
from genomamba.data.genome import Genome
from genomamba.data.stream import SampleStream
from genomamba.data.windows import Split, make_split
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel, count_parameters
from genomamba.model.checkpoint import load_model
from genomamba.model.threads import set_threads
from genomamba.train.device import choose_device, choose_precision
from genomamba.train.schedule import Limits

__all__ = ["Cost", "Plan", "make_plan", "run_path"]

DEFAULT_PASSES, DEFAULT_TOKENS_PER_PARAMETER = 10, 100
DEFAULT_SHARE, MOST_HELD_OUT = 0.05, 10_000_000
VALIDATIONS_A_RUN: Final = 20


@dataclass(frozen=True, slots=True)
class DeviceDefaults:
    """Settings that depend on the device, where the user gives none."""

    preset: Preset
    context: int
    tokens_per_batch: int
    workers: int


DEVICE_DEFAULTS: Final = {"cpu": DeviceDefaults("tiny", 1_024, 8_192, 0)}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step costs on this machine, measured.

    Attributes
    ----------
    step_s : float
        Seconds of one step, accumulation included.
    memory_mib : float
        Largest resident memory of the process so far, in MiB.
    """

    step_s: float
    memory_mib: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A run that can start.

    Attributes
    ----------
    config : PretrainConfig
        With every default that shapes the run filled in; --config takes it back.
    genome, split, stream
        The data.
    model : LanguageModel
        Initialised, or as given by --init, on `device`.
    limits : Limits
        Where the run ends.
    """

    config: PretrainConfig
    genome: Genome
    split: Split
    stream: SampleStream
    model: LanguageModel
    limits: Limits
    device: torch.device
    precision: torch.dtype
    threads: int

    @property
    def samples_per_step(self) -> int:
        """Windows that one optimiser step consumes."""
        assert self.config.batch_size is not None
        return self.config.batch_size * self.config.accumulate

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimiser step reads."""
        return self.samples_per_step * self.context

    @property
    def context(self) -> int:
        """Bases of a window."""
        assert self.config.context is not None
        return self.config.context

    def expected_steps(self, cost: Cost) -> int:
        """Steps until the nearest limit, by the time a step takes."""
        limits = [
            self.limits.max_steps,
            -(-self.limits.max_tokens // self.tokens_per_step) if self.limits.max_tokens else None,
            int(self.limits.max_minutes * 60 / cost.step_s) if self.limits.max_minutes else None,
        ]
        return max(1, min(steps for steps in limits if steps is not None))

    def training_facts(self) -> dict[str, Any]:
        """What a checkpoint says of its training."""
        config = self.config
        return {"objective": config.objective, "strand": config.strand, "context": config.context, "seed": config.seed}

    def describe(self, cost: Cost) -> str:
        """The plan in words, a line a subject."""
        config, model = self.config, self.model.config
        files = ", ".join(sorted({contig.path.name for contig in self.genome.contigs}))
        steps = self.expected_steps(cost)
        tokens = steps * self.tokens_per_step
        train_bases = sum(map(len, self.split.train))
        limit = ", ".join(
            f"{flag} {value:,}"
            for flag, value in (
                ("--max-steps", config.max_steps),
                ("--max-tokens", config.max_tokens),
                ("--max-minutes", config.max_minutes),
            )
            if value is not None
        )
        strands = "both strands at once" if model.equivariant else f"strand {config.strand}"
        rows = {
            "genome": f"{files}: {_contigs(self.genome.contigs)}",
            "left out": _contigs(self.genome.excluded),
            "train": _intervals(self.split.train),
            "validate": _intervals(self.split.valid),
            "test": _intervals(self.split.test),
            "model": f"{config.preset or 'as --init'}: {model.direction}, {model.num_layers} layers, "
            f"d_model {model.d_model}, d_state {model.d_state}, {count_parameters(self.model):,} parameters",
            "objective": f"{config.objective}, {strands}, {self.context:,} bases of context",
            "training": f"about {steps:,} steps of {self.samples_per_step} windows: {tokens:,} bases, "
            f"{tokens / train_bases:.1f} passes over the training part",
            "stops at": limit,
            "device": f"{self.device}, {self.threads} threads, {str(self.precision).removeprefix('torch.')}",
            "memory": f"{cost.memory_mib:,.0f} MiB, measured over one step",
            "time": f"about {_duration(steps * cost.step_s)}, {self.tokens_per_step / cost.step_s:,.0f} bases/s "
            "measured, validation not counted",
            "run folder": str(config.out),
        }
        return "\n".join(f"{name:>11}  {text}" for name, text in rows.items() if text)

    def measure(self) -> Cost:
        """Run one batch forward and backward twice, and time the second; weights and generators stay as they are."""
        from genomamba.train.objective import make_collate
        from genomamba.train.step import backward

        assert self.config.batch_size is not None
        collate = make_collate(self.config.objective, self.config.alphabet, self.config.seed)
        samples = [self.stream[i] for i in range(self.config.batch_size)]
        for _ in range(2):
            start = time.perf_counter()
            backward(self.model, collate(samples).to(self.device), self.config.batch_size, self.precision)
            step_s = (time.perf_counter() - start) * self.config.accumulate
            self.model.zero_grad(set_to_none=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # Linux counts in KiB, macOS in bytes.
        return Cost(step_s, peak / 2**20 if sys.platform == "darwin" else peak / 2**10)


def make_plan(config: PretrainConfig) -> Plan:
    """Resolve defaults, open the genome, and build the network.

    Raises
    ------
    ConfigError
        For options that contradict one another.
    DataError
        For input that cannot be read.
    RunError
        For --init weights that cannot be loaded.
    """
    device = choose_device(config.device)
    threads = set_threads(config.threads)
    config = _resolve(config, device)
    model_config = _model_config(config)
    genome, split = _open_data(config)
    assert config.context is not None
    assert config.strand is not None
    stream = SampleStream(
        genome,
        split.train,
        context=config.context,
        seed=config.seed,
        strand="forward" if config.strand == "equivariant" else config.strand,
        max_n=config.max_n,
        softmask_weight=config.softmask_weight,
    )
    torch.manual_seed(config.seed)
    model = LanguageModel(model_config) if config.init is None else load_model(Path(config.init))
    config = _resolve_limits(config, model, split)
    return Plan(
        config=config,
        genome=genome,
        split=split,
        stream=stream,
        model=model.to(device),
        limits=Limits(config.max_steps, config.max_tokens, config.max_minutes),
        device=device,
        precision=choose_precision(config.precision),
        threads=threads,
    )


def _resolve(config: PretrainConfig, device: torch.device) -> PretrainConfig:
    defaults = DEVICE_DEFAULTS[device.type]
    direction = config.direction or ("causal" if config.objective == "next_token" else "bidirectional")
    strand = config.strand or ("random" if get_alphabet(config.alphabet).has_complement else "forward")
    if strand != "forward" and not get_alphabet(config.alphabet).has_complement:
        raise ConfigError(f"--strand {strand} needs a complement, which {config.alphabet} lacks; use --strand forward")
    check_no_leak(direction=direction, objective=config.objective, equivariant=strand == "equivariant")
    context = config.context or defaults.context
    return dataclasses.replace(
        config,
        direction=direction,
        strand=strand,
        preset=config.preset or (None if config.init else defaults.preset),
        context=context,
        batch_size=config.batch_size or max(1, defaults.tokens_per_batch // context),
        workers=defaults.workers if config.workers is None else config.workers,
        out=str(run_path(config)),
        resume=False,
        force=False,
        dry_run=False,
    )


def _model_config(config: PretrainConfig) -> ModelConfig:
    assert config.direction is not None
    if config.init is not None:
        model = load_model(Path(config.init)).config
        equivariant = config.strand == "equivariant"
        asked = {"alphabet": config.alphabet, "direction": config.direction, "equivariant": equivariant}
        for name, value in asked.items():
            if (has := getattr(model, name)) != value:
                raise ConfigError(f"--init {config.init} has {name} {has}, the options ask for {value}")
        if config.preset or config.d_model or config.num_layers or config.d_state:
            raise ConfigError("--init fixes the shape; leave out --preset, --d-model, --num-layers and --d-state")
        return model
    assert config.preset is not None
    given = {"d_model": config.d_model, "num_layers": config.num_layers, "d_state": config.d_state}
    shape: dict[str, Any] = PRESETS[config.preset] | {name: size for name, size in given.items() if size is not None}
    return ModelConfig(
        alphabet=config.alphabet,
        direction=config.direction,
        equivariant=config.strand == "equivariant",
        **shape,
    )


def _open_data(config: PretrainConfig) -> tuple[Genome, Split]:
    alphabet = get_alphabet(config.alphabet)
    test = config.test
    paths: list[str | Path] = list(config.fasta)
    if not paths:
        examples = example_paths()
        paths = [species["fasta"] for species in examples.values()]
    genome = Genome.open(
        paths, alphabet, cache_dir=config.cache_dir, contigs=config.contigs, chrom_map=config.chrom_map
    )
    if not config.fasta and not config.contigs and not test and config.test_bed is None:
        learnt = genome.contigs[0].path
        test = tuple(contig.name for contig in genome.contigs if contig.path != learnt)
    default_share = min(DEFAULT_SHARE, MOST_HELD_OUT / sum(contig.length for contig in genome.contigs))
    split = make_split(
        genome,
        valid=config.valid,
        test=test,
        valid_bed=config.valid_bed,
        test_bed=config.test_bed,
        valid_share=default_share if config.valid_share is None else config.valid_share,
        test_share=default_share if config.test_share is None else config.test_share,
        seed=config.seed,
    )
    return genome, split


def _resolve_limits(config: PretrainConfig, model: LanguageModel, split: Split) -> PretrainConfig:
    if config.max_steps is not None or config.max_tokens is not None or config.max_minutes is not None:
        return config
    passes = DEFAULT_PASSES * sum(map(len, split.train))
    return dataclasses.replace(config, max_tokens=min(passes, DEFAULT_TOKENS_PER_PARAMETER * count_parameters(model)))


def run_path(config: PretrainConfig) -> Path:
    """Where the run goes: --out, or runs/NAME after the first FASTA."""
    if config.out:
        return Path(config.out)
    return Path("runs", Path(config.fasta[0]).name.split(".")[0] or "run" if config.fasta else "yeasts")


def _contigs(contigs: tuple[Any, ...]) -> str:
    if not contigs:
        return ""
    names = ", ".join(contig.name for contig in contigs[:4])
    more = f" and {len(contigs) - 4} more" if len(contigs) > 4 else ""
    return f"{len(contigs)} contigs ({names}{more}), {sum(contig.length for contig in contigs):,} bases"


def _intervals(intervals: tuple[Interval, ...]) -> str:
    if not intervals:
        return "nothing"
    contigs = list(dict.fromkeys(interval.contig for interval in intervals))
    names = ", ".join(contigs[:4]) + (f" and {len(contigs) - 4} more" if len(contigs) > 4 else "")
    return f"{sum(map(len, intervals)):,} bases in {len(intervals)} stretches of {names}"


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
