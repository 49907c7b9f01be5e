import csv
import difflib
import json
import re
import shlex
from pathlib import Path

import jsonschema
import yaml
from snakemake.exceptions import WorkflowError

SCHEMAS = Path(workflow.current_basedir).parent / "schemas"

GENOME = {
    "fasta": [],
    "model": None,
    "alphabet": "dna",
    "options": "",
    "contigs": [],
    "chrom_map": [],
    "likelihood": "",
    "track_bases": 50_000_000,
    "evaluate": "",
    "generate": "",
    "info": "",
    "cohorts": {},
    "score": "",
    "calibrate": None,
    "background": [],
    "shard_records": 20_000,
    "labels": "",
    "regions": {},
    "ism": "",
    "gff": [],
    "classes": [],
    "tasks": {},
    "data": {},
    "reading": {},
    "test_data": {},
    "parts": {},
    "embed": "",
    "probe": "",
    "finetune": "",
    "suites": {},
    "benchmark": "",
    "predict": "--window 200",
}
MODEL = {"options": ""}


def read_entries(config, section, required, defaults):
    """Return the entries of a section of the configuration by name, with what they leave out filled in."""
    entries = {}
    for entry in config[section]:
        known = {*required, *defaults}
        if unknown := sorted(set(entry) - known):
            raise WorkflowError(
                f"{section}: {unknown[0]!r} is no key of a {section[:-1]}; it has {', '.join(sorted(known))}"
            )
        for key, use in required.items():
            if key not in entry:
                raise WorkflowError(f"{section}: an entry has no {key}; it {use}")
        entries[str(entry["name"])] = defaults | entry
    return entries


def read_genomes(config):
    """Return the genomes of the configuration by name."""
    required = {"name": "names the folder of its results"}
    genomes = read_entries(config, "genomes", required, GENOME)
    for genome in genomes.values():
        genome["fasta"] = as_list(genome["fasta"])
        genome["classes"] = as_list(genome["classes"])
    return genomes


def read_models(config):
    """Return the models to convert, by name."""
    required = {
        "name": "names the folder of its results",
        "model": "says what to convert: a folder, or a name on the hub",
    }
    return read_entries(config, "models", required, MODEL)


def read_workflow(config, workflow_name):
    """Check the configuration of a workflow against its schema, fill in its defaults, and return its one genome, by name."""
    schema = yaml.safe_load(
        (SCHEMAS / f"{workflow_name}.schema.json").read_text(encoding="utf-8")
    )
    check_config(config, schema, f"genomamba {workflow_name}")
    for key, one in schema["properties"].items():
        if "default" in one:
            config.setdefault(key, one["default"])
    score = config.get("score") or {}
    calibrate = config.get("calibrate")
    if calibrate is not None:
        # A background says something of scores that were made as it was.
        alike = schema["properties"]["calibrate"]["properties"]
        calibrate = {
            key: value for key, value in score.items() if key in alike
        } | calibrate
    # What a whole file may not have, a small part of it may.
    score = {
        key: value
        for key, value in score.items()
        if (key, value) != ("ref_mismatch", "skip")
    }
    genome = {
        "fasta": as_list(config["fasta"]),
        "model": config.get("model"),
        "alphabet": (config.get("pretrain") or {}).get("alphabet", "dna"),
        "options": as_flags(config.get("pretrain"), leave="alphabet"),
        "contigs": as_list(config.get("contigs")),
        "chrom_map": [
            word
            for path in as_list(config.get("chrom_map"))
            for word in ("--chrom-map", path)
        ],
        "likelihood": as_flags(config.get("likelihood")),
        "evaluate": as_flags(config.get("evaluate")),
        "score": as_flags(score),
        "calibrate": None if calibrate is None else as_flags(calibrate),
        "background": as_list(config.get("background")),
        "labels": as_flags(config.get("merge")),
        "cohorts": read_cohorts(config["cohorts"]) if "cohorts" in config else {},
        "info": "--length 4096 --max-seconds 2",
        "gff": as_list(config.get("gff")),
        "classes": as_list(config.get("classes")),
        "embed": as_flags(config.get("embed")),
        "probe": as_flags(config.get("probe")),
        "finetune": as_flags(config.get("finetune")),
        "predict": as_flags(config.get("predict")),
    } | read_labelled(config)
    sizes = {
        key: config[key] for key in ("shard_records", "track_bases") if key in config
    }
    return {str(config["name"]): GENOME | genome | sizes}


# Settings of labelled data that say which of it trains, validates and tests, and not how it is read; and those of them
# that `genomamba make-task` does not take for itself.
PARTS = (
    "split_by",
    "valid",
    "test",
    "test_share",
    "valid_share",
    "test_data",
    "seed",
    "near",
    "drop_leaks",
)
PARTS_OF_TASKS = ("split_by", "test_share", "valid_share", "test_data")


def read_labelled(config):
    """Return the tasks and the data of a configuration: options that make them, read them and part them, each by name."""
    tasks, data = config.get("tasks") or {}, config.get("data") or {}
    if both := sorted(set(tasks) & set(data)):
        raise WorkflowError(
            f"config: {both[0]!r} stands under tasks and under data; give one of them another name"
        )
    if tasks and not config.get("gff"):
        raise WorkflowError(
            "config: tasks are made from an annotation; name its file as gff"
        )

    def those(entry, parts, others=False):
        return as_flags(
            {
                key: value
                for key, value in entry.items()
                if (key in parts) != others and key != "data"
            }
        )

    return {
        "tasks": {
            name: those(entry, PARTS_OF_TASKS, others=True)
            for name, entry in tasks.items()
        },
        "data": {name: entry["data"] for name, entry in data.items()},
        "reading": {
            name: those(entry, PARTS, others=True) for name, entry in data.items()
        },
        "parts": {name: those(entry, PARTS_OF_TASKS) for name, entry in tasks.items()}
        | {name: those(entry, PARTS) for name, entry in data.items()},
        "test_data": {
            name: as_list(entry.get("test_data"))
            for name, entry in (tasks | data).items()
        },
    }


def check_config(config, schema, name):
    """Stop at the first fault of a configuration, in one line that names the place and what may stand there."""
    faults = jsonschema.Draft202012Validator(schema).iter_errors(
        as_numbers(config, schema)
    )
    for fault in sorted(
        faults, key=lambda fault: [str(part) for part in fault.absolute_path]
    ):
        place = ".".join(map(str, fault.absolute_path))
        where = f"config: {place}: " if place else "config: "
        if fault.validator == "additionalProperties":
            known = fault.schema["properties"]
            wrong = next(key for key in fault.instance if key not in known)
            nearest = difflib.get_close_matches(str(wrong), known, n=1)
            hint = (
                f"did you mean {nearest[0]}?"
                if nearest
                else f"it has {', '.join(known)}"
            )
            raise WorkflowError(
                f"{where}{wrong!r} is no setting of {place or name}; {hint}"
            )
        raise WorkflowError(
            f"{where}{fault.message}; see {name.split()[-1]}.schema.json"
        )


def as_numbers(config, schema):
    """Return a configuration in which texts such as 4e-3, which YAML takes for text, are numbers where these may stand."""
    if isinstance(config, str) and schema.get("type") in ("number", ["number", "null"]):
        try:
            return float(config)
        except ValueError:
            return config
    if not isinstance(config, dict):
        return config
    known = schema.get("properties", {})
    return {key: as_numbers(value, known.get(key, {})) for key, value in config.items()}


def as_flags(settings, leave=""):
    """Return settings of a command as options of its command line; None is left out, as what it has by itself."""
    words = []
    for key, value in (settings or {}).items():
        name = key.replace("_", "-")
        if value is None or key == leave:
            continue
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif isinstance(value, list):
            words += [f"--{name}", *map(str, value)]
        else:
            words.append(f"--{name}={value}")
    return shlex.join(words)


def as_list(value):
    """Return a value as a list: none of None, one of a text."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def read_cohorts(sheet):
    """Return the VCF of every cohort by name: from a TSV with the columns cohort and vcf, or as it stands."""
    if isinstance(sheet, dict):
        rows = list(enumerate(sheet.items(), 1))
    else:
        try:
            with open(sheet, newline="", encoding="utf-8") as file:
                lines = [line for line in csv.reader(file, delimiter="\t")]
        except OSError as error:
            raise WorkflowError(
                f"config: cohorts: {sheet}: {error.strerror}; it is a TSV with the columns cohort and vcf"
            ) from None
        if not lines or lines[0] != ["cohort", "vcf"]:
            raise WorkflowError(
                f"{sheet}:1: its columns must be cohort and vcf, parted by a tab"
            )
        rows = [
            (number, line)
            for number, line in enumerate(lines[1:], 2)
            if line and not line[0].startswith("#")
        ]
    cohorts = {}
    for number, row in rows:
        if len(row) != 2 or not re.fullmatch(r"[\w.-]+", row[0]) or not row[1]:
            raise WorkflowError(
                f"{sheet}:{number}: must be a name of letters, digits, _ . and -, a tab, and a VCF"
            )
        if row[0] in cohorts:
            raise WorkflowError(
                f"{sheet}:{number}: cohort {row[0]!r} is there twice; keep one"
            )
        cohorts[row[0]] = row[1]
    if not cohorts:
        raise WorkflowError(
            f"{sheet}: no cohort; give one a line: a name, a tab, and a VCF"
        )
    return cohorts


def folder_of(model):
    """Return the folder of a model as an input of a rule; none where it is a name on the hub."""
    return [model] if Path(model).exists() else []


def data_of(genomes, genome, name):
    """Return the labelled sequences of that name: a task of the genome, or data of one's own."""
    entry = genomes[genome]
    if name in entry["tasks"]:
        return f"results/{genome}/tasks/{name}.tsv.gz"
    if name not in entry["data"]:
        known = ", ".join(sorted({*entry["tasks"], *entry["data"]})) or "none"
        raise WorkflowError(
            f"genomes: {genome} has no task and no data {name!r}; it has {known}"
        )
    return entry["data"][name]


def classified(genome):
    """Return what is made of every task and all data of a genome: what stands in the configuration, and is not null."""
    entry, folder = GENOMES[genome], f"results/{genome}"
    made = {
        "embed": "embeddings/{name}.npz",
        "probe": "probed/{name}/report.html",
        "finetune": "finetuned/{name}/report.html",
        "predict": "predictions/{name}.bedgraph.gz",
    }
    asked = [path for key, path in made.items() if config.get(key) is not None]
    names = [*entry["tasks"], *entry["data"]]
    return [f"{folder}/{path.format(name=name)}" for name in names for path in asked]


def genome_of(wildcards):
    """Return the FASTA files that labelled data lie on: those of the genome where they are stretches of it."""
    entry = GENOMES[wildcards.genome]
    path = str(data_of(GENOMES, wildcards.genome, wildcards.data))
    stretches = path.endswith((".bed", ".bed.gz"))
    return entry["fasta"] if stretches else []


def classes_of(wildcards, input):
    """Return the options by which training is told the classes of bases, whose contigs the map names."""
    if not input.classes:
        return []
    return ["--classes", *input.classes, *GENOMES[wildcards.genome]["chrom_map"]]


def reading_of(wildcards, input):
    """Return the options by which commands read labelled data."""
    entry = GENOMES[wildcards.genome]
    genome = [] if not input.fasta else [*entry["chrom_map"], "--fasta", *input.fasta]
    reading = entry["reading"].get(wildcards.data, "")
    return " ".join(word for word in (shlex.join(genome), reading) if word)


def weights_of(wildcards):
    """Return the files of the model of a genome that rules wait for: its own, or those of the run on the genome."""
    if (model := GENOMES[wildcards.genome]["model"]) is not None:
        return folder_of(model)
    run = f"results/{wildcards.genome}/run"
    return [f"{run}/model.safetensors", f"{run}/config.json"]


def model_of(wildcards, input):
    """Return the model of a genome as commands take it: what the genome names, or the folder of the run."""
    model = GENOMES[wildcards.genome]["model"]
    return str(Path(input.model[0]).parent) if model is None else model


# What is waited for here is not marked as ancient: where such a file is being made while a checkpoint ends, Snakemake
# 9.27 takes the jobs that wait for it to be done, and leaves with exit code 0.
def memory_of(wildcards, input, attempt):
    """Return MiB for reading with a model: twice what `genomamba info` has measured for a sequence, and again for a retry."""
    costs = json.loads(Path(input.cost).read_text())["costs"]
    return attempt * (2 * round(max(cost["memory_mib"] for cost in costs)) + 500)


def memory_of_training(wildcards, input, attempt):
    """Return MiB for training: half as much again as the plan has measured over one step, and again for a retry."""
    (measured,) = re.findall(
        r"^ *memory +([\d,]+) MiB", Path(input.plan).read_text(), re.MULTILINE
    )
    return attempt * (round(1.5 * int(measured.replace(",", ""))) + 500)


def going_on(output, attempt):
    """Return the option of a command that keeps what it has done in a folder beside its output."""
    if attempt > 2:
        return "--force"
    return "--resume" if Path(f"{output}.partial").exists() else ""


def shard_tables_of(wildcards):
    """Return the tables of shards of all cohorts of a genome: each is there where the contigs of its VCF fit."""
    return [
        f"results/{wildcards.genome}/scores/{cohort}.shards.tsv"
        for cohort in GENOMES[wildcards.genome]["cohorts"]
    ]


def calibration_of(wildcards):
    """Return the background of scores of a genome, where one is asked for."""
    asked = GENOMES[wildcards.genome]["calibrate"] is not None
    return [f"results/{wildcards.genome}/calibration.json"] if asked else []


def scored_shards(wildcards):
    """Return the scored shards of a cohort, as many as there turn out to be."""
    table = checkpoints.plan_shards.get(**wildcards).output.table
    count = len(Path(table).read_text().splitlines()) - 1
    folder = f"results/{wildcards.genome}/scores/{wildcards.cohort}"
    return [f"{folder}/{shard}.vcf" for shard in range(1, count + 1)]


def numbered(files, end):
    """Return files FOLDER/1.vcf, 2.vcf and so on as bash expands them: a command line may not name thousands."""
    count = sum(file.endswith(end) for file in files)
    return f"{shlex.quote(str(Path(files[0]).parent))}/{{1..{count}}}{end}"


def track_parts(genome, table):
    """Return the contigs of every part of a track: as many that follow each other as have `track_bases` together."""
    parts, bases = [], 0
    for line in Path(table).read_text().splitlines()[1:]:
        contig, length = line.split("\t")
        if (
            not parts
            or bases + int(length) > GENOMES[genome]["track_bases"]
            or len(parts[-1]) == 500
        ):
            parts.append([])
            bases = 0
        parts[-1].append(contig)
        bases += int(length)
    return parts


def scored_parts(wildcards):
    """Return the parts of the track of a genome, as many as there turn out to be."""
    table = checkpoints.contigs.get(**wildcards).output.table
    folder = f"results/{wildcards.genome}/likelihood"
    return [
        f"{folder}/{part}.bw"
        for part, _ in enumerate(track_parts(wildcards.genome, table), 1)
    ]
