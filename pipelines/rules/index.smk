rule index:
    """The cache of one genome, from which all training on it reads."""
    input:
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
    output:
        cache=directory("results/{genome}/cache"),
    log:
        "logs/index/{genome}.log",
    benchmark:
        "benchmarks/index/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="2h",
    params:
        alphabet=lambda wildcards: GENOMES[wildcards.genome]["alphabet"],
    shell:
        "genomamba index {input.fasta:q} --alphabet {params.alphabet}"
        " --cache-dir {output.cache} > {log} 2>&1"
