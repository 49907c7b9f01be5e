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
        gpu=0,
    params:
        alphabet=lambda wildcards: GENOMES[wildcards.genome]["alphabet"],
    shell:
        "genomamba index {input.fasta:q} --alphabet {params.alphabet}"
        " --cache-dir {output.cache} > {log} 2>&1"


checkpoint contigs:
    """The contigs of one genome that its track has, and their lengths."""
    input:
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
    output:
        table=report(
            "results/{genome}/contigs.tsv",
            caption="../report/contigs.rst",
            category="Track",
        ),
    log:
        "logs/contigs/{genome}.log",
    benchmark:
        "benchmarks/contigs/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime="2h",
        gpu=0,
    params:
        alphabet=lambda wildcards: GENOMES[wildcards.genome]["alphabet"],
        contigs=lambda wildcards: [
            word
            for contig in GENOMES[wildcards.genome]["contigs"]
            for word in ("--contigs", contig)
        ],
    shell:
        "genomamba index {input.fasta:q} --alphabet {params.alphabet} {params.contigs:q}"
        " --cache-dir {input.cache:q} --table {output.table:q} > {log:q} 2>&1"
