"""The rules: well formed, complete, and each one call of the command line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from genomamba.cli.main import COMMANDS

PIPELINES = Path(__file__).parents[2] / "pipelines"
BIN = Path(sys.executable).parent

pytest.importorskip("snakemake", reason="the pipelines extra is not installed")
pytestmark = pytest.mark.thorough


def run(*command, folder):
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(folder / "xdg")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def snakemake(folder, *options):
    done = run("snakemake", "--snakefile", PIPELINES / "Snakefile", *options, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def shell_lines(shown):
    return [" ".join(line.split()) for line in re.findall(r"^Shell command: (genomamba.*)$", shown, re.M)]


def test_every_command_has_its_rule():
    rules = {path.stem.replace("_", "-") for path in (PIPELINES / "rules").glob("*.smk")}
    assert rules - {"common"} == set(COMMANDS) - {"pipeline"}


def test_the_example_plans_one_call_a_rule(tmp_path):
    shown = snakemake(tmp_path, "--dry-run", "--printshellcmds", "--cores", "2")
    assert shell_lines(shown) == [
        "genomamba index --alphabet dna --cache-dir results/yeasts/cache > logs/index/yeasts.log 2>&1",
        "genomamba pretrain --alphabet dna --max-minutes 1.5 --cache-dir results/yeasts/cache --threads 2 --dry-run"
        " > results/yeasts/plan.txt 2> logs/plan_pretrain/yeasts.log",
        "genomamba pretrain --alphabet dna --max-minutes 1.5 --cache-dir results/yeasts/cache --threads 2"
        " --out results/yeasts/run --force > logs/pretrain/yeasts.log 2>&1",
        "genomamba report results/yeasts/run > logs/report/yeasts.log 2>&1",
    ]


def test_tracks_and_sequences_are_made_where_they_are_asked_for(tmp_path):
    targets = ["results/yeasts/likelihood.bedgraph.gz", "results/yeasts/generated.fa", "results/yeasts/info.json"]
    shown = shell_lines(snakemake(tmp_path, "--dry-run", "--printshellcmds", "--cores", "2", *targets))
    assert sorted(line for line in shown if line.split()[1] in ("likelihood", "generate", "info")) == [
        "genomamba generate results/yeasts/run --length 1000 -n 4 --threads 2 --out results/yeasts/generated.fa"
        " > logs/generate/yeasts.log 2>&1",
        "genomamba info results/yeasts/run --length 131072 --json --threads 2 > results/yeasts/info.json"
        " 2> logs/info/yeasts.log",
        "genomamba likelihood results/yeasts/run --strand both --cache-dir results/yeasts/cache --threads 2"
        " --out results/yeasts/likelihood.bedgraph.gz > logs/likelihood/yeasts.bedgraph.gz.log 2>&1",
    ]


def test_figures_against_context_are_made_where_they_are_asked_for(tmp_path):
    target = "results/yeasts/contexts/contexts.svg"
    *_, line = shell_lines(snakemake(tmp_path, "--dry-run", "--printshellcmds", "--cores", "2", target))
    assert line == (
        "genomamba evaluate results/yeasts/run --contexts 1024,8192,65536 --cache-dir results/yeasts/cache --threads 2"
        " --out results/yeasts/contexts --force > logs/evaluate/yeasts.log 2>&1"
    )


def test_a_track_reads_the_files_of_its_genome(tmp_path):
    (tmp_path / "a b.fa").write_text(">1\nACGT\n")
    (tmp_path / "my exons.bed").write_text("1\t0\t4\texon\n")
    entry = {"name": "mine", "fasta": "a b.fa", "classes": "my exons.bed"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"genomes": [entry]}))
    options = ("--dry-run", "--printshellcmds", "--cores", "2", "--configfile", "mine.yaml")
    *before, line = shell_lines(snakemake(tmp_path, "results/mine/likelihood.bw", *options))
    told = "genomamba pretrain --fasta 'a b.fa' --classes 'my exons.bed' --alphabet dna "
    assert [one.startswith(told) for one in before].count(True) == 2
    assert line.startswith("genomamba likelihood results/mine/run --fasta 'a b.fa' --cache-dir results/mine/cache ")


def test_a_cohort_is_scored_in_shards_by_the_model_of_its_genome(tmp_path):
    for name in ("a b.fa", "calls 1.vcf"):
        (tmp_path / name).write_text("")
    genome = {"name": "mine", "fasta": "a b.fa", "cohorts": {"ours": "calls 1.vcf"}, "score": "--context 4096"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"genomes": [genome | {"shard_records": 7}]}))
    targets = [f"results/mine/scores/ours/{shard}.vcf" for shard in (1, 2)]
    options = ("--dry-run", "--printshellcmds", "--cores", "2", "--configfile", "mine.yaml")
    (tmp_path / "results/mine/scores/ours/2.vcf.partial").mkdir(parents=True)
    lines = shell_lines(snakemake(tmp_path, *targets, *options))
    start = "genomamba score results/mine/run --fasta 'a b.fa' --vcf"
    end = "--cache-dir results/mine/cache --threads"
    assert {line for line in lines if line.startswith("genomamba score ")} == {
        f"{start} 'calls 1.vcf' --context 4096 --device cpu {end} 1 --dry-run > logs/check_score/mine.ours.log 2>&1",
        *(
            f"{start} results/mine/scores/ours.shards/{shard}.vcf.gz --ref-mismatch skip-all --context 4096{resume}"
            f" --calibration none {end} 2 --out results/mine/scores/ours/{shard}.vcf"
            f" > logs/score/mine.ours.{shard}.log 2>&1"
            for shard, resume in ((1, ""), (2, " --resume"))
        ),
    }
    assert (
        "genomamba split 'calls 1.vcf' --records 7 --out results/mine/scores/ours.shards"
        " > logs/split/mine.ours.log 2>&1"
    ) in lines


def test_a_region_is_changed_by_the_model_of_its_genome(tmp_path):
    for name in ("a b.fa", "genes 1.gff3"):
        (tmp_path / name).write_text("")
    genome = {"name": "mine", "fasta": "a b.fa", "regions": {"promoter": "chr1:1,001-1,100"}, "ism": "--deletions 1,3"}
    for gff, drawn in (({"gff": "genes 1.gff3"}, " --gff 'genes 1.gff3'"), ({}, "")):
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"genomes": [genome | gff]}))
        options = ("--dry-run", "--printshellcmds", "--cores", "2", "--configfile", "mine.yaml")
        *_, line = shell_lines(snakemake(tmp_path, "results/mine/ism/promoter.svg", *options))
        assert line == (
            f"genomamba ism results/mine/run --fasta 'a b.fa' --region chr1:1,001-1,100{drawn} --deletions 1,3"
            " --cache-dir results/mine/cache --threads 2 --out results/mine/ism/promoter.tsv"
            " --plot results/mine/ism/promoter.svg > logs/ism/mine.promoter.log 2>&1"
        )


def test_scores_are_compared_with_a_background_where_that_is_asked_for(tmp_path):
    for name in ("a.fa", "calls.vcf", "common 1.vcf"):
        (tmp_path / name).write_text("")
    genome = {"name": "mine", "fasta": "a.fa", "cohorts": {"ours": "calls.vcf"}, "calibrate": "--horizon 512"}
    lines = {}
    for name, more in (("drawn", {}), ("given", {"background": "common 1.vcf"})):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"genomes": [genome | more]}))
        options = ("--dry-run", "--printshellcmds", "--cores", "2", "--configfile", f"{name}.yaml")
        shown = shell_lines(snakemake(tmp_path, "results/mine/scores/ours/1.vcf", *options))
        lines |= {(name, line.split()[1]): line for line in shown if "--dry-run" not in line}
    end = (
        " --cache-dir results/mine/cache --threads 2 --out results/mine/calibration.json > logs/calibrate/mine.log 2>&1"
    )
    start = "genomamba calibrate results/mine/run --fasta a.fa"
    assert lines["drawn", "calibrate"] == f"{start} --horizon 512{end}"
    assert lines["given", "calibrate"] == f"{start} --vcf 'common 1.vcf' --horizon 512{end}"
    assert " --calibration results/mine/calibration.json --cache-dir " in lines["drawn", "score"]


def test_a_scored_cohort_gets_its_page_and_its_metrics(tmp_path):
    for name in ("a b.fa", "calls.vcf"):
        (tmp_path / name).write_text("")
    genome = {
        "name": "mine",
        "fasta": "a b.fa",
        "cohorts": {"ours": "calls.vcf"},
        "labels": "--labels FC --positive LOF",
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"genomes": [genome]}))
    options = ("--dry-run", "--printshellcmds", "--cores", "2", "--configfile", "mine.yaml")
    targets = ("results/mine/scores/ours.html", "results/mine/scores/ours.metrics.tsv")
    lines = shell_lines(snakemake(tmp_path, *targets, *options))
    for option, name, log in (("--report", "ours.html", "html"), ("--metrics", "ours.metrics.tsv", "metrics")):
        assert (
            "genomamba merge results/mine/scores/ours.vcf.gz --fasta 'a b.fa' --labels FC --positive LOF"
            f" --cache-dir results/mine/cache {option} results/mine/scores/{name} --force"
            f" > logs/merge/mine.ours.{log}.log 2>&1"
        ) in lines


def test_a_task_is_made_and_embedded_and_so_is_data_of_ones_own(tmp_path):
    for name in ("a b.fa", "genes 1.gff3", "my data.tsv"):
        (tmp_path / name).write_text("")
    genome = {"name": "mine", "fasta": "a b.fa", "gff": "genes 1.gff3", "embed": "--pool max"}
    genome |= {"tasks": {"donors": "--feature splice_donor --test chrIV"}, "data": {"ours": "my data.tsv"}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"genomes": [genome]}))
    options = ("--dry-run", "--printshellcmds", "--cores", "2", "--configfile", "mine.yaml")
    targets = ["results/mine/embeddings/donors.npz", "results/mine/embeddings/ours.parquet"]
    lines = shell_lines(snakemake(tmp_path, *targets, *options))
    assert sorted(line for line in lines if line.split()[1] in ("embed", "make-task")) == [
        "genomamba embed results/mine/run --data 'my data.tsv' --pool max --threads 2"
        " --out results/mine/embeddings/ours.parquet > logs/embed/mine.ours.parquet.log 2>&1",
        "genomamba embed results/mine/run --data results/mine/tasks/donors.tsv.gz --pool max --threads 2"
        " --out results/mine/embeddings/donors.npz > logs/embed/mine.donors.npz.log 2>&1",
        "genomamba make-task --fasta 'a b.fa' --gff 'genes 1.gff3' --feature splice_donor --test chrIV"
        " --cache-dir results/mine/cache --out results/mine/tasks/donors.tsv.gz --force"
        " > logs/make_task/mine.donors.log 2>&1",
    ]
    path = ("snakemake", "--snakefile", PIPELINES / "Snakefile")
    done = run(*path, "results/mine/embeddings/other.npz", *options, folder=tmp_path)
    assert done.returncode != 0
    assert "mine has no task and no data 'other'; it has donors, ours" in done.stdout + done.stderr


def test_a_head_is_trained_on_a_task_and_read_over_the_genome(tmp_path):
    for name in ("a b.fa", "genes 1.gff3"):
        (tmp_path / name).write_text("")
    genome = {"name": "mine", "fasta": "a b.fa", "gff": "genes 1.gff3", "tasks": {"donors": "--feature splice_donor"}}
    (tmp_path / "tasks").mkdir()
    genome |= {
        "suites": {"ours": "tasks"},
        "benchmark": "--protocol caduceus-5fold",
        "probe": "--pool max",
        "finetune": "--pool middle",
        "predict": "--window 60 --stride 1",
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"genomes": [genome]}))
    options = ("--dry-run", "--printshellcmds", "--cores", "2", "--configfile", "mine.yaml")
    asked = ("results/mine/predictions/donors.bedgraph.gz", "results/mine/probed/donors/figures.tsv")
    asked += ("results/mine/benchmarks/ours/benchmark.tsv",)
    lines = shell_lines(snakemake(tmp_path, *asked, *options))
    assert sorted(line for line in lines if line.split()[1] in ("benchmark", "finetune", "predict", "probe")) == [
        "genomamba benchmark results/mine/run --suite tasks --protocol caduceus-5fold --threads 2"
        " --out results/mine/benchmarks/ours --force > logs/benchmark/mine.ours.log 2>&1",
        "genomamba finetune results/mine/run --data results/mine/tasks/donors.tsv.gz --pool middle --threads 2"
        " --out results/mine/finetuned/donors --force > logs/finetune/mine.donors.log 2>&1",
        "genomamba predict results/mine/finetuned/donors --fasta 'a b.fa' --window 60 --stride 1"
        " --cache-dir results/mine/cache --threads 2 --out results/mine/predictions/donors.bedgraph.gz --force"
        " > logs/predict/mine.donors.bedgraph.gz.log 2>&1",
        "genomamba probe results/mine/run --data results/mine/tasks/donors.tsv.gz --pool max --threads 2"
        " --out results/mine/probed/donors --force > logs/probe/mine.donors.log 2>&1",
    ]


def test_genomes_of_ones_own_replace_the_example(tmp_path):
    for name in ("a b.fa", "c.fa"):
        (tmp_path / name).write_text(">1\nACGT\n")
    genome = {"name": "mine", "fasta": ["a b.fa", "c.fa"], "alphabet": "bytes", "options": "--seed 3"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"genomes": [genome]}))
    shown = snakemake(tmp_path, "--dry-run", "--printshellcmds", "--cores", "2", "--configfile", "mine.yaml")
    index, _, pretrain, report = shell_lines(shown)
    assert index.startswith("genomamba index 'a b.fa' c.fa --alphabet bytes ")
    assert pretrain.startswith("genomamba pretrain --fasta 'a b.fa' c.fa --alphabet bytes --seed 3 ")
    assert report.startswith("genomamba report results/mine/run ")


def test_an_entry_may_leave_out_all_but_its_name(tmp_path):
    (tmp_path / "a.fa").write_text(">1\nACGT\n")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"genomes": [{"name": "mine", "fasta": "a.fa"}]}))
    shown = snakemake(tmp_path, "--dry-run", "--printshellcmds", "--cores", "2", "--configfile", "mine.yaml")
    assert "genomamba pretrain --fasta a.fa --alphabet dna --cache-dir" in shell_lines(shown)[2]


def test_models_are_converted_from_folders_and_from_the_hub(tmp_path):
    (tmp_path / "my weights").mkdir()
    models = [
        {"name": "mine", "model": "my weights", "options": "--to huggingface"},
        {"name": "theirs", "model": "someone/model"},
    ]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"genomes": [], "models": models}))
    shown = snakemake(tmp_path, "--dry-run", "--printshellcmds", "--cores", "2", "--configfile", "mine.yaml")
    assert sorted(shell_lines(shown)) == [
        "genomamba convert 'my weights' results/mine/converted --to huggingface > logs/convert/mine.log 2>&1",
        "genomamba convert someone/model results/theirs/converted > logs/convert/theirs.log 2>&1",
    ]


@pytest.mark.parametrize(
    ("section", "entry", "message"),
    [
        ("genomes", {"nme": "mine"}, "'nme' is no key of a genome"),
        ("genomes", {"fasta": "a.fa"}, "an entry has no name"),
        ("models", {"name": "mine", "fasta": "a.fa"}, "'fasta' is no key of a model"),
        ("models", {"name": "mine"}, "an entry has no model; it says what to convert"),
    ],
    ids=["unknown", "nameless", "unknown-of-model", "no-model"],
)
def test_a_wrong_entry_is_named_in_one_line(tmp_path, section, entry, message):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({section: [entry]}))
    done = run(
        *("snakemake", "--snakefile", PIPELINES / "Snakefile", "--dry-run", "--configfile", "mine.yaml"),
        folder=tmp_path,
    )
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_lint_finds_nothing(tmp_path):
    assert "good condition" in snakemake(tmp_path, "--lint")


def test_every_rule_says_what_it_takes():
    texts = [text for file in (PIPELINES / "rules").glob("*.smk") for text in rules_of(file.read_text())]
    assert len(texts) >= len(COMMANDS)
    for text in texts:
        for word in ("log:", "benchmark:", "conda:", "threads:", "mem_mb=", "runtime=", "gpu="):
            assert re.search(rf"^ +{word}", text, re.M), f"{text.split(':')[0]} has no {word}"


def rules_of(text):
    return re.split(r"^(?=(?:rule|checkpoint) \w+:$)", text, flags=re.M)[1:]


@pytest.mark.slow
def test_the_example_runs(tmp_path):
    genome = {
        "name": "yeasts",
        "fasta": [],
        "alphabet": "dna",
        "options": "--num-layers 1 --d-model 16 --context 256 --max-steps 4",
        "generate": "--length 10",
        "evaluate": "--contexts 256,512 --blocks 2",
        "info": "--length 100 --max-seconds 0",
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"genomes": [genome], "threads": 1}))
    asked = ("run/report.html", "likelihood.bw", "generated.fa", "contexts/contexts.png", "info.json")
    targets = [f"results/yeasts/{name}" for name in asked]
    snakemake(tmp_path, *targets, "--cores", "2", "--configfile", "tiny.yaml")
    assert (tmp_path / "results/yeasts/run/report.html").read_text().lstrip().startswith("<!")
    assert (tmp_path / "results/yeasts/likelihood.bw").stat().st_size > 230_218
    assert re.fullmatch(r">generated_1 .*\n[ACGT]{10}\n", (tmp_path / "results/yeasts/generated.fa").read_text())
    assert json.loads((tmp_path / "results/yeasts/info.json").read_text())["costs"][0]["length"] == 100
    assert len((tmp_path / "results/yeasts/contexts/contexts.tsv").read_text().splitlines()) == 3
    assert (tmp_path / "results/yeasts/run/model.safetensors").stat().st_size
    assert "Nothing to be done" in snakemake(tmp_path, "--cores", "2", "--configfile", "tiny.yaml")
