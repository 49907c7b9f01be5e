rule likelihood:
    """Log-likelihood of every base of one genome by its model, in bits; what a killed attempt has done is kept."""
    input:
        model=weights_of,
        cost="results/{genome}/info.json",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
    output:
        track="results/{genome}/likelihood.{format}",
    log:
        "logs/likelihood/{genome}.{format}.log",
    benchmark:
        "benchmarks/likelihood/{genome}.{format}.tsv"
    wildcard_constraints:
        format=r"bedgraph|bedgraph\.gz|bw|parquet|tsv|tsv\.gz",
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=config["gpu"],
    params:
        model=model_of,
        fasta=lambda wildcards, input: ["--fasta", *input.fasta] if input.fasta else [],
        options=lambda wildcards: GENOMES[wildcards.genome]["likelihood"],
    shell:
        "genomamba likelihood {params.model:q} {params.fasta:q} {params.options}"
        " --cache-dir {input.cache:q} --threads {threads} --out {output.track:q} > {log:q} 2>&1"


rule likelihood_part:
    """Log-likelihood of every base of some contigs of one genome; what a killed attempt has done is kept."""
    input:
        model=weights_of,
        cost="results/{genome}/info.json",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
        table="results/{genome}/contigs.tsv",
    output:
        track=temp("results/{genome}/likelihood/{part}.bw"),
    log:
        "logs/likelihood/{genome}.{part}.log",
    benchmark:
        "benchmarks/likelihood/{genome}.{part}.tsv"
    wildcard_constraints:
        part=r"\d+",
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=config["gpu"],
    params:
        model=model_of,
        fasta=lambda wildcards, input: ["--fasta", *input.fasta] if input.fasta else [],
        contigs=lambda wildcards, input: track_parts(wildcards.genome, input.table)[
            int(wildcards.part) - 1
        ],
        options=lambda wildcards: GENOMES[wildcards.genome]["likelihood"],
    shell:
        "genomamba likelihood {params.model:q} {params.fasta:q} --contigs {params.contigs:q} {params.options}"
        " --cache-dir {input.cache:q} --threads {threads} --out {output.track:q} > {log:q} 2>&1"
