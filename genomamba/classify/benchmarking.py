"""`genomamba benchmark`: a folder of tasks by one protocol, with what others report beside."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from genomamba.classify.benchmark_config import REPEATS, BenchmarkConfig
from genomamba.classify.benchmark_results import TaskResult, results_in_words, results_page, write_results_table
from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.finetune_config import FinetuneConfig
from genomamba.classify.finetuning import finetune
from genomamba.classify.probe_config import ProbeConfig
from genomamba.classify.probing import probe
from genomamba.classify.tables import TABLES
from genomamba.errors import ConfigError, DataError, GenomambaError
from genomamba.files import read_json
from genomamba.model.process import set_threads
from genomamba.report.benchmark_page import write_benchmark_page
from genomamba.train.log import tell
from genomamba.train.run_folder import RunFolder, check_free

__all__ = ["Task", "benchmark", "find_tasks"]

MethodConfig = FinetuneConfig | ProbeConfig

_TABLE: Final = "benchmark.tsv"
_PAGE: Final = "report.html"


@dataclass(frozen=True, slots=True)
class Task:
    """A task of a suite."""

    name: str
    path: Path


def find_tasks(suite: Path, patterns: Iterable[str] = ()) -> list[Task]:
    """Return the tasks of a folder, by name: its tables of labelled sequences, and its folders.

    Raises
    ------
    DataError
        Where there is no such folder, no task in it, or two of one name.
    ConfigError
        Where a pattern names none.
    """
    if not suite.is_dir():
        raise DataError(f"{suite}: no such folder; name the folder of the tasks by --suite")
    found: dict[str, Task] = {}
    for entry in sorted(suite.iterdir()):
        ending = next((one for one in sorted(TABLES, key=len, reverse=True) if entry.name.lower().endswith(one)), None)
        if entry.name.startswith(".") or (entry.is_file() and ending is None):
            continue
        name = entry.name if entry.is_dir() else entry.name[: -len(ending or "")]
        if name in found:
            raise DataError(f"{entry}: {found[name].path} has the name {name!r} too; rename one of them")
        found[name] = Task(name, entry)
    if not found:
        raise DataError(f"{suite}: no task in it; it should hold tables ({', '.join(TABLES)}), or folders of classes")
    chosen = list(patterns) or ["*"]
    for pattern in chosen:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise ConfigError(f"--tasks: nothing is called {pattern!r}; {suite} has {', '.join(found)}")
    return [task for name, task in found.items() if any(fnmatchcase(name, pattern) for pattern in chosen)]


def benchmark(
    model: str,
    config: BenchmarkConfig,
    method: MethodConfig,
    data: DataConfig,
    parts: PartsConfig,
    *,
    command: str,
    emit: Callable[[str], None],
) -> int:
    """Run every task of a suite, and leave a table and a page.

    Parameters
    ----------
    model : str
        As `genomamba finetune` takes it.
    config : BenchmarkConfig
    method : FinetuneConfig or ProbeConfig
        Of each task; its `out`, `resume`, `folds` and, where it redraws, `redraw_valid` are given here.
    data, parts
        Columns and parts of each task, without its file.
    command : str
        The command line, for run.json.
    emit : callable
        Takes each line or block that people are to read.

    Returns
    -------
    int
        Exit code: 0; 1 where a task failed; or what a signal that ended a task gave.

    Raises
    ------
    GenomambaError
        For anything that concerns all tasks.
    """
    assert config.suite is not None
    assert config.out is not None
    path = Path(config.out)
    check_free(path, resume=config.resume, force=config.force)
    tasks = find_tasks(Path(config.suite), config.tasks)
    method = _by_protocol(config, method)
    # A task without parts of its own is none of a benchmark's.
    parts = dataclasses.replace(parts, split_by=parts.split_by or "column")
    folder = RunFolder(path, resume=config.resume, force=config.force)
    threads = set_threads(method.threads)
    folder.start(command=command, inputs=[_input(config.suite, tasks)], threads=threads, model=model)
    folder.write_config(dataclasses.replace(config, resume=False, force=False))
    folder.write_config(method, "method.yaml")
    folder.write_config(data, "data.yaml")
    folder.write_config(parts, "parts.yaml")
    runner = _Runner(model, config, method, data, parts, path / "members", command, emit)
    results, failed = [], {}
    for task in tasks:
        try:
            if code := runner.run(task):
                folder.finish(status="stopped")
                return code
            figures = read_json(path / "members" / task.name / "figures.json")
            results.append(TaskResult.of(task.name, figures, config))
        except GenomambaError as error:
            failed[task.name] = str(error)
            emit(f"{task.name}, by --protocol {config.protocol}: {error}")
        except (KeyboardInterrupt, SystemExit):
            folder.finish(status="stopped")
            raise
    if results:
        write_results_table(path / _TABLE, results, config)
        emit(results_in_words(results))
        emit(f"{path / _TABLE}: {len(results)} of {len(tasks)} tasks")
        if method.report:
            run = read_json(path / "run.json")
            write_benchmark_page(results_page(model, path.resolve().name, results, failed, config, run), path / _PAGE)
            emit(f"report: {path / _PAGE}")
    folder.finish(status="failed" if failed else "finished")
    return 1 if failed else 0


def _by_protocol(config: BenchmarkConfig, method: MethodConfig) -> MethodConfig:
    """Return the settings of each task."""
    if config.protocol == "given-split":
        return method
    if method.repeats != 1:
        raise ConfigError(f"--protocol {config.protocol} has {REPEATS[config.protocol]} seeds; leave --repeats out")
    if isinstance(method, FinetuneConfig):
        return dataclasses.replace(method, repeats=REPEATS[config.protocol], redraw_valid=True)
    return dataclasses.replace(method, repeats=REPEATS[config.protocol])


@dataclass(frozen=True, slots=True)
class _Runner:
    """Runs tasks, each in a run folder of its own."""

    model: str
    config: BenchmarkConfig
    method: MethodConfig
    data: DataConfig
    parts: PartsConfig
    folder: Path
    command: str
    emit: Callable[[str], None]

    def run(self, task: Task) -> int:
        """Run a task, unless it is done, and return its exit code."""
        out = self.folder / task.name
        facts = read_json(out / "run.json") if (out / "run.json").is_file() else None
        if facts is not None and facts.get("status") == "finished":
            tell(f"{task.name}: done")
            return 0
        out.parent.mkdir(exist_ok=True)
        self.emit(f"{task.name}")
        given = dataclasses.replace(self.method, out=str(out), resume=facts is not None, force=False)
        data = dataclasses.replace(self.data, data=str(task.path))
        if isinstance(given, FinetuneConfig):
            return finetune(self.model, given, data, self.parts, command=self.command, emit=self.emit, test_needed=True)
        probe(self.model, given, data, self.parts, command=self.command, emit=self.emit)
        return 0


def _input(suite: str, tasks: list[Task]) -> dict[str, Any]:
    """Return what the suite is, as run.json keeps it: a run does not go on with other tasks."""
    names = "\n".join(f"{task.name}\t{task.path.stat().st_size if task.path.is_file() else 0}" for task in tasks)
    return {"path": suite, "bytes": len(tasks), "sha256": hashlib.sha256(names.encode()).hexdigest()}
