"""Settings of `genomamba benchmark`, beside those of the method that it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from genomamba.errors import ConfigError

__all__ = ["FIXED", "REPEATS", "BenchmarkConfig", "Method", "Protocol"]

Method = Literal["finetune", "probe"]
Protocol = Literal["given-split", "caduceus-5fold"]

REPEATS: Final[Mapping[Protocol, int]] = {"given-split": 1, "caduceus-5fold": 5}
"""Seeds of a protocol, where the user names none."""
FIXED: Final = ("out", "resume", "force", "folds", "redraw_valid")
"""Settings of a method that the benchmark or its protocol gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkConfig:
    """Everything that `genomamba benchmark` can be told, beside the model and the settings of its method."""

    SECTIONS: ClassVar[Mapping[str, str]] = {"suite": "Benchmark", "out": "Run"}
    """First setting of each section, and the section's heading in the help."""

    # Benchmark
    suite: str | None = None
    """Folder of tasks, each a table of labelled sequences or a folder of class FASTAs. Needed."""
    protocol: Protocol = "given-split"
    """given-split: the parts of each task as it has them, once, or from --repeats seeds. caduceus-5fold: from five
    seeds, each with another tenth of the training part to validate on; one test part, and the mean over the five."""
    method: Method = "finetune"
    """What is done to the model for each task; the other options are those of that command."""
    tasks: tuple[str, ...] = ()
    """Tasks to run: names, or patterns such as 'human_*'. Default: all."""

    # Run
    out: str | None = None
    """Run folder. Needed."""
    resume: bool = False
    """Go on with the run in --out: tasks that are done are not done again."""
    force: bool = False
    """Replace what is in --out."""

    def __post_init__(self) -> None:
        if self.suite is None:
            raise ConfigError("no tasks; name their folder by --suite")
        if self.out is None:
            raise ConfigError("no run folder; name one by --out, such as runs/benchmark")
        if self.resume and self.force:
            raise ConfigError("--resume goes on with a run and --force replaces it; give one of the two")
