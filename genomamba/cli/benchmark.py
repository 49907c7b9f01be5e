"""`genomamba benchmark MODEL`: a folder of tasks by one protocol, with what others report beside."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Final

from genomamba.classify.benchmark_config import FIXED, BenchmarkConfig
from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.finetune_config import FinetuneConfig
from genomamba.classify.probe_config import ProbeConfig
from genomamba.cli.parsing import MODEL_HELP, Parser
from genomamba.cli.process import command_line, prepare_process
from genomamba.settings import Setting, settings_of

__all__ = ["parser", "run"]

SETTINGS: Final = settings_of(BenchmarkConfig)
METHODS: Final = {"finetune": FinetuneConfig, "probe": ProbeConfig}
# Tasks are tables and folders, in parts of their own.
DATA: Final = {
    name: setting for name, setting in settings_of(DataConfig).items() if name == "kind" or name.endswith("_column")
}
PARTS: Final = {
    name: setting
    for name, setting in settings_of(PartsConfig).items()
    if name not in ("valid", "test", "test_data", "leaks")
}

_EPILOG = """\
Each task has a run folder below members, with its own page. Figures of others stand beside ours only where protocol
and sequences are the same. The options of the method are those of genomamba finetune; with --method probe, those of
genomamba probe, which genomamba benchmark --method probe -h lists.
"""


def method_settings(method: str) -> Mapping[str, Setting]:
    """Return the settings of a method that the user may give."""
    return {name: setting for name, setting in settings_of(METHODS[method]).items() if name not in FIXED}


def parser(method: str = "finetune") -> Parser:
    """Return the parser of this command, with the options of a method."""
    made = Parser(
        "benchmark",
        "MODEL --suite FOLDER --protocol NAME --out RUN [options]",
        description="Run a folder of tasks, and put what others report beside.",
        epilog=_EPILOG,
    )
    made.add_argument("model", metavar="MODEL", help=MODEL_HELP.removeprefix("a causal model: "))
    made.add_settings(SETTINGS.values())
    made.add_settings(DATA.values())
    made.add_settings(PARTS.values())
    made.add_settings(method_settings(method).values())
    return made


def run(argv: Sequence[str]) -> int:
    """Run the tasks, print the table, and return the exit code."""
    method = _method_of(argv)
    made, of_method = parser(method), method_settings(method)
    namespace = made.parse(argv)
    config = BenchmarkConfig(**made.flags(SETTINGS, namespace))
    shared = {name: of_method[name] for name in ("device", "threads") if name in of_method}
    assert config.out is not None
    # Where each task goes is the benchmark's matter.
    settings = METHODS[config.method](out=config.out, **made.given(of_method, shared, namespace))
    data = DataConfig(**made.flags(DATA, namespace))
    parts = PartsConfig(**made.flags(PARTS, namespace))
    prepare_process()
    from genomamba.classify.benchmarking import benchmark

    show = functools.partial(print, flush=True)
    return benchmark(namespace.model, config, settings, data, parts, command=command_line("benchmark", argv), emit=show)


def _method_of(argv: Sequence[str]) -> str:
    """Return the method that the arguments name, as far as it is one; which options there are depends on it."""
    given = list(argv)
    for place, argument in enumerate(given):
        name, equals, value = argument.partition("=")
        if name == "--method":
            found = value if equals else (given[place + 1] if place + 1 < len(given) else "")
            return found if found in METHODS else "finetune"
    return "finetune"
