"""The files of a workflow: where they lie, how a folder is set up for one, and how Snakemake is called on it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from genomamba.data.examples import example_paths
from genomamba.errors import ConfigError, RunError
from genomamba.settings import settings_of
from genomamba.workflow.config import WORKFLOWS

__all__ = ["run_workflow", "set_up", "snakefile_of"]

# Options of Snakemake after which files are others than the configuration says, or lie elsewhere.
_OTHER_CONFIGURATION: Final = frozenset({"--config", "-C", "--configfile", "--configfiles", "--directory", "-d"})


def pipelines_folder() -> Path:
    """Return the folder of the workflows: in the package where it is installed, and beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside, beside = package / "pipelines", package.parent / "pipelines"
    return inside if inside.is_dir() else beside


def snakefile_of(name: str) -> Path:
    """Return the Snakefile of a workflow."""
    return pipelines_folder() / name / "Snakefile"


def set_up(name: str, folder: Path) -> list[Path]:
    """Write what a workflow needs into a folder, ready to run on chromosome I of a yeast; return the files.

    Raises
    ------
    RunError
        Where the folder holds something already, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder}: is there and not empty; name a new folder")
    written = []
    try:
        for source, target in _files_of(name):
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / target)
            written.append(folder / target)
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror})") from error
    return written


def _files_of(name: str) -> Iterator[tuple[Path, str]]:
    """Give the files of a folder for a workflow: where each comes from, and its place."""
    home = pipelines_folder()
    for file in sorted((home / name / "config").iterdir()):
        yield file, f"config/{file.name}"
    # Snakemake takes profiles/default by itself.
    yield home / "profiles/local/config.yaml", "profiles/default/config.yaml"
    yield home / "profiles/slurm/config.yaml", "profiles/slurm/config.yaml"
    yield example_paths()["scerevisiae"]["fasta"], "data/scerevisiae_I.fa.gz"
    if {"gff", "classes"} & set(settings_of(WORKFLOWS[name].settings)):
        yield example_paths()["scerevisiae"]["gff"], "data/scerevisiae_I.gff.gz"
    if (home / name / "config/cohorts.tsv").exists():
        for file in sorted((home / "example").glob("*.vcf")):
            yield file, f"data/{file.name}"


def run_workflow(name: str, config: Path, options: Sequence[str]) -> int:
    """Run a workflow by Snakemake in the current folder, and return the exit code.

    Parameters
    ----------
    config : Path
        YAML file of the configuration.
    options : sequence of str
        Of Snakemake. Where none names cores, a profile or an executor, and there is no profiles/default, all cores are
        taken.

    Raises
    ------
    RunError
        Where Snakemake is not installed.
    ConfigError
        Where there is no such file.
    DataError
        Where a file that it names has no contig of its FASTA.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise RunError("Snakemake, which runs workflows, is not installed: pip install 'genomamba[pipelines]'")
    if not config.is_file():
        raise ConfigError(f"{config}: no such file; make one: genomamba pipeline init {name} DIR")
    told = {option.partition("=")[0] for option in options}
    chosen = told & {"--cores", "-c", "--jobs", "-j", "--profile", "--workflow-profile", "--executor", "-e"}
    cores = [] if chosen or Path("profiles/default").is_dir() else ["--cores", "all"]
    if not told & _OTHER_CONFIGURATION:
        from genomamba.workflow.contigs import check_contigs

        # Here, since Snakemake reads its files anew in every job.
        check_contigs(name, config)
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(snakefile_of(name)), "--configfile", str(config)),
        *cores,
        # What follows --configfile is taken for more files of that kind, up to the next option. Why a job failed is
        # one line of its log, which is shown then.
        "--printshellcmds", "--show-failed-logs",
        *options,
    ]  # fmt: skip
    # The rules call the genomamba of this environment, whether it is activated or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return subprocess.run(command, env={**os.environ, "PATH": path}, check=False).returncode
