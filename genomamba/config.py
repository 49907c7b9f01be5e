"""Every setting, as frozen dataclasses; the CLI, YAML files and JSON schemas are made from them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, get_args

from genomamba.alphabet import get_alphabet
from genomamba.errors import ConfigError

__all__ = ["PRESETS", "ModelConfig", "PretrainConfig", "check_no_leak"]

Direction = Literal["causal", "bidirectional"]
Objective = Literal["next_token", "masked"]
Merge = Literal["add", "multiply"]
Norm = Literal["rms", "layer"]
Strand = Literal["random", "forward", "equivariant"]
Preset = Literal["tiny", "small", "base", "large", "xl"]

PRESETS: Final[dict[Preset, dict[str, int]]] = {
    "tiny": {"num_layers": 4, "d_model": 64},
    "small": {"num_layers": 4, "d_model": 128},
    "base": {"num_layers": 8, "d_model": 256},
    "large": {"num_layers": 16, "d_model": 256},
    "xl": {"num_layers": 24, "d_model": 768},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Shape of the network. Nothing here depends on the data, the device or the run."""

    alphabet: str = "dna"
    """Alphabet whose token ids the embedding and the head have: a name that `genomamba.alphabet` reads."""
    vocab_rows: int = 0
    """Rows of the embedding and of the head, padding included; 0 stands for as many as the alphabet has."""
    d_model: int = 64
    """Width of the residual stream, in channels."""
    num_layers: int = 4
    """Number of residual blocks."""
    d_state: int = 16
    """Size n of the state of each channel."""
    d_conv: int = 4
    """Taps of the short convolution, the present position included."""
    expand: int = 2
    """d_inner = expand * d_model channels inside a mixer."""
    dt_rank: int = 0
    """Rank of the projection that gives the step delta; 0 stands for ceil(d_model / 16)."""
    direction: Direction = "causal"
    """causal: each position sees what lies left of it; bidirectional: both sides, by two mixers a layer."""
    tie_directions: bool = True
    """Bidirectional only: both mixers of a layer share their input and output projections."""
    equivariant: bool = False
    """Run the network on both strands and combine them at the head: it commutes with reverse complement."""
    merge: Merge = "add"
    """Bidirectional only: what the two directions give is added, or multiplied element by element."""
    norm: Norm = "rms"
    """rms: RMSNorm; layer: LayerNorm, with a bias."""
    norm_eps: float = 1e-5
    """Added under the root of the norm."""
    proj_bias: bool = False
    """Whether the input and output projections of a mixer have a bias."""
    conv_bias: bool = True
    """Whether the short convolution has a bias."""
    tie_head: bool = True
    """The head is the embedding; otherwise it has weights of its own."""

    def __post_init__(self) -> None:
        for name, choices in (("direction", Direction), ("merge", Merge), ("norm", Norm)):
            if (value := getattr(self, name)) not in get_args(choices):
                raise ConfigError(f"model.{name} is {value!r}; it must be one of {', '.join(get_args(choices))}")
        _require("d_model", self.d_model, 1, 65_536, "64")
        _require("num_layers", self.num_layers, 1, 1_024, "4")
        _require("d_state", self.d_state, 1, 256, "16")
        _require("d_conv", self.d_conv, 1, 8, "4")
        _require("expand", self.expand, 1, 16, "2")
        _require("dt_rank", self.dt_rank, 0, self.d_inner, "0 for ceil(d_model / 16)")
        if not 0 < self.norm_eps < math.inf:
            raise ConfigError(f"model.norm_eps is {self.norm_eps}; it must be a number above 0, such as 1e-5")
        alphabet = get_alphabet(self.alphabet)
        if self.equivariant and not alphabet.has_complement:
            raise ConfigError(f"equivariant needs a complement, and the {self.alphabet} alphabet has none")
        if self.vocab_size < max(1, alphabet.used_ids):
            raise ConfigError(
                f"the model has {self.vocab_size} token ids, and the {self.alphabet} alphabet needs {alphabet.used_ids}"
            )

    @property
    def d_inner(self) -> int:
        """Channels inside a mixer."""
        return self.expand * self.d_model

    @property
    def resolved_dt_rank(self) -> int:
        """dt_rank, with 0 resolved to ceil(d_model / 16)."""
        return self.dt_rank or -(-self.d_model // 16)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding and of the head."""
        return self.vocab_rows or get_alphabet(self.alphabet).vocab_size

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Read back what `to_dict` gave. Raises `ConfigError` that names fields that are unknown or of another type."""
        if unknown := sorted(set(values) - {field.name for field in dataclasses.fields(cls)}):
            raise ConfigError(f"model config has unknown fields {', '.join(unknown)}")
        defaults = cls().to_dict()
        for name, value in values.items():
            # To Python true is a number; to the person who wrote the file it is not.
            kind = type(defaults[name])
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise ConfigError(f"model.{name} is {value!r}; it must be of type {kind.__name__}")
        return cls(**values)


def check_no_leak(*, direction: Direction, objective: Objective, equivariant: bool) -> None:
    """Refuse the combinations in which the network sees the target it is asked to predict.

    Raises
    ------
    ConfigError
        For next-token prediction by a bidirectional or equivariant network, and for masks under a causal one.
    """
    if objective == "next_token" and direction == "bidirectional":
        raise ConfigError(
            "--objective next_token with --direction bidirectional leaks the target: the position right of "
            "it is read; use --objective masked, or --direction causal"
        )
    if objective == "next_token" and equivariant:
        raise ConfigError(
            "--objective next_token with --strand equivariant leaks the target: the other strand has read "
            "it; use --strand random, or --objective masked"
        )
    if objective == "masked" and direction == "causal":
        raise ConfigError(
            "--objective masked with --direction causal would read one side of each mask only; "
            "use --direction bidirectional, or --objective next_token"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainConfig:
    """Everything that `genomamba pretrain` can be told. None: a default that the plan resolves and prints."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "fasta": "Data",
        "preset": "Model",
        "context": "Optimisation",
        "out": "Run",
    }
    """First setting of each section, and the section's heading in the help and in YAML."""

    # Data
    fasta: tuple[str, ...] = field(default=(), metadata={"splits": False})
    """FASTA files, folders or globs; plain, gzip or BGZF. Default: chromosome I of three yeasts, built in."""
    genomes: str | None = None
    """Table of genomes to mix, in place of --fasta: name, fasta, weight, species, ... with tabs between."""
    mix_power: float | None = None
    """With --genomes: windows are drawn by weight times size to this power. Default: 1, or 0 with weights."""
    species_token: bool = False
    """With --genomes: tell the model the species, by a token before the first base."""
    alphabet: Literal["dna", "bytes"] = "dna"
    """dna reads A C G T N; bytes reads any file, one token a byte."""
    contigs: tuple[str, ...] = ()
    """Contigs to use: names, or patterns such as 'chr*'. Default: all but alternative, unplaced, viral."""
    chrom_map: str | None = None
    """Two-column file: name given in an option, name in the FASTA."""
    valid: tuple[str, ...] = ()
    """Contigs held out for validation."""
    test: tuple[str, ...] = ()
    """Contigs held out for the test, read once, at the end."""
    valid_bed: str | None = None
    """BED of stretches held out for validation."""
    test_bed: str | None = None
    """BED of stretches held out for the test."""
    regions_bed: str | None = None
    """BED of the stretches to train on; a number in its fourth column weighs them."""
    exclude_bed: str | None = None
    """BED of stretches that are neither trained on nor scored."""
    classes: str | None = None
    """Tell held-out figures by class of base too: BED, whose fourth column names a class such as exon or repeat,
    or GFF3 or GTF, which give CDS, exon, intron and intergenic."""
    valid_share: float | None = None
    """Share held out in blocks for validation, where none is named. Default: 0.05, at most 10 million bases."""
    test_share: float | None = None
    """Share held out in blocks for the test, where none is named. Default: 0.05, at most 10 million bases."""
    max_n: float = 0.2
    """Windows with a larger share of N are drawn again."""
    softmask_weight: float = 1.0
    """Weight of soft-masked (lower-case) bases in the training loss, 0 to 1."""
    cache_dir: str | None = None
    """Where caches of FASTA files are kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""

    # Model
    preset: Preset | None = None
    """Size of the network. Default: tiny; on a GPU small."""
    d_model: int | None = None
    """Width; overrides the preset's."""
    num_layers: int | None = None
    """Depth; overrides the preset's."""
    d_state: int | None = None
    """State size of each channel. Default: 16."""
    objective: Objective = "next_token"
    """What is learnt: the next base, or masked bases from both sides."""
    direction: Direction | None = None
    """Default: causal for next_token, bidirectional for masked."""
    strand: Strand | None = None
    """random: one strand drawn per sample; forward: as in the file; equivariant: both.
    Default: random, and forward for bytes."""
    init: str | None = None
    """Go on from these weights: a run folder, a checkpoint folder, or a hub name, OWNER/NAME. Fixes the shape."""
    revision: str | None = None
    """Branch, tag or commit of the hub name in --init."""

    # Optimisation
    context: int | None = None
    """Bases that the model sees at once. Default: 1,024."""
    context_schedule: tuple[str, ...] = ()
    """Contexts by turns, each CONTEXT:STEPS, as in 1024:2000,8192:500. CONTEXT:STEPS:WINDOWS:RATE also tells the
    windows a batch and the peak learning rate of a turn; default: the bases a batch, and the rate, of the run."""
    carry_state: bool = False
    """Read consecutive windows, and begin each with the state that the one before it left; causal models only."""
    batch_size: int | None = None
    """Windows a step and accumulation, over all processes. Default: as many as make 8,192 bases, on a GPU 131,072."""
    accumulate: int = 1
    """Batches whose gradients are summed before a step."""
    max_steps: int | None = None
    """Stop after this many steps."""
    max_tokens: int | None = None
    """Stop after this many positions of training windows: bases, and padding where a window is longer than a stretch.
    Default, where no limit is given: 10 passes or 100 a parameter, the fewer."""
    max_minutes: float | None = None
    """Stop after this much training time; the learning rate then follows the clock."""
    learning_rate: float = 4e-3
    """Peak learning rate."""
    weight_decay: float = 0.1
    """AdamW's decay; not on A_log, D, delta's bias, norms and biases."""
    warmup: float = 0.05
    """Share of the run over which the learning rate rises."""
    final_rate: float = 0.02
    """Share of the peak learning rate at which the run ends."""
    clip: float = 1.0
    """Largest norm of the gradient."""

    # Run
    out: str | None = None
    """Run folder. Default: runs/NAME after the first FASTA."""
    seed: int = 0
    """Seed of the weights and of every sample."""
    device: str = "auto"
    """Where to train: cpu, cuda, cuda:1, ... auto is the GPU where torch sees one whose kernels are right, else cpu."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of training's matrix products; auto is bfloat16 where the device has it. Held-out figures are in float32."""
    recompute: bool = False
    """Keep only the input of each layer and compute the rest again in backward: less memory, more time."""
    recompute_layers: int = 1
    """With --recompute: keep the input of every so many layers, and run those between once more."""
    parallel: tuple[str, ...] = ()
    """How the processes of torchrun or srun share the work: data=D divides the windows of a batch, context=C each
    window, as in data=2,context=4. Default: data alone."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""
    workers: int | None = None
    """Processes that read windows. Default: 0, which reads in the main process; on a GPU 4."""
    valid_every: int | None = None
    """Steps between validations. Default: a twentieth of the run; more where all would take above a fifth of it."""
    valid_bases: int = 262_144
    """Bases scored at each validation, spread evenly over the held-out ones; at the end all are scored."""
    tensorboard: bool = False
    """Write metrics for TensorBoard too, to RUN/tensorboard; needs genomamba[tensorboard]."""
    checkpoint_every: int | None = None
    """Steps between checkpoints. Default: as --valid-every where that is given, else a twentieth of the run."""
    keep: int = 2
    """Checkpoints kept, beside the best by validation."""
    resume: bool = False
    """Go on with the run in --out."""
    force: bool = False
    """Replace what is in --out."""
    dry_run: bool = False
    """Print the plan and stop."""

    def __post_init__(self) -> None:
        for name in ("valid_share", "test_share", "max_n", "softmask_weight", "warmup", "final_rate"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"--{name.replace('_', '-')} is {value}; it must lie between 0 and 1")
        for name in ("workers", "weight_decay", "seed"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 2**63:
                raise ConfigError(f"--{name.replace('_', '-')} is {value}; it must be 0 or more, and below 2^63")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"--{name.replace('_', '-')} is {value}; it must be above 0")
        if self.mix_power is not None and not -4 <= self.mix_power <= 4:
            raise ConfigError(f"--mix-power is {self.mix_power}; it must lie between -4 and 4, such as 0.5")
        if (self.valid_share or 0) + (self.test_share or 0) >= 1:
            raise ConfigError("--valid-share and --test-share hold out everything; they must add up to less than 1")
        if self.resume and self.force:
            raise ConfigError("--resume goes on with a run and --force replaces it; give one of the two")


_POSITIVE: Final = (
    *("context", "batch_size", "accumulate", "max_steps", "max_tokens", "max_minutes"),
    *("learning_rate", "clip", "threads", "recompute_layers", "valid_every", "valid_bases", "checkpoint_every", "keep"),
)


def _require(name: str, value: int, low: int, high: int, example: str) -> None:
    if not low <= value <= high:
        raise ConfigError(f"model.{name} is {value}; it must lie between {low} and {high}, such as {example}")
