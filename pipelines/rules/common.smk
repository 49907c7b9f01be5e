from pathlib import Path

from snakemake.exceptions import WorkflowError

GENOME = {
    "fasta": [],
    "alphabet": "dna",
    "options": "",
    "likelihood": "",
    "evaluate": "",
    "generate": "",
    "info": "",
    "cohorts": {},
    "score": "",
    "calibrate": None,
    "background": [],
    "shards": 1,
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
        genome["fasta"] = (
            [genome["fasta"]] if isinstance(genome["fasta"], str) else genome["fasta"]
        )
    return genomes


def read_models(config):
    """Return the models to convert, by name."""
    required = {
        "name": "names the folder of its results",
        "model": "says what to convert: a folder, or a name on the hub",
    }
    return read_entries(config, "models", required, MODEL)


def folder_of(model):
    """Return the folder of a model as an input of a rule; none where it is a name on the hub."""
    return [model] if Path(model).exists() else []
