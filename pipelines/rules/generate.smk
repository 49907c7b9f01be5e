rule generate:
    """Sequences that the model of one genome draws."""
    input:
        model=weights_of,
        cost="results/{genome}/info.json",
    output:
        fasta="results/{genome}/generated.fa",
    log:
        "logs/generate/{genome}.log",
    benchmark:
        "benchmarks/generate/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=config["gpu"],
    params:
        model=model_of,
        options=lambda wildcards: GENOMES[wildcards.genome]["generate"],
    shell:
        "genomamba generate {params.model:q} {params.options} --threads {threads}"
        " --out {output.fasta:q} > {log:q} 2>&1"
