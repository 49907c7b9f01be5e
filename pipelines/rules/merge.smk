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
