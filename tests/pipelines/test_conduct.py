"""How workflows go on: after a kill, past a shard that fails, through a cluster's queue; and what they leave.

The queue is a stand-in, a script that runs a job at once and answers as sbatch would: what is shown is that jobs find
what they need when Snakemake starts each of them by itself, not that SLURM takes them.
"""

import gzip
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from genomamba.workflow.folder import set_up, snakefile_of

pytest.importorskip("snakemake", reason="the pipelines extra is not installed")
pytestmark = pytest.mark.slow

RUN = ("run", "score_variants", "--config", "config.yaml", "--", "--cores", "2")
SCORED = "results/made/scores/ours.vcf.gz"
GENOMAMBA = f"{sys.executable} -m genomamba"


@pytest.fixture
def shim(tmp_path, environment):
    """Put a `genomamba` of one's own, a shell script, in front of the true one; return its folder."""

    def make(script):
        folder = tmp_path / "shim"
        folder.mkdir(exist_ok=True)
        (folder / "genomamba").write_text(f'#!/bin/sh\n{script}\nexec {GENOMAMBA} "$@"\n')
        (folder / "genomamba").chmod(0o755)
        return {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}"}

    return make


def start(folder, environment, *options):
    """Start Snakemake in a process group of its own."""
    command = ["snakemake", "--snakefile", str(snakefile_of("score_variants")), "--configfile", "config.yaml", *options]
    return subprocess.Popen(
        command, cwd=folder, env=environment, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


def records(path):
    return [line for line in gzip.decompress(path.read_bytes()).splitlines() if b"Command=" not in line]


def test_what_was_killed_goes_on_to_the_same_bytes(project, pipeline, shim, change):
    change(shard_records=10)
    pipeline(project, *RUN)
    unbroken = (project / SCORED).read_bytes()
    for path in ("results/made/scores", ".snakemake"):
        subprocess.run(["rm", "-r", project / path], check=True)
    # The third shard, and no other, waits to be killed, after its scores are in place under the output's name.
    environment = shim(
        'case "$*" in *ours.shards/3.vcf.gz*) echo half > results/made/scores/ours/3.vcf; sleep 600;; esac'
    )
    process = start(project, environment, "--cores", "2")
    deadline = time.monotonic() + 300
    while not (project / "results/made/scores/ours/3.vcf").exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (project / SCORED).exists()
    locked = pipeline(project, *RUN, "--rerun-incomplete", code=1)
    assert "--unlock" in locked
    pipeline(project, *RUN, "--unlock")
    said = pipeline(project, *RUN, "--rerun-incomplete")
    assert (project / SCORED).read_bytes() == unbroken
    assert "ours.shards/3.vcf.gz" in said
    assert not list((project / "results/made/scores").glob("ours/*"))


def test_a_shard_that_fails_does_not_lose_the_others(project, pipeline, shim, change):
    change(shard_records=10)
    environment = shim('case "$*" in *ours.shards/2.vcf.gz*) echo "no luck" >&2; exit 1;; esac')
    process = start(project, environment, "--cores", "2", "--keep-going")
    said, _ = process.communicate(timeout=600)
    assert process.returncode != 0
    assert "logs/score/made.ours.2.log" in said
    assert "no luck" in (project / "logs/score/made.ours.2.log").read_text()
    kept = {path.name: path.stat().st_mtime_ns for path in (project / "results/made/scores/ours").glob("*.vcf")}
    shards = len((project / "results/made/scores/ours.shards.tsv").read_text().splitlines()) - 1
    assert set(kept) == {f"{number}.vcf" for number in range(1, shards + 1) if number != 2}
    again = pipeline(project, *RUN)
    assert again.count("Shell command: genomamba score ") == 1
    assert sum(b"GM_LLR=" in line for line in records(project / SCORED)) == 55


def test_jobs_of_a_queue_leave_the_same_bytes(project, pipeline, environment, tmp_path):
    pytest.importorskip(
        "snakemake_executor_plugin_cluster_generic", reason="the plugin of the generic cluster is not installed"
    )
    pipeline(project, *RUN)
    local = records(project / SCORED)
    subprocess.run(["rm", "-r", project / "results", project / ".snakemake"], check=True)
    submit = tmp_path / "submit"
    submit.write_text('#!/bin/sh\necho "$@" >> submitted.txt\nsh "$1" > /dev/null 2>&1\necho 17\n')
    submit.chmod(0o755)
    options = ("--executor", "cluster-generic", "--cluster-generic-submit-cmd", str(submit), "--jobs", "2")
    process = start(project, environment, *options, "--latency-wait", "30")
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said
    assert records(project / SCORED) == local
    # Every job went through: two shards, and index, info, plan_shards, check_score, split, merge and page_of_scores.
    assert len((project / "submitted.txt").read_text().splitlines()) == 9


def test_a_track_by_parts_is_the_track_at_once(project, pipeline, call, change, model):
    change(leave=["cohorts", "shard_records", "score"], track_bases=4_000, likelihood={"strand": "both"})
    pipeline(project, "run", "genome_track", "--config", "config.yaml", "--", "--cores", "2")
    assert (project / "results/made/contigs.tsv").read_text() == "contig\tlength\nchr1\t4000\nchr2\t1500\nchr3\t700\n"
    options = ("--fasta", "genome.fa", "--strand", "both", "--threads", "1", "--out", "whole.bw")
    call(project, sys.executable, "-m", "genomamba", "likelihood", model, *options, "--cache-dir", "results/made/cache")
    assert (project / "results/made/track.bw").read_bytes() == (project / "whole.bw").read_bytes()
    assert not (project / "results/made/likelihood/1.bw").exists()


def test_a_workflow_inside_another_goes_on_and_leaves_the_same_scores(project, pipeline, call, environment, change):
    pipeline(project, *RUN)
    alone = records(project / SCORED)
    change(shard_records=10)
    (project / "scored").mkdir()
    for name in ("genome.fa", "ours.vcf"):
        (project / name).rename(project / "scored" / name)
    outer = (
        f"module genomamba:\n    snakefile: {str(snakefile_of('score_variants'))!r}\n    config: config\n"
        "    prefix: 'scored'\n\n\nuse rule * from genomamba as genomamba_*\n\n\n"
        f"rule mine:\n    input: 'scored/{SCORED}'\n    output: 'count.txt'\n    default_target: True\n"
        "    shell: 'zcat < {input} | grep -c GM_LLR= > {output}'\n"
    )
    (project / "Snakefile").write_text(outer)
    # What a killed attempt leaves: without --resume the command would refuse to go on.
    (project / "scored/results/made/scores/ours/1.vcf.partial").mkdir(parents=True)
    said = call(project, "snakemake", "--cores", "2", "--configfile", "config.yaml", "--printshellcmds")
    assert (project / "count.txt").read_text() == "55\n"
    assert records(project / "scored" / SCORED) == alone
    assert said.count(" --resume ") == 1


def test_scores_stand_among_those_of_a_background(project, pipeline, change):
    change(calibrate={"number": 1})
    pipeline(project, *RUN)
    assert sum(b"GM_PCT=" in line for line in records(project / SCORED)) > 50


def test_all_runs_on_the_example_and_its_report_holds_everything(tmp_path, pipeline):
    folder = tmp_path / "new"
    set_up("all", folder)
    config = yaml.safe_load((folder / "config/config.yaml").read_text())
    config["pretrain"] |= {"max_steps": 10, "d_model": 8, "context": 128}
    config["evaluate"] = {"contexts": [256, 512], "blocks": 2}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    run = ("run", "all", "--config", "config/config.yaml", "--")
    pipeline(folder, *run)
    results = folder / "results/yeast"
    for name in (
        "track.bw",
        "scores/made.vcf.gz",
        "run/report.html",
        "contexts/contexts.svg",
        "probed/coding/report.html",
    ):
        assert (results / name).stat().st_size
    assert sum(b"GM_LLR=" in line for line in records(results / "scores/made.vcf.gz")) == 240
    assert "Nothing to be done" in pipeline(folder, *run)
    pipeline(folder, *run, "--report", "report.html")
    page = (folder / "report.html").read_text()
    assert all(name in page for name in ("contexts.svg", "made.shards.tsv", "contigs.tsv", "fine-tuning"))
    assert 'src="http' not in page


@pytest.mark.parametrize("name", ["pretrain", "score_variants", "classify", "genome_track", "all"])
def test_lint_finds_nothing(name, tmp_path, call):
    set_up(name, tmp_path / "new")
    assert "good condition" in call(tmp_path / "new", "snakemake", "--snakefile", snakefile_of(name), "--lint")


def test_classify_runs_on_the_example_and_reads_the_genome(tmp_path, pipeline):
    folder = tmp_path / "new"
    set_up("classify", folder)
    pipeline(folder, "run", "classify", "--config", "config/config.yaml", "--", "--cores", "2")
    lines = (folder / "results/yeast/probed/coding/figures.tsv").read_text().splitlines()
    (auroc,) = (line.split("\t")[5] for line in lines if line.startswith("probe\tfalse\t\tall\tauroc"))
    assert float(auroc) > 0.6
    track = gzip.decompress((folder / "results/yeast/predictions/coding.bedgraph.gz").read_bytes()).decode()
    assert int(track.splitlines()[-1].split("\t")[2]) > 230_000
    said = pipeline(folder, "run", "classify", "--config", "config/config.yaml", "--", "--cores", "2")
    assert "Nothing to be done" in said
