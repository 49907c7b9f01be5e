"""A workflow, and the script of a page, on a real SLURM of one node: this machine, its daemons started for the test."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genomamba.workflow.folder import pipelines_folder

pytest.importorskip("snakemake_executor_plugin_slurm", reason="the plugin of SLURM is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or any(shutil.which(name) is None for name in ("munged", "slurmctld", "slurmd", "sbatch")),
        reason="SLURM is started as root, from the packages slurmctld, slurmd, slurm-client and munge",
    ),
]
CLUSTER = Path(__file__).parents[1] / "cluster/slurm.sh"


def test_jobs_go_through_slurm_by_the_profile_and_leave_the_same_bytes(project, pipeline, environment, tmp_path):
    run = ("run", "score_variants", "--config", "config.yaml")
    pipeline(project, *run, "--", "--cores", "2")
    scored = project / "results/made/scores/ours.vcf.gz"
    local = scored.read_bytes()
    subprocess.run(["rm", "-r", project / "results", project / ".snakemake"], check=True)
    profile = project / "profiles/slurm"
    profile.mkdir(parents=True)
    text = (pipelines_folder() / "profiles/slurm/config.yaml").read_text()
    # A cluster without a database has no accounts.
    kept = [line for line in text.splitlines() if "slurm_account" not in line]
    (profile / "config.yaml").write_text("\n".join(kept).replace("CHANGE_ME", "all") + "\n")
    queue = ("--slurm-no-account", "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2")
    snakemake = [sys.executable, "-m", "genomamba", "pipeline", *run, "--", "--profile", str(profile), *queue]
    done = subprocess.run(
        [str(CLUSTER), str(tmp_path / "slurm"), *snakemake, "--latency-wait", "5"],
        cwd=project, env=environment, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert scored.read_bytes() == local


ROUND = """
job=$(sbatch --parsable job.sh)
until grep -q 'bits per held-out base' slurm-$job.out 2> /dev/null; do sleep 1; done
scancel --signal=TERM "$job"
until scontrol show job "$job" | grep -q 'Restarts=1'; do sleep 1; done
until scontrol show job "$job" | grep -Eq 'JobState=(COMPLETED|FAILED|TIMEOUT|CANCELLED)'; do sleep 1; done
scontrol show job "$job"
cp slurm-$job.out job.log
"""


def test_the_script_of_the_page_on_slurm_queues_itself_again_after_a_signal(project, environment, tmp_path):
    page = (Path(__file__).parents[2] / "docs/how-to/slurm.md").read_text()
    script = re.search(r"^```sh\n(#!/bin/bash.*?)^```", page, re.M | re.S)[1]
    small = "--num-layers 1 --d-model 16 --context 256 --valid-bases 2048 --valid-every 20 --max-steps 400"
    changed = {"--max-steps 200000": small, "genome.fa.gz": "genome.fa", "--cpus-per-task=8": "--cpus-per-task=1"}
    changed |= {"--mem=8G": "--mem=2G"}
    for before, after in changed.items():
        assert before in script, before
        script = script.replace(before, after)
    (project / "job.sh").write_text(script)
    done = subprocess.run(
        [str(CLUSTER), str(tmp_path / "slurm"), "timeout", "900", "bash", "-c", ROUND],
        cwd=project, env=environment, capture_output=True, text=True, timeout=1000, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    log = (project / "job.log").read_text()
    assert "JobState=COMPLETED" in done.stdout, log
    assert "ExitCode=0:0" in done.stdout
    assert "; going on" in log, log
    assert (project / "runs/mine/report.html").stat().st_size


def test_tasks_of_srun_train_one_model_as_one_process_does(project, environment, tmp_path):
    options = ["--fasta", "genome.fa", "--num-layers", "1", "--d-model", "16", "--context", "256", "--batch-size", "4"]
    options += ["--valid-bases", "2048", "--max-steps", "12", "--threads", "1", "--precision", "float32"]
    command = [sys.executable, "-m", "genomamba", "pretrain", *options]
    srun = ["srun", "--ntasks", "2", "--cpus-per-task", "1", "--kill-on-bad-exit=1"]
    together = [str(CLUSTER), str(tmp_path / "slurm"), *srun, *command, "--parallel", "context=2", "--out", "two"]
    losses = []
    for run, name in (([*command, "--out", "one"], "one"), (together, "two")):
        done = subprocess.run(
            run, cwd=project, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        rows = [json.loads(line) for line in (project / name / "metrics.jsonl").read_text().splitlines()]
        losses.append([row["loss"] for row in rows if row["kind"] == "train"])
    assert len(losses[0]) > 0
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
