rule embed:
    """What the model of one genome makes of labelled sequences; what a killed attempt has done is kept."""
    input:
        model=weights_of,
        cost="results/{genome}/info.json",
        data=lambda wildcards: data_of(GENOMES, wildcards.genome, wildcards.data),
        fasta=genome_of,
    output:
        table="results/{genome}/embeddings/{data}.{format}",
    log:
        "logs/embed/{genome}.{data}.{format}.log",
    benchmark:
        "benchmarks/embed/{genome}.{data}.{format}.tsv"
    wildcard_constraints:
        data=r"[^/]+",
        format=r"npz|parquet",
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=config["gpu"],
    params:
        model=model_of,
        reading=reading_of,
        options=lambda wildcards: GENOMES[wildcards.genome]["embed"],
    shell:
        "genomamba embed {params.model:q} --data {input.data:q} {params.reading} {params.options}"
        " --threads {threads} --out {output.table:q} > {log:q} 2>&1"
