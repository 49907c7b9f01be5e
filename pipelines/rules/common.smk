from snakemake.exceptions import WorkflowError

DEFAULTS = {"fasta": [], "alphabet": "dna", "options": ""}


def read_genomes(config):
    """Return the genomes of the configuration by name, with what they leave out filled in."""
    genomes = {}
    for genome in config["genomes"]:
        known = {"name", *DEFAULTS}
        if unknown := sorted(set(genome) - known):
            raise WorkflowError(
                f"genomes: {unknown[0]!r} is no key of a genome; it has {', '.join(sorted(known))}"
            )
        if "name" not in genome:
            raise WorkflowError(
                "genomes: an entry has no name; it names the folder of its results"
            )
        filled = DEFAULTS | genome
        filled["fasta"] = (
            [filled["fasta"]] if isinstance(filled["fasta"], str) else filled["fasta"]
        )
        genomes[str(genome["name"])] = filled
    return genomes
