"""Settings of `genomamba probe`, beside those of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from genomamba.classify.config import Pool, StrandUse
from genomamba.errors import ConfigError

__all__ = ["DEFAULT_BASELINES", "MOST_FOLDS", "ProbeConfig", "check_baselines", "check_folds"]

DEFAULT_BASELINES = ("majority", "k-mer", "one-hot", "cnn", "random")
MOST_FOLDS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeConfig:
    """Everything that `genomamba probe` can be told, beside the model and the data."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "revision": "Model", "pool": "Embedding", "classifier": "Probe", "baselines": "Comparison", "out": "Run",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Model
    revision: str | None = None
    """Branch, tag or commit, where MODEL is a name on the hub."""
    alphabet: str | None = None
    """What the model's token ids stand for, where no file beside its weights says so."""

    # Embedding
    pool: Pool = "mean"
    """What is kept of the positions of a sequence: their mean, their sum (which tells the length, too), largest values,
    the last one read, or the mean of the two in the middle. For labels of bases: none, all of them."""
    layers: tuple[int, ...] = (-1,)
    """Depths: 0 is the embedding of the tokens, i comes after i blocks, and -1 is the last, normalised."""
    strand: StrandUse | None = None
    """+ reads as given, - the reverse complement, mean is the mean of the two, both puts - behind +.
    Default: +, and mean for a model that is equivariant."""
    chunk: int | None = None
    """Bases a pass of the network; takes memory, and changes no number beyond rounding."""
    spill: str | None = None
    """Folder for what a bidirectional model keeps of a sequence longer than a pass, 8 bytes a channel and base.
    Default: in memory."""

    # Probe
    classifier: Literal["logistic", "ridge", "svm", "boosting"] | None = None
    """Logistic or ridge regression, support vectors, or boosted trees. Default: logistic, and ridge for numbers."""
    folds: int = 0
    """Test each sequence in one of so many folds, in place of the parts of the data; 0: no."""
    repeats: int = 1
    """Fit so many times, from seeds that follow one another."""

    # Comparison
    baselines: tuple[str, ...] = DEFAULT_BASELINES
    """What stands beside the result: none, or some of majority, k-mer, one-hot, cnn, random. random is the same
    network from weights drawn anew, probed in the same way."""
    report: bool = True
    """Write report.html into the run folder."""

    # Run
    out: str | None = None
    """Run folder. Needed."""
    device: str = "auto"
    """Where to compute: cpu, cuda, cuda:1, ... auto is cpu."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""
    resume: bool = False
    """Go on with the run in --out."""
    force: bool = False
    """Replace what is in --out."""

    def __post_init__(self) -> None:
        if self.out is None:
            raise ConfigError("no run folder; name one by --out, such as runs/probed")
        for name in ("repeats", "chunk", "threads"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"--{name} is {value}; it must be above 0")
        if not self.layers:
            raise ConfigError("--layers is empty; name some, such as -1")
        check_folds(self.folds, self.repeats)
        check_baselines(self.baselines)
        if self.resume and self.force:
            raise ConfigError("--resume goes on with a run and --force replaces it; give one of the two")


def check_folds(folds: int, repeats: int) -> None:
    """Raise `ConfigError` for a number of folds that cannot be."""
    if folds < 0 or folds == 1 or folds > MOST_FOLDS:
        raise ConfigError(f"--folds is {folds}; it must lie between 2 and {MOST_FOLDS}, or be 0 for none")
    if folds and repeats > 1:
        raise ConfigError("--folds trains once a fold and --repeats once a seed; give one of the two")


def check_baselines(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the baselines that a setting names, none of `none`, in their order. Raises `ConfigError`."""
    if names == ("none",):
        return ()
    for name in names:
        if name not in DEFAULT_BASELINES:
            raise ConfigError(f"--baselines names {name!r}; give none alone, or some of {', '.join(DEFAULT_BASELINES)}")
    return tuple(name for name in DEFAULT_BASELINES if name in names)
