"""Everything settled before the first step: defaults resolved, data opened, network built, cost measured."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import torch

from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.config import PRESETS, Direction, ModelConfig, Preset, PretrainConfig, check_no_leak
from genomamba.data.genome import Genome
from genomamba.data.lanes import LaneStream
from genomamba.data.sheet import read_sheet
from genomamba.data.stream import StagedStream, Stream
from genomamba.data.windows import Split
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel, count_parameters
from genomamba.model.checkpoint import is_hub_name, load_model
from genomamba.model.process import keep_freed_memory, set_threads
from genomamba.model.state import MambaState
from genomamba.train.corpus import Corpus, open_corpus, species_ids
from genomamba.train.device import choose_precision, choose_training_device
from genomamba.train.distributed import Ranks
from genomamba.train.resume import checkpoints
from genomamba.train.schedule import Limits
from genomamba.train.sharing import check_division
from genomamba.train.stages import Stage, Stages, read_schedule

__all__ = ["Cost", "Plan", "gives_back", "make_plan", "open_data", "run_path"]

_log = logging.getLogger("genomamba")

DEFAULT_PASSES, DEFAULT_TOKENS_PER_PARAMETER = 10, 100
VALIDATIONS_A_RUN: Final = 20
VALIDATION_SHARE: Final = 0.2
"""Of a run, the most that validations take, where it is not said how often."""
MOST_PADDING: Final = 0.01
"""Of the positions of windows, what is not told."""
LARGE_BATCH: Final = 65_536
"""Tokens from which on a batch's tensors are blocks that go back to the system."""
_LARGE: Final = 8 * 2**20


@dataclass(frozen=True, slots=True)
class DeviceDefaults:
    """Settings that depend on the device, where the user gives none."""

    preset: Preset
    context: int
    tokens_per_batch: int
    workers: int


# On a GPU a batch is reckoned to take 2.3 GiB in bfloat16; what four processes have read ahead, 20 MiB, fits the 64 MiB
# of shared memory that a container has unless told otherwise.
DEVICE_DEFAULTS: Final = {
    "cpu": DeviceDefaults("tiny", 1_024, 8_192, 0),
    "cuda": DeviceDefaults("small", 1_024, 131_072, 4),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step costs on this machine.

    Attributes
    ----------
    step_s : float
        Seconds of one step of the last turn, accumulation included.
    forward_s : float
        Seconds of one of its batches forward in float32, as in validation.
    memory_mib : float
        Largest resident memory of the process through a step of the largest turn, in MiB.
    is_measured : bool
        Whether all of a batch was run; else a part was, and the rest is reckoned from it.
    """

    step_s: float
    forward_s: float
    memory_mib: float
    is_measured: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A run that can start.

    Attributes
    ----------
    config : PretrainConfig
        With every default that shapes the run filled in; --config takes it back.
    corpus, stream
        The data; `stream` of all turns.
    stages : Stages
        Contexts, batches and learning rates of the run's turns.
    model : LanguageModel
        Initialised, or as given by --init, on `device`.
    limits : Limits
        Where the run ends.
    """

    config: PretrainConfig
    corpus: Corpus
    stream: Stream
    stages: Stages
    model: LanguageModel
    limits: Limits
    device: torch.device
    precision: torch.dtype
    threads: int
    ranks: Ranks = field(default_factory=Ranks)

    @property
    def genome(self) -> Genome:
        """All bases of the run."""
        return self.corpus.genome

    @property
    def split(self) -> Split:
        """What of them trains, validates and tests."""
        return self.corpus.split

    @property
    def context(self) -> int:
        """Bases of a window of the last turn, with which held-out bases are scored."""
        return self.stages.last.context

    @property
    def recomputed_layers(self) -> int:
        """Layers of which one input is kept for backward; 0 where everything is."""
        return self.config.recompute_layers if self.config.recompute else 0

    def own_windows(self, stage: Stage) -> int:
        """Windows that this rank runs at once."""
        return stage.windows // self.ranks.data

    def own_tokens(self, stage: Stage) -> int:
        """Positions that this rank runs at once."""
        return self.own_windows(stage) * stage.context // self.ranks.context

    def expected_steps(self, cost: Cost) -> int:
        """Steps until the nearest limit, by the time that steps and validations take."""
        limits = [
            self.limits.max_steps,
            self.stages.steps_for(self.limits.max_tokens) if self.limits.max_tokens else None,
            self._steps_in(self.limits.max_minutes * 60, cost) if self.limits.max_minutes else None,
        ]
        return max(1, min(steps for steps in limits if steps is not None))

    def expected_bases(self, steps: int) -> int:
        """Bases that the first `steps` steps read, without padding."""
        read = self.stages.tokens_by_turn(steps)
        return round(sum(tokens * (1 - self.corpus.padding(turn.context)) for turn, tokens in read))

    def new_lanes(self) -> MambaState | None:
        """Return the states that a run which carries them begins with, a row a lane of this rank, else None."""
        if not self.config.carry_state:
            return None
        lanes = self.own_windows(self.stages.last) * self.stages.accumulate
        return MambaState.start(self.model.config, lanes, self.device)

    def valid_every(self, cost: Cost) -> int:
        """Steps between validations."""
        return self.config.valid_every or -(-self.expected_steps(cost) // self._validations(cost))

    def checkpoint_every(self, cost: Cost) -> int:
        """Steps between checkpoints."""
        given = self.config.checkpoint_every or self.config.valid_every
        return given or max(1, self.expected_steps(cost) // VALIDATIONS_A_RUN)

    def scoring_s(self, bases: int, cost: Cost) -> float:
        """Seconds in which so many held-out bases are scored."""
        a_batch = self.stages.last.windows * self.stages.last.context
        return self._read_to_score(bases) * cost.forward_s / a_batch

    def validation_s(self, cost: Cost) -> float:
        """Seconds of one validation."""
        return self.scoring_s(self._validated, cost)

    @property
    def _validated(self) -> int:
        """Bases of one validation."""
        return min(sum(map(len, self.split.valid)), self.config.valid_bases)

    def _read_to_score(self, bases: int) -> int:
        """Bases that are read to score so many: windows of a causal model overlap by half."""
        return 2 * bases if self.config.objective == "next_token" else bases

    def _validations(self, cost: Cost) -> int:
        """Validations of a run, where the options do not say: not so many that they take more than a fifth of it."""
        if not self._validated:
            return VALIDATIONS_A_RUN
        limits, most = self.limits, [VALIDATIONS_A_RUN]
        if limits.max_steps or limits.max_tokens:
            tokens = [self.stages.tokens(limits.max_steps)] if limits.max_steps else []
            tokens += [limits.max_tokens] if limits.max_tokens else []
            # Forward and backward take three times what forward takes.
            most.append(int(VALIDATION_SHARE * 3 * min(tokens) / self._read_to_score(self._validated)))
        if limits.max_minutes:
            most.append(int(VALIDATION_SHARE * limits.max_minutes * 60 / self.validation_s(cost)))
        return max(1, min(most))

    def _steps_in(self, seconds: float, cost: Cost) -> int:
        each_s = self.validation_s(cost)
        if self.config.valid_every:
            return int(seconds / (cost.step_s + each_s / self.config.valid_every))
        # The last one comes when the time is over.
        return int((seconds - (self._validations(cost) - 1) * each_s) / cost.step_s)

    def training_facts(self) -> dict[str, Any]:
        """What a checkpoint says of its training."""
        config = self.config
        facts = {"objective": config.objective, "strand": config.strand, "context": config.context, "seed": config.seed}
        tokens = {member.name: member.species for member in self.corpus.members if member.species is not None}
        return facts | ({"species_tokens": tokens} if tokens else {})


def make_plan(config: PretrainConfig, ranks: Ranks | None = None) -> Plan:
    """Resolve defaults, open the genome, and build the network, as one of the ranks of the run.

    Raises
    ------
    ConfigError
        For options that contradict one another.
    DataError
        For input that cannot be read.
    RunError
        For --init weights that cannot be loaded.
    """
    ranks = ranks or Ranks()
    device = choose_training_device(ranks.device_name(config.device))
    threads = set_threads(config.threads)
    given = _given_weights(config)
    config = _resolve(config, device)
    model_config = given.config if given is not None else _model_config(config)
    corpus = open_corpus(config, get_alphabet(model_config.alphabet))
    split = corpus.split
    _check_room(corpus, model_config)
    stages = _stages(config)
    check_division(config, stages, model_config, ranks)
    largest = stages.largest.windows * stages.largest.context // ranks.size
    keep_freed_memory(below=gives_back(largest, model_config, recompute=config.recompute))
    stream = _stream(config, stages, corpus)
    _tell_of_short_stretches(corpus, stages)
    torch.manual_seed(config.seed)
    model = LanguageModel(model_config) if given is None else given
    model.set_recompute(config.recompute, config.recompute_layers)
    config = _resolve_limits(config, model, split)
    return Plan(
        config=config,
        corpus=corpus,
        stream=stream,
        stages=stages,
        model=model.to(device),
        limits=Limits(config.max_steps, config.max_tokens, config.max_minutes),
        device=device,
        precision=getattr(torch, config.precision),
        threads=threads,
        ranks=ranks,
    )


def _tell_of_short_stretches(corpus: Corpus, stages: Stages) -> None:
    """Warn where windows are padded, and where no held-out base is read with all of the context."""
    context, train = max(turn.context for turn in stages.turns), corpus.split.train
    if (padding := corpus.padding(context)) >= MOST_PADDING:
        short = sum(len(one) < context for one in train)
        _log.warning(
            "--context %s is longer than %s of %s training stretches, the longest of %s bases: %.0f%% of the positions "
            "of windows are padding", f"{context:,}", f"{short:,}", f"{len(train):,}", f"{max(map(len, train)):,}",
            100 * padding,
        )  # fmt: skip
    context, held = stages.last.context, {"validation": corpus.split.valid, "test": corpus.split.test}
    longest = {name: max(map(len, part)) for name, part in held.items() if part}
    if too_short := [f"{name} ({bases:,})" for name, bases in longest.items() if bases < context]:
        _log.warning(
            "--context %s is longer than the longest held-out stretch of %s: what so much context is worth is not "
            "seen there; hold out whole contigs", f"{context:,}", " and ".join(too_short),
        )  # fmt: skip


def gives_back(tokens: int, config: ModelConfig, *, recompute: bool) -> int | None:
    """Return from how many bytes on the blocks of a step over so many tokens go back to the system when they are freed.

    Of long batches all that grows with the length: what a segment of the CPU kernels takes is smaller, and is kept.
    None keeps all.
    """
    if tokens >= LARGE_BATCH:
        return min(_LARGE, config.d_inner * 4 * 4_096)
    return _LARGE if recompute else None


def _given_weights(config: PretrainConfig) -> LanguageModel | None:
    """Load the weights that --init names; of a run that goes on, those of its newest checkpoint stand for them."""
    if config.init is None:
        if config.revision is not None:
            raise ConfigError("--revision is that of a hub name in --init; give both, or leave it out")
        return None
    if config.preset or config.d_model or config.num_layers or config.d_state:
        raise ConfigError("--init fixes the shape; leave out --preset, --d-model, --num-layers and --d-state")
    out, init = run_path(config), Path(config.init)
    if config.force and init.resolve().is_relative_to(out.resolve()):
        raise ConfigError(f"--force would remove {out}, which holds the weights of --init; give another --out")
    going_on = checkpoints(out) if config.resume else []
    model = load_model(going_on[-1]) if going_on else load_model(config.init, revision=config.revision)
    if (letters := get_alphabet(model.config.alphabet).letters) != config.alphabet:
        raise ConfigError(f"--init {config.init} reads {letters}, the options ask for {config.alphabet}")
    asked = {
        "direction": _direction(config),
        "equivariant": config.strand == "equivariant",
    }
    for name, value in asked.items():
        if getattr(model.config, name) != value:
            has = getattr(model.config, name)
            raise ConfigError(f"--init {config.init} has {name} {has}, the options ask for {value}")
    return model


def _direction(config: PretrainConfig) -> Direction:
    return config.direction or ("causal" if config.objective == "next_token" else "bidirectional")


def _resolve(config: PretrainConfig, device: torch.device) -> PretrainConfig:
    defaults = DEVICE_DEFAULTS[device.type]
    direction = _direction(config)
    strand = config.strand or ("random" if get_alphabet(config.alphabet).has_complement else "forward")
    if strand != "forward" and not get_alphabet(config.alphabet).has_complement:
        raise ConfigError(f"--strand {strand} needs a complement, which {config.alphabet} lacks; use --strand forward")
    check_no_leak(direction=direction, objective=config.objective, equivariant=strand == "equivariant")
    if config.carry_state and config.objective != "next_token":
        raise ConfigError(
            "is for causal models, since a state holds what lies left of a window, and this one reads both sides; "
            "leave it out, or take --objective next_token",
            option="carry_state",
        )
    config = _with_schedule(config, defaults.tokens_per_batch)
    context = config.context or defaults.context
    return dataclasses.replace(
        config,
        valid_bed=_absolute(config.valid_bed),
        test_bed=_absolute(config.test_bed),
        regions_bed=_absolute(config.regions_bed),
        exclude_bed=_absolute(config.exclude_bed),
        classes=_absolute(config.classes),
        genomes=_absolute(config.genomes),
        chrom_map=_absolute(config.chrom_map),
        init=config.init if config.init is None or is_hub_name(config.init) else os.path.abspath(config.init),
        fasta=tuple(map(os.path.abspath, config.fasta)),
        direction=direction,
        strand=strand,
        preset=config.preset or (None if config.init else defaults.preset),
        context=context,
        batch_size=config.batch_size or max(1, defaults.tokens_per_batch // context),
        workers=defaults.workers if config.workers is None else config.workers,
        out=str(run_path(config)),
        precision=choose_precision(config.precision, device),
        resume=False,
        force=False,
        dry_run=False,
    )


def _with_schedule(config: PretrainConfig, tokens_per_batch: int) -> PretrainConfig:
    """Take context, batch and steps from the schedule, where there is one."""
    if not config.context_schedule:
        return config
    stages = _schedule(config, tokens_per_batch)
    if config.carry_state:
        raise ConfigError(
            "is for one context, since the lanes that it carries change with the windows a batch; leave it out, or "
            "train by --context in turns with --init",
            option="carry_state",
        )
    steps = sum(turn.steps or 0 for turn in stages.turns)
    told = {
        "context": stages.last.context, "batch_size": stages.last.windows, "max_steps": steps,
        "max_tokens": None, "max_minutes": None,
    }  # fmt: skip
    for name, value in told.items():
        if (given := getattr(config, name)) not in (None, value):
            flag = f"--{name.replace('_', '-')}"
            advice = f"which has {value:,} there" if value else "whose steps say when the run ends"
            raise ConfigError(f"{flag} {given:,} and --context-schedule, {advice}; leave {flag} out")
    return dataclasses.replace(config, context=stages.last.context, batch_size=stages.last.windows, max_steps=steps)


def _schedule(config: PretrainConfig, tokens_per_batch: int) -> Stages:
    return read_schedule(
        config.context_schedule,
        batch_size=config.batch_size,
        tokens_per_batch=tokens_per_batch,
        rate=config.learning_rate,
    )


def _stages(config: PretrainConfig) -> Stages:
    assert config.context is not None
    assert config.batch_size is not None
    if config.context_schedule:
        turns = _schedule(config, 0).turns
    else:
        turns = (Stage(context=config.context, windows=config.batch_size, rate=config.learning_rate),)
    return Stages(turns, config.accumulate)


def _stream(config: PretrainConfig, stages: Stages, corpus: Corpus) -> Stream:
    """Return the samples of all turns."""
    assert config.strand is not None
    strand: Literal["random", "forward"] = "forward" if config.strand == "equivariant" else config.strand
    if config.carry_state:
        if corpus.is_mixed:
            raise ConfigError(
                "reads windows in the order of the bases, and a mixture draws them; leave it out, or give one genome "
                "by --fasta, without weights of regions",
                option="carry_state",
            )
        return LaneStream(
            corpus.genome,
            corpus.split.train,
            context=stages.last.context,
            lanes=stages.last.windows * stages.accumulate,
            seed=config.seed,
            strand=strand,
            softmask_weight=config.softmask_weight,
        )
    streams = [
        corpus.stream(context=turn.context, seed=config.seed, strand=strand, max_n=config.max_n)
        for turn in stages.turns
    ]
    return streams[0] if len(streams) == 1 else StagedStream(streams, stages.sample_borders())


def _check_room(corpus: Corpus, model_config: ModelConfig) -> None:
    """Raise `ConfigError` where the tokens of species do not all have a row of the embedding."""
    tokens = {member.species for member in corpus.members if member.species is not None}
    if tokens and max(tokens) >= model_config.vocab_size:
        first = get_alphabet(model_config.alphabet).used_ids
        raise ConfigError(
            f"needs {len(tokens)} token ids, and the weights of --init have {max(0, model_config.vocab_size - first)} "
            f"that stand for nothing, from {first} on; leave it out, or train from scratch",
            option="species_token",
        )


def _model_config(config: PretrainConfig) -> ModelConfig:
    assert config.direction is not None
    assert config.preset is not None
    given = {"d_model": config.d_model, "num_layers": config.num_layers, "d_state": config.d_state}
    shape: dict[str, Any] = PRESETS[config.preset] | {name: size for name, size in given.items() if size is not None}
    return ModelConfig(
        alphabet=config.alphabet,
        vocab_rows=_rows(config),
        direction=config.direction,
        equivariant=config.strand == "equivariant",
        **shape,
    )


def _rows(config: PretrainConfig) -> int:
    """Return the rows of the embedding: 0 for the alphabet's own, more where species need them, a multiple of 8."""
    if not config.species_token or config.genomes is None:
        return 0
    alphabet = get_alphabet(config.alphabet)
    tokens = species_ids(read_sheet(config.genomes), alphabet)
    needed = alphabet.used_ids + len(tokens)
    return 0 if needed <= alphabet.vocab_size else -(-needed // 8) * 8


def _absolute(path: str | None) -> str | None:
    """Make a path one that holds when the run goes on from another folder."""
    return None if path is None else os.path.abspath(path)


def open_data(config: PretrainConfig, alphabet: Alphabet) -> tuple[Genome, Split]:
    """Open the genome of a run and divide it, as its settings say; raises as `make_plan` does."""
    corpus = open_corpus(config, alphabet)
    return corpus.genome, corpus.split


def _resolve_limits(config: PretrainConfig, model: LanguageModel, split: Split) -> PretrainConfig:
    if config.max_steps is not None or config.max_tokens is not None or config.max_minutes is not None:
        return config
    passes = DEFAULT_PASSES * sum(map(len, split.train))
    return dataclasses.replace(config, max_tokens=min(passes, DEFAULT_TOKENS_PER_PARAMETER * count_parameters(model)))


def run_path(config: PretrainConfig) -> Path:
    """Where the run goes: --out, or runs/NAME after the first FASTA, or the table of genomes."""
    if config.out:
        return Path(config.out)
    given = config.fasta[0] if config.fasta else config.genomes or "yeasts"
    name = Path(given).name.split(".")[0]
    # A glob or a hidden file gives no name.
    return Path("runs", re.sub(r"[^\w-]", "", name) or "run")
