"""Workflows: their schemas, their folders, what they plan, what they refuse, and one that runs to its end."""

import gzip
import importlib.util
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from genomamba.classify.config import PartsConfig, TaskConfig
from genomamba.cli.main import main
from genomamba.settings import settings_of
from genomamba.workflow.config import GIVEN, WORKFLOWS
from genomamba.workflow.folder import pipelines_folder, set_up, snakefile_of
from genomamba.workflow.schema import schema_of, schema_text

pytest.importorskip("snakemake", reason="the pipelines extra is not installed")

PIPELINES = Path(__file__).parents[2] / "pipelines"


def calls(said):
    """Calls of genomamba in what Snakemake shows, by rule name, each once."""
    return [" ".join(line.split()) for line in re.findall(r"^Shell command: (genomamba.*)$", said, re.M)]


@pytest.fixture(scope="module")
def common():
    """The functions that the Snakefiles share; they are plain Python."""
    found = {"workflow": types.SimpleNamespace(current_basedir=PIPELINES / "rules"), "GENOMES": {}}
    exec(compile((PIPELINES / "rules/common.smk").read_text(), "common.smk", "exec"), found)
    return types.SimpleNamespace(**found)


def test_the_workflows_are_the_folders():
    assert pipelines_folder() == PIPELINES
    assert {path.parent.name for path in PIPELINES.glob("*/Snakefile")} == set(WORKFLOWS)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_schema_is_what_the_dataclasses_say(name):
    assert (PIPELINES / f"schemas/{name}.schema.json").read_text() == schema_text(name), (
        f"genomamba pipeline schema {name} > pipelines/schemas/{name}.schema.json"
    )


def objects(schema):
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for value in schema.values():
            yield from objects(value)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_that_a_schema_does_not_name_may_stand_in_a_configuration(name):
    found = list(objects(schema_of(name)))
    assert len(found) == 1 + len(WORKFLOWS[name].sections) + len(WORKFLOWS[name].named)
    for one in found:
        assert one["additionalProperties"] is False
        assert all(each["description"] for each in one["properties"].values())
    for section in WORKFLOWS[name].sections:
        assert not set(schema_of(name)["properties"][section]["properties"]) & (GIVEN - {"alphabet"})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_configuration_that_init_writes_says_something_of_every_setting_and_is_taken(
    name, common, tmp_path, monkeypatch
):
    set_up(name, tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    config = yaml.safe_load(Path("config/config.yaml").read_text())
    assert set(config) == set(schema_of(name)["properties"])
    (genome,) = common.read_workflow(config, name).values()
    named = (*genome["fasta"], *genome["gff"], *genome["cohorts"].values())
    assert all(Path(path).is_file() for path in named)
    assert {"cores", "keep-going", "rerun-incomplete"} <= set(
        yaml.safe_load(Path("profiles/default/config.yaml").read_text())
    )


FAULTS = {
    "unknown": ({"shards": 3}, "config: 'shards' is no setting of genomamba score_variants; did you mean "),
    "unknown of a command": (
        {"score": {"contxt": 1}},
        "config: score: 'contxt' is no setting of score; did you mean context?",
    ),
    "given by the workflow": ({"score": {"vcf": "a.vcf"}}, "config: score: 'vcf' is no setting of score"),
    "no number": ({"shard_records": "many"}, "config: shard_records: 'many' is not of type 'integer'"),
    "no choice": ({"score": {"strand": "x"}}, "config: score.strand: 'x' is not one of ['+', '-', 'both']"),
    "a path as a name": ({"name": "a/b"}, "config: name: 'a/b' does not match"),
    "no FASTA": ({"fasta": None}, "config: 'fasta' is a required property"),
    "no sheet": ({"cohorts": "no.tsv"}, "config: cohorts: no.tsv: No such file or directory; it is a TSV with"),
    "no columns": ({"cohorts": "wrong.tsv"}, "wrong.tsv:1: its columns must be cohort and vcf"),
    "no VCF": ({"cohorts": "short.tsv"}, "short.tsv:3: must be a name"),
    "twice": ({"cohorts": "twice.tsv"}, "twice.tsv:4: cohort 'a' is there twice"),
    "empty": ({"cohorts": "empty.tsv"}, "empty.tsv: no cohort"),
}


@pytest.mark.parametrize(("settings", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_a_configuration_is_one_line(common, tmp_path, monkeypatch, settings, message):
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("wrong", "name\tvcf\n"),
        ("short", "cohort\tvcf\na\ta.vcf\nb\n"),
        ("twice", "cohort\tvcf\na\ta.vcf\n# a note\na\tb.vcf\n"),
        ("empty", "cohort\tvcf\n"),
    ):
        Path(f"{name}.tsv").write_text(text.replace("# a note\n", "#\tno\n"))
    config = {"fasta": ["a.fa"], "cohorts": {"a": "a.vcf"}} | settings
    config = {key: value for key, value in config.items() if value is not None}
    with pytest.raises(common.WorkflowError) as raised:
        common.read_workflow(config, "score_variants")
    said = str(raised.value)
    assert said.startswith(message)
    assert "\n" not in said


LABELLED_FAULTS = {
    "unknown": (
        {"gff": "a.gff", "tasks": {"coding": {"feature": "CDS", "lenght": 9}}},
        "config: tasks.coding: 'lenght' is no setting of tasks.coding; did you mean length?",
    ),
    "no feature": (
        {"gff": "a.gff", "tasks": {"coding": {"length": 9}}},
        "config: tasks.coding: 'feature' is a required property",
    ),
    "no data": ({"data": {"ours": {"label_column": "y"}}}, "config: data.ours: 'data' is a required property"),
    "a path as a name": ({"data": {"a/b": {"data": "a.tsv"}}}, "config: data: 'a/b' does not match"),
    "no annotation": ({"tasks": {"coding": {"feature": "CDS"}}}, "config: tasks are made from an annotation; name"),
    "twice": (
        {"gff": "a.gff", "tasks": {"a": {"feature": "CDS"}}, "data": {"a": {"data": "a.tsv"}}},
        "config: 'a' stands under tasks and under data",
    ),
}


@pytest.mark.parametrize(("settings", "message"), LABELLED_FAULTS.values(), ids=LABELLED_FAULTS)
def test_a_fault_of_labelled_data_is_one_line(common, settings, message):
    with pytest.raises(common.WorkflowError) as raised:
        common.read_workflow({"fasta": ["a.fa"], **settings}, "classify")
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


@pytest.mark.thorough
def test_settings_of_labelled_data_go_to_the_commands_that_take_them(tmp_path, call):
    for name in ("a b.fa", "genes.gff3", "peaks.bed", "ours.tsv", "theirs.tsv", "b c.tsv"):
        (tmp_path / name).write_text("")
    config = {"fasta": "a b.fa", "model": "someone/model", "gff": "genes.gff3", "embed": {}, "probe": {}}
    config["finetune"] = {"epochs": 2}
    config["tasks"] = {"coding": {"feature": "CDS", "seed": 4, "test_share": 0.3, "test_data": ["theirs.tsv"]}}
    config["data"] = {
        "peaks": {"data": "peaks.bed", "label_column": "kind", "test": ["chr2"]},
        "ours": {"data": "ours.tsv", "split_by": "group", "test_data": ["theirs.tsv", "b c.tsv"]},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    options = ("--dry-run", "--printshellcmds", "--configfile", "config.yaml")
    said = call(tmp_path, "snakemake", "--snakefile", snakefile_of("classify"), *options)
    made = {(line.split()[1], line.partition(" --data ")[2].split(" ")[0]): line for line in calls(said)}
    tasks = "results/genome/tasks/coding.tsv.gz"
    model = "someone/model --data"
    expected = {
        ("make-task", ""): "--gff genes.gff3 --feature=CDS --seed=4 --cache-dir",
        ("embed", tasks): f"{model} {tasks} --threads",
        ("embed", "peaks.bed"): f"{model} peaks.bed --fasta 'a b.fa' --label-column=kind --threads",
        ("embed", "ours.tsv"): f"{model} ours.tsv --threads",
        ("probe", tasks): f"{model} {tasks} --test-data theirs.tsv --test-share=0.3 --threads",
        ("probe", "peaks.bed"): f"{model} peaks.bed --fasta 'a b.fa' --label-column=kind --test chr2 --threads",
        ("probe", "ours.tsv"): f"{model} ours.tsv --split-by=group --test-data theirs.tsv 'b c.tsv' --threads",
        ("finetune", tasks): f"{model} {tasks} --test-data theirs.tsv --test-share=0.3 --epochs=2 --threads",
        ("finetune", "peaks.bed"): f"{model} peaks.bed --fasta 'a b.fa' --label-column=kind --test chr2 --epochs=2",
        ("finetune", "ours.tsv"): f"{model} ours.tsv --split-by=group --test-data theirs.tsv 'b c.tsv' --epochs=2",
    }
    assert set(made) == {*expected, ("index", ""), ("info", "")}
    for key, part in expected.items():
        assert part in made[key], key


def test_every_setting_of_parts_is_known_for_one(common):
    parts, of_task = ({*settings_of(one)} - GIVEN for one in (PartsConfig, TaskConfig))
    assert set(common.PARTS) == parts
    assert set(common.PARTS_OF_TASKS) == parts - of_task


def test_settings_become_options(common):
    settings = {
        "context": 4096,
        "strand": "-",
        "scores": ["llr", "x y"],
        "recompute": True,
        "resume": False,
        "seed": None,
    }
    assert common.as_flags(settings) == "--context=4096 --strand=- --scores llr 'x y' --recompute --no-resume"
    assert common.as_flags(None) == ""
    config = {"fasta": "a.fa", "pretrain": {"learning_rate": "4e-3", "alphabet": "bytes"}}
    genome = common.read_workflow(config, "pretrain")["genome"]
    assert (genome["options"], genome["alphabet"], genome["fasta"]) == ("--learning-rate=4e-3", "bytes", ["a.fa"])


def test_a_background_is_scored_as_the_variants_are(common):
    config = {
        "fasta": "a.fa",
        "cohorts": {"a": "a.vcf"},
        "score": {"context": 512, "strand": "+"},
        "calibrate": {"number": 5},
    }
    assert (
        common.read_workflow(config, "score_variants")["genome"]["calibrate"] == "--context=512 --strand=+ --number=5"
    )


def test_contigs_share_a_part_up_to_its_bases(common, tmp_path):
    common.track_parts.__globals__["GENOMES"]["one"] = {"track_bases": 100}
    (tmp_path / "contigs.tsv").write_text("contig\tlength\na\t60\nb\t40\nc\t1\nd\t500\ne\t9\n")
    assert common.track_parts("one", tmp_path / "contigs.tsv") == [["a", "b"], ["c"], ["d"], ["e"]]


def test_thousands_of_files_are_named_in_few_letters_and_in_their_order(common, tmp_path):
    files = [f"a b/{number}.vcf" for number in range(1, 12)]
    shown = common.numbered([*files, "x.checked"], ".vcf")
    assert shown == "'a b'/{1..11}.vcf"
    expanded = subprocess.run(["bash", "-c", f"printf '%s\\n' {shown}"], capture_output=True, text=True, check=True)
    assert expanded.stdout.splitlines() == files
    assert common.numbered(["a/1.bw"], ".bw") == "a/{1..1}.bw"


def test_no_input_is_ancient():
    """Snakemake 9.27 leaves early, and says that all went well, where such an input is made while a checkpoint ends."""
    for file in PIPELINES.glob("rules/*.smk"):
        assert "ancient(" not in file.read_text(), file.name


def test_list_path_and_schema(capsys):
    assert main(["pipeline", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(WORKFLOWS)
    assert main(["pipeline", "path", "genome_track"]) == 0
    assert Path(capsys.readouterr().out.strip()) == PIPELINES / "genome_track/Snakefile"
    assert main(["pipeline", "schema", "pretrain"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "genomamba pretrain"


REFUSED = {
    "no action": (["lst"], 2, "unrecognised action lst; did you mean list?"),
    "no workflow": (["run"], 2, "no workflow; name one of pretrain, "),
    "unknown workflow": (
        ["path", "score_variant"],
        2,
        "unrecognised workflow score_variant; did you mean score_variants?",
    ),
    "no folder": (["init", "pretrain"], 2, "no folder; name one"),
    "a folder in the way": (["init", "pretrain", "."], 1, ".: is there and not empty"),
    "no configuration": (["run", "pretrain"], 2, "no configuration; name it by --config"),
    "an absent configuration": (["run", "pretrain", "--config", "no.yaml"], 2, "no.yaml: no such file"),
    "a stray": (["run", "pretrain", "x"], 2, "unexpected argument 'x'; options of snakemake follow --"),
    "options of nobody": (["list", "--", "-n"], 2, "-- is for options of snakemake"),
}


@pytest.mark.parametrize(("words", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_one_line(words, code, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["pipeline", *words]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)


def test_without_snakemake_one_line_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (tmp_path / "config.yaml").write_text("")
    assert main(["pipeline", "run", "pretrain", "--config", str(tmp_path / "config.yaml")]) == 1
    assert capsys.readouterr().err == (
        "Snakemake, which runs workflows, is not installed: pip install 'genomamba[pipelines]'\n"
    )


@pytest.mark.thorough
def test_variants_are_scored_in_shards_as_they_are_at_once(project, pipeline, call, model):
    said = pipeline(project, "run", "score_variants", "--config", "config.yaml", "--", "--cores", "2")
    assert "(100%) done" in said
    scores = project / "results/made/scores"
    left = ["ours.checked", "ours.html", "ours.shards.tsv", "ours.vcf.gz", "ours.vcf.gz.tbi"]
    assert sorted(path.name for path in scores.iterdir()) == left
    assert (scores / "ours.shards.tsv").read_text() == ("shard\tcontigs\trecords\n1\tchr1\t40\n2\tchr2,chr3\t15\n")
    options = ("--context", "128", "--horizon", "32", "--threads", "1", "--out", "whole.vcf.gz")
    whole = ("score", model, "--fasta", "genome.fa", "--vcf", "ours.vcf", "--cache-dir", "results/made/cache", *options)
    call(project, sys.executable, "-m", "genomamba", *whole)
    merged, at_once = (
        [line for line in gzip.decompress(path.read_bytes()).splitlines() if b"Command=" not in line]
        for path in (scores / "ours.vcf.gz", project / "whole.vcf.gz")
    )
    assert merged == at_once
    assert sum(b"GM_LLR=" in line for line in merged) == 55
    again = pipeline(project, "run", "score_variants", "--config", "config.yaml", "--", "--cores", "2")
    assert "Nothing to be done" in again


def test_what_a_configuration_lacks_is_told_before_anything_runs(project, pipeline, change):
    change(score={"contxt": 128})
    said = pipeline(project, "run", "score_variants", "--config", "config.yaml", code=1)
    assert "config: score: 'contxt' is no setting of score; did you mean context?" in said
    change(score={}, background="common.vcf", calibrate={})
    said = pipeline(project, "run", "score_variants", "--config", "config.yaml", code=1)
    assert "common.vcf" in said
    assert "Traceback" not in said
    assert not (project / "results").exists()


@pytest.mark.thorough
def test_a_vcf_of_another_assembly_is_told_before_anything_is_trained_or_scored(project, pipeline, change):
    change(leave=["model"], pretrain={"max_steps": 1})
    (project / "cohorts.tsv").write_text("cohort\tvcf\nours\tours.vcf\ntheirs\ttheirs.vcf\n")
    (project / "theirs.vcf").write_text((project / "theirs.vcf").read_text().replace("chr2\t", "X\t"))
    said = pipeline(
        # With a folder of its own, contigs are left to the first jobs.
        *(project, "run", "score_variants", "--config", "config.yaml", "--", "--cores", "2", "--keep-going"),
        *("--directory", "."),
        code=1,
    )
    log = (project / "logs/plan_shards/made.theirs.log").read_text()
    assert "theirs.vcf: its records lie on 'X', and the FASTA has 'chr1', 'chr2', 'chr3'" in log
    assert log.strip().splitlines()[-1] in said
    assert "logs/plan_shards/made.theirs.log" in said
    assert not (project / "results/made/plan.txt").exists()
    assert not (project / "results/made/run").exists()


OUTER = """
module genomamba:
    snakefile:
        {snakefile!r}
    config:
        config["variants"]
    prefix:
        "scored"


use rule * from genomamba as genomamba_*


rule mine:
    input:
        "scored/results/made/scores/ours.vcf.gz",
    output:
        "count.txt",
    default_target: True
    shell:
        "zcat < {{input}} | grep -c GM_LLR= > {{output}}"
"""


@pytest.mark.thorough
def test_a_workflow_is_a_module_of_others(project, call):
    (project / "Snakefile").write_text(OUTER.format(snakefile=str(PIPELINES / "score_variants/Snakefile")))
    config = yaml.safe_load((project / "config.yaml").read_text())
    (project / "scored").mkdir()
    for key in ("genome.fa", "ours.vcf", "theirs.vcf"):
        (project / key).rename(project / "scored" / key)
    (project / "outer.yaml").write_text(yaml.safe_dump({"variants": config}))
    said = call(project, "snakemake", "--cores", "2", "--configfile", "outer.yaml", "--dry-run", "--printshellcmds")
    commands = {line.split()[1]: line for line in calls(said)}
    assert set(commands) == {"index", "split", "info", "score", "merge"}
    assert " --cache-dir scored/results/made/cache " in commands["split"]


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["pretrain", "genome_track", "classify", "all"])
def test_the_example_is_planned_as_init_leaves_it(name, tmp_path, call):
    set_up(name, tmp_path / "new")
    options = ("--dry-run", "--printshellcmds", "--configfile", "config/config.yaml")
    said = call(tmp_path / "new", "snakemake", "--snakefile", snakefile_of(name), *options)
    expected = {
        "pretrain": {"index", "pretrain", "info", "evaluate", "report"},
        "genome_track": {"index", "pretrain", "info", "merge"},
        "classify": {"index", "pretrain", "info", "make-task", "embed", "probe", "finetune", "predict"},
        "all": {
            *("index", "pretrain", "info", "evaluate", "report", "merge", "split", "score"),
            *("make-task", "probe", "finetune", "predict"),
        },
    }
    assert {line.split()[1] for line in calls(said)} == expected[name]
