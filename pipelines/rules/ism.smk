rule ism:
    """Scores of every change of one base in a region by the model of its genome, as a table and a picture."""
    input:
        model=weights_of,
        cost="results/{genome}/info.json",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        gff=lambda wildcards: GENOMES[wildcards.genome]["gff"],
        cache="results/{genome}/cache",
    output:
        table="results/{genome}/ism/{region}.tsv",
        picture="results/{genome}/ism/{region}.svg",
    log:
        "logs/ism/{genome}.{region}.log",
    benchmark:
        "benchmarks/ism/{genome}.{region}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=config["gpu"],
    params:
        model=model_of,
        region=lambda wildcards: GENOMES[wildcards.genome]["regions"][wildcards.region],
        gff=lambda wildcards, input: ["--gff", input.gff] if input.gff else [],
        options=lambda wildcards: GENOMES[wildcards.genome]["ism"],
    shell:
        "genomamba ism {params.model:q} --fasta {input.fasta:q} --region {params.region:q} {params.gff:q} {params.options}"
        " --cache-dir {input.cache:q} --threads {threads} --out {output.table:q} --plot {output.picture:q} > {log:q} 2>&1"
