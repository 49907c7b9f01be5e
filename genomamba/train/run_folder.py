"""The folder of a run: what may be in it, who may replace it, and the facts in run.json."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from genomamba.environment import environment_facts, now
from genomamba.errors import RunError
from genomamba.files import atomic_file, read_json, remove_strays, write_json
from genomamba.settings import from_yaml, settings_of, to_yaml

__all__ = ["RunFolder", "check_free"]

FILES = (
    "config.yaml", "dataset.json", "metrics.jsonl", "metrics.csv", "evaluation.json", "figures.json", "figures.tsv",
    "predictions.tsv", "report.html",
    "model.safetensors", "head.safetensors", "config.json", "method.yaml", "data.yaml", "parts.yaml", "benchmark.tsv",
    "README.md", "run.json",
)  # fmt: skip
# Of a run that goes on: where it is, how it is run, how long, and how often it is looked at.
MAY_CHANGE = frozenset({
    "out", "resume", "force", "dry_run", "parallel", "threads", "workers", "recompute", "recompute_layers",
    "valid_every", "valid_bases", "checkpoint_every", "keep", "max_steps", "max_tokens", "max_minutes", "cache_dir",
    "device", "precision", "classes", "tensorboard",
})  # fmt: skip


class RunFolder:
    """A run folder that is ready to be written to.

    Parameters
    ----------
    path : Path
        Where it is, or will be.
    resume : bool
        Go on with what is there.
    force : bool
        Remove the run that is there; a folder without a run, and files that no run writes, are left alone.
    reads : bool
        Another process of the run writes: nothing is looked at, made or removed here.

    Raises
    ------
    RunError
        Where a run is in the way, where the path is no folder, or where it cannot be written.
    """

    def __init__(self, path: Path, *, resume: bool, force: bool, reads: bool = False) -> None:
        self.path = path
        if reads:
            return
        check_free(path, resume=resume, force=force)
        try:
            if force and _facts(path) is not None:
                _clear(path)
            path.mkdir(parents=True, exist_ok=True)
            remove_strays(path)
            remove_strays(path / "checkpoints")
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror}); give another folder by --out") from error

    def start(self, *, command: str, inputs: list[dict[str, Any]], **facts: Any) -> None:
        """Write run.json at the start of a session; a run that goes on keeps the command and the time it began with.

        Parameters
        ----------
        command : str
            The command line.
        inputs : list of dict
            Path, bytes and sha256 of each file.

        Raises
        ------
        RunError
            Where a run that goes on was started on other bases or BED files, or with another model.
        """
        before = _facts(self.path)
        session = {"command": command, "started": now()}
        if before is None:
            sessions = [session]
        else:
            known = {one["sha256"] for name in ("inputs", "region_files") for one in before.get(name, ())}
            # Runs of before had no record of their BED files.
            regions = facts.get("region_files", ()) if "region_files" in before else ()
            for one in [*inputs, *regions]:
                if one["sha256"] not in known:
                    raise RunError(
                        f"{one['path']}: its content is not what {self.path} was started on; "
                        "bring that back, or start anew with --force or another --out"
                    )
            self._check_model(before.get("model"), facts.get("model"))
            sessions = [*before["sessions"], session]
        values = {**environment_facts(), **sessions[0], "finished": None, "status": "running", "sessions": sessions}
        write_json(self.path / "run.json", values | {"inputs": inputs} | facts)

    def _check_model(self, before: str | None, now_is: str | None) -> None:
        """Raise `RunError` where a run of one model would go on with another; names on the hub have no path."""
        if before is None or now_is is None or Path(before).resolve() == Path(now_is).resolve():
            return
        raise RunError(
            f"{self.path}: the run was started with the model {before}, now it is {now_is}; "
            "leave it as it was, or start anew with --force or another --out"
        )

    def write_config(self, config: Any, name: str = "config.yaml") -> None:
        """Write settings as YAML; of a pretraining, `--config` takes config.yaml back.

        Parameters
        ----------
        config : dataclass
            Of settings.
        name : str
            Of the file.

        Raises
        ------
        RunError
            Where a run that goes on was started with other settings, save those of `MAY_CHANGE`.
        """
        path = self.path / name
        kind: type = type(config)
        if path.exists():
            before: Any = from_yaml(kind, path.read_text(), str(path))
            for key, setting in settings_of(kind).items():
                old, new = getattr(before, key), getattr(config, key)
                if key not in MAY_CHANGE and old != new:
                    was, now_is = ("its default" if value in (None, ()) else value for value in (old, new))
                    raise RunError(
                        f"{path}: the run was started with {setting.flag} {was}, now it is {now_is}; "
                        "leave it as it was, or start anew with --force or another --out"
                    )
        with atomic_file(path) as temporary:
            temporary.write_text(to_yaml(config))

    def write_json(self, name: str, values: Any) -> None:
        """Write one of the JSON files."""
        write_json(self.path / name, values)

    def finish(self, **facts: Any) -> None:
        """Add to run.json what is known at the end of a session."""
        write_json(self.path / "run.json", read_json(self.path / "run.json") | {"finished": now()} | facts)


def check_free(path: Path, *, resume: bool, force: bool) -> None:
    """Raise `RunError` where a run at `path` would overwrite another, or write into a folder of something else."""
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file; give a folder by --out")
    is_run = _facts(path) is not None
    if is_run and not resume and not force:
        raise RunError(f"{path}: holds a run already; --resume goes on with it, --force replaces it")
    if path.is_dir() and any(path.iterdir()) and not is_run:
        raise RunError(f"{path}: is not empty and holds no run; give another folder by --out")


def _facts(path: Path) -> dict[str, Any] | None:
    """Return what run.json says, or None where there is none of ours."""
    file = path / "run.json"
    values = read_json(file) if file.is_file() else None
    return values if isinstance(values, dict) and "genomamba" in values else None


def _clear(path: Path) -> None:
    # run.json goes last: until then the folder can be told to be a run.
    for folder in (path / "checkpoints").glob("*-*"):
        shutil.rmtree(folder)
    for name in ("members", "tensorboard"):
        shutil.rmtree(path / name, ignore_errors=True)
    for name in FILES:
        (path / name).unlink(missing_ok=True)
