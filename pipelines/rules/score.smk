rule check_score:
    """Read all records of a cohort with the model and the options, so that a fault is told before anything is scored."""
    input:
        model=weights_of,
        cost="results/{genome}/info.json",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        vcf=lambda wildcards: GENOMES[wildcards.genome]["cohorts"][wildcards.cohort],
        cache="results/{genome}/cache",
    output:
        checked=touch("results/{genome}/scores/{cohort}.checked"),
    log:
        "logs/check_score/{genome}.{cohort}.log",
    benchmark:
        "benchmarks/check_score/{genome}.{cohort}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=0,
    params:
        model=model_of,
        options=lambda wildcards: GENOMES[wildcards.genome]["score"],
        chrom_map=lambda wildcards: GENOMES[wildcards.genome]["chrom_map"],
    shell:
        "genomamba score {params.model:q} --fasta {input.fasta:q} --vcf {input.vcf:q} {params.chrom_map:q}"
        " {params.options} --device cpu --cache-dir {input.cache:q} --threads {threads} --dry-run > {log:q} 2>&1"


rule score:
    """Scores of one of the shards of a cohort by the model of its genome; what a killed attempt has done is kept."""
    input:
        model=weights_of,
        cost="results/{genome}/info.json",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        shards="results/{genome}/scores/{cohort}.shards",
        checked=lambda wildcards: [
            f"results/{wildcards.genome}/scores/{cohort}.checked"
            for cohort in GENOMES[wildcards.genome]["cohorts"]
        ],
        calibration=calibration_of,
        cache="results/{genome}/cache",
    output:
        # Without an index, which is one file or another by the length of the contigs.
        vcf=temp("results/{genome}/scores/{cohort}/{shard}.vcf"),
    log:
        "logs/score/{genome}.{cohort}.{shard}.log",
    benchmark:
        "benchmarks/score/{genome}.{cohort}.{shard}.tsv"
    wildcard_constraints:
        shard=r"\d+",
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=config["gpu"],
        # What a stopped attempt has left is gone on with, twice; after that it may be of other settings.
        start=lambda wildcards, input, attempt: going_on(
            f"{str(input.shards).removesuffix('.shards')}/{wildcards.shard}.vcf",
            attempt,
        ),
    params:
        model=model_of,
        options=lambda wildcards: GENOMES[wildcards.genome]["score"],
        chrom_map=lambda wildcards: GENOMES[wildcards.genome]["chrom_map"],
        calibration=lambda wildcards, input: input.calibration or "none",
    shell:
        "genomamba score {params.model:q} --fasta {input.fasta:q} --vcf {input.shards:q}/{wildcards.shard}.vcf.gz"
        " --ref-mismatch skip-all {params.chrom_map:q} {params.options} {resources.start}"
        " --calibration {params.calibration:q} --cache-dir {input.cache:q} --threads {threads} --out {output.vcf:q}"
        " > {log:q} 2>&1"
