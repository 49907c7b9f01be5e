rule predict:
    """What a model with a head says of one genome, window by window."""
    input:
        model="results/{genome}/finetuned/{data}/model.safetensors",
        head="results/{genome}/finetuned/{data}/head.safetensors",
        config="results/{genome}/finetuned/{data}/config.json",
        cost="results/{genome}/info.json",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
    output:
        table="results/{genome}/predictions/{data}.{format}",
    log:
        "logs/predict/{genome}.{data}.{format}.log",
    benchmark:
        "benchmarks/predict/{genome}.{data}.{format}.tsv"
    wildcard_constraints:
        data=r"[^/]+",
        format=r"bedgraph|bedgraph\.gz|parquet|tsv|tsv\.gz",
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=config["gpu"],
    params:
        run=subpath(input.model, parent=True),
        options=lambda wildcards: GENOMES[wildcards.genome]["predict"],
    shell:
        "genomamba predict {params.run:q} --fasta {input.fasta:q} {params.options}"
        " --cache-dir {input.cache:q} --threads {threads} --out {output.table:q} --force > {log:q} 2>&1"
