rule merge:
    """The scored variants of one cohort, its parts put together."""
    input:
        parts=lambda wildcards: [
            f"results/{wildcards.genome}/scores/{wildcards.cohort}/{part}-of-{parts}.vcf.gz"
            for parts in (GENOMES[wildcards.genome]["shards"],)
            for part in range(1, parts + 1)
        ],
    output:
        vcf="results/{genome}/scores/{cohort}.vcf.gz",
        index="results/{genome}/scores/{cohort}.vcf.gz.tbi",
    log:
        "logs/merge/{genome}.{cohort}.log",
    benchmark:
        "benchmarks/merge/{genome}.{cohort}.tsv"
    wildcard_constraints:
        cohort=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    resources:
        mem_mb=1_000,
        runtime=config["runtime"],
    shell:
        "genomamba merge {input.parts:q} --out {output.vcf:q} --force > {log:q} 2>&1"


rule page_of_scores:
    """One HTML page of the scored variants of one cohort, with what their labels say of the scores."""
    input:
        vcf="results/{genome}/scores/{cohort}.vcf.gz",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
    output:
        page="results/{genome}/scores/{cohort}.html",
    log:
        "logs/merge/{genome}.{cohort}.html.log",
    benchmark:
        "benchmarks/merge/{genome}.{cohort}.html.tsv"
    wildcard_constraints:
        cohort=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    resources:
        mem_mb=4_000,
        runtime=config["runtime"],
    params:
        labels=lambda wildcards: GENOMES[wildcards.genome]["labels"],
    shell:
        "genomamba merge {input.vcf:q} --fasta {input.fasta:q} {params.labels} --cache-dir {input.cache:q}"
        " --report {output.page:q} --force > {log:q} 2>&1"


rule metrics_of_scores:
    """How the scores of one cohort do against their labels, which the configuration has to name."""
    input:
        vcf="results/{genome}/scores/{cohort}.vcf.gz",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
    output:
        metrics="results/{genome}/scores/{cohort}.metrics.tsv",
    log:
        "logs/merge/{genome}.{cohort}.metrics.log",
    benchmark:
        "benchmarks/merge/{genome}.{cohort}.metrics.tsv"
    wildcard_constraints:
        cohort=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    resources:
        mem_mb=4_000,
        runtime=config["runtime"],
    params:
        labels=lambda wildcards: GENOMES[wildcards.genome]["labels"],
    shell:
        "genomamba merge {input.vcf:q} --fasta {input.fasta:q} {params.labels} --cache-dir {input.cache:q}"
        " --metrics {output.metrics:q} --force > {log:q} 2>&1"
