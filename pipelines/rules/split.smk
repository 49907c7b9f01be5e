checkpoint plan_shards:
    """How many shards a cohort is scored in, by contig and size; stops where the FASTA has none of its contigs."""
    input:
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        vcf=lambda wildcards: GENOMES[wildcards.genome]["cohorts"][wildcards.cohort],
        cache="results/{genome}/cache",
    output:
        table=report(
            "results/{genome}/scores/{cohort}.shards.tsv",
            caption="../report/shards.rst",
            category="Variants",
        ),
    log:
        "logs/plan_shards/{genome}.{cohort}.log",
    benchmark:
        "benchmarks/plan_shards/{genome}.{cohort}.tsv"
    wildcard_constraints:
        cohort=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime=config["runtime"],
        gpu=0,
    params:
        records=lambda wildcards: GENOMES[wildcards.genome]["shard_records"],
        chrom_map=lambda wildcards: GENOMES[wildcards.genome]["chrom_map"],
    shell:
        "genomamba split {input.vcf:q} --fasta {input.fasta:q} {params.chrom_map:q} --records {params.records}"
        " --cache-dir {input.cache:q} --table {output.table:q} > {log:q} 2>&1"


rule split:
    """The shards of a cohort, each with records of its own."""
    input:
        vcf=lambda wildcards: GENOMES[wildcards.genome]["cohorts"][wildcards.cohort],
        table="results/{genome}/scores/{cohort}.shards.tsv",
    output:
        shards=temp(directory("results/{genome}/scores/{cohort}.shards")),
    log:
        "logs/split/{genome}.{cohort}.log",
    benchmark:
        "benchmarks/split/{genome}.{cohort}.tsv"
    wildcard_constraints:
        cohort=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime=config["runtime"],
        gpu=0,
    params:
        records=lambda wildcards: GENOMES[wildcards.genome]["shard_records"],
    shell:
        "genomamba split {input.vcf:q} --records {params.records} --out {output.shards:q} > {log:q} 2>&1"
