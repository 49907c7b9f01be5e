rule likelihood:
    """Log-likelihood of every base of one genome by its model, in bits; what a killed attempt has done is kept."""
    input:
        model="results/{genome}/run/model.safetensors",
        config="results/{genome}/run/config.json",
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
        mem_mb=4_000,
        runtime=config["runtime"],
    params:
        run=subpath(input.model, parent=True),
        fasta=lambda wildcards, input: ["--fasta", *input.fasta] if input.fasta else [],
        options=lambda wildcards: GENOMES[wildcards.genome]["likelihood"],
    shell:
        "genomamba likelihood {params.run:q} {params.fasta:q} {params.options}"
        " --cache-dir {input.cache:q} --threads {threads} --out {output.track:q} > {log:q} 2>&1"
