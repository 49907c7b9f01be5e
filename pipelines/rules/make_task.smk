rule make_task:
    """Windows on a feature of the annotation of one genome, and background, with labels."""
    input:
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        gff=lambda wildcards: GENOMES[wildcards.genome]["gff"],
        cache="results/{genome}/cache",
    output:
        table="results/{genome}/tasks/{task}.tsv.gz",
    log:
        "logs/make_task/{genome}.{task}.log",
    benchmark:
        "benchmarks/make_task/{genome}.{task}.tsv"
    wildcard_constraints:
        task=r"[^/]+",
    # Before a model is trained for hours: an annotation of another genome is found here.
    priority: 1
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=4_000,
        runtime=config["runtime"],
        gpu=0,
    params:
        chrom_map=lambda wildcards: GENOMES[wildcards.genome]["chrom_map"],
        options=lambda wildcards: GENOMES[wildcards.genome]["tasks"][wildcards.task],
    shell:
        "genomamba make-task --fasta {input.fasta:q} --gff {input.gff:q} {params.chrom_map:q} {params.options}"
        " --cache-dir {input.cache:q} --out {output.table:q} --force > {log:q} 2>&1"
