"""A workflow on a real SLURM: one node, this machine, with controller, daemon and MUNGE started for the test."""

import os
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
