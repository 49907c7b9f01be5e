"""`genomamba info MODEL`: what a model is, where it came from, and what reading with it costs on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from genomamba.cli.parsing import MODEL_HELP, Parser
from genomamba.cli.process import prepare_process
from genomamba.errors import ConfigError
from genomamba.settings import settings_of

if TYPE_CHECKING:
    from genomamba.model import LanguageModel
    from genomamba.model.checkpoint import Checkpoint
    from genomamba.score.cost import Cost

__all__ = ["InfoConfig", "parser", "run"]


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoConfig:
    """Everything that `genomamba info` can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "revision": "Model", "length": "Cost", "json": "Output", "device": "Machine"
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Model
    revision: str | None = None
    """Branch, tag or commit, where MODEL is a name on the hub."""
    alphabet: str | None = None
    """What the model's token ids stand for, where no file beside its weights says so."""

    # Cost
    length: tuple[int, ...] = field(default=(), metadata={"splits": False})
    """Lengths, in bases, at which to say what reading a sequence takes, beside 1024 and 16384.
    Default: 131072 1000000."""
    max_seconds: float = 10.0
    """Time for measuring; what would take longer is extrapolated, and said to be."""

    # Output
    json: bool = False
    """Print one JSON object instead."""

    # Machine
    device: str = "auto"
    """Where to compute: cpu, cuda, cuda:1, ... auto is cpu: passes on GPUs have not been timed yet."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"--threads is {self.threads}; it must be above 0")
        if wrong := [length for length in self.length if length < 1]:
            raise ConfigError(f"--length is {wrong[0]}; it must be 1 or more")
        if self.max_seconds < 0:
            raise ConfigError(f"--max-seconds is {self.max_seconds}; it must be 0 or more")


_LENGTHS: Final = (131_072, 1_000_000)

SETTINGS: Final = settings_of(InfoConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: SETTINGS[name] for name in ("device", "threads")}


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "info",
        "MODEL [--length N ...] [--max-seconds X] [--json]",
        description="Say what a model is, where it came from, and what reading with it costs on this machine.",
    )
    made.add_argument("model", metavar="MODEL", help=MODEL_HELP.removeprefix("a causal model: "))
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Print what is known and measured, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = InfoConfig(**made.given(SETTINGS, SHARED, namespace))
    prepare_process()
    from genomamba.model.checkpoint import open_checkpoint
    from genomamba.model.device import choose_device
    from genomamba.model.process import set_threads
    from genomamba.score.cost import measure_costs

    device = choose_device(config.device)
    threads = set_threads(config.threads)
    checkpoint = open_checkpoint(namespace.model, revision=config.revision, alphabet=config.alphabet)
    model = checkpoint.load(device).eval()
    lengths = config.length or _LENGTHS
    if config.json:
        costs = measure_costs(model, lengths, max_seconds=config.max_seconds)
        print(json.dumps(_as_json(checkpoint, model, costs, str(device), threads), indent=2, allow_nan=False))
        return 0
    # What is known is there at once; measuring takes its time.
    print("\n".join(_known(checkpoint)), flush=True)
    costs = measure_costs(model, lengths, max_seconds=config.max_seconds)
    print("\n" + "\n".join(_costs(costs, model, str(device), threads)))
    return 0


def _known(checkpoint: Checkpoint) -> list[str]:
    from genomamba.report.model_facts import damage_told, figures_of, provenance_of, rows_of, what_it_is

    provenance = provenance_of(checkpoint)
    with damage_told(checkpoint.name):
        rows = {"layout": checkpoint.layout.kind} | rows_of(checkpoint.config, provenance)
        rows |= {f"on the {part}": figure for part, figure in figures_of(checkpoint.config, provenance).items()}
    width = max(map(len, rows))
    lines = [f"{heading:<{width}}  {text}" for heading, text in rows.items()]
    return [f"{checkpoint.name}: {what_it_is(checkpoint.config)}.", "", *lines]


def _costs(costs: Sequence[Cost], model: LanguageModel, device: str, threads: int) -> list[str]:
    from genomamba.report.model_facts import unit_of
    from genomamba.report.words import duration
    from genomamba.score.likelihood import default_chunk

    unit = f"{unit_of(model.config)}s"
    machine = f"{_cpu()}, {threads} thread{'s'[: threads != 1]}, {device}"
    lines = [
        f"one sequence read without gradient, in pieces of {default_chunk(model.config):,} {unit} ({machine}):",
        f"{unit:>13} {'time':>15} {unit + '/s':>12} {'memory':>12}",
    ]
    for cost in costs:
        how = "measured" if cost.extrapolated_from is None else f"extrapolated from {cost.extrapolated_from:,}"
        seconds = f"{1000 * cost.seconds:.1f} ms" if cost.seconds < 1 else duration(cost.seconds)
        memory = f"{cost.memory_mib:,.0f} MiB"
        lines.append(f"{cost.length:>13,} {seconds:>15} {cost.tokens_per_s:>12,.0f} {memory:>12}  {how}")
    return lines


def _as_json(
    checkpoint: Checkpoint, model: LanguageModel, costs: Sequence[Cost], device: str, threads: int
) -> dict[str, Any]:
    from genomamba.model import count_parameters
    from genomamba.report.model_facts import provenance_of, what_it_is
    from genomamba.score.likelihood import default_chunk

    return {
        "model": checkpoint.name,
        "what": what_it_is(checkpoint.config),
        "layout": checkpoint.layout.kind,
        "parameters": count_parameters(model),
        "config": checkpoint.config.to_dict(),
        "provenance": provenance_of(checkpoint),
        "machine": {"cpu": _cpu(), "device": device, "threads": threads},
        "chunk": default_chunk(checkpoint.config),
        "costs": [asdict(cost) for cost in costs],
    }


def _cpu() -> str:
    from genomamba.environment import environment_facts

    return str(environment_facts()["cpu"])
