rule score:
    """Scores of one of the equal parts of a cohort by the model of its genome; what a killed attempt has done is kept."""
    input:
        model="results/{genome}/run/model.safetensors",
        config="results/{genome}/run/config.json",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        vcf=lambda wildcards: GENOMES[wildcards.genome]["cohorts"][wildcards.cohort],
        calibration=lambda wildcards: (
            []
            if GENOMES[wildcards.genome]["calibrate"] is None
            else f"results/{wildcards.genome}/calibration.json"
        ),
        cache="results/{genome}/cache",
    output:
        vcf="results/{genome}/scores/{cohort}/{part}-of-{parts}.vcf.gz",
    log:
        "logs/score/{genome}.{cohort}.{part}-of-{parts}.log",
    benchmark:
        "benchmarks/score/{genome}.{cohort}.{part}-of-{parts}.tsv"
    wildcard_constraints:
        part=r"\d+",
        parts=r"\d+",
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=4_000,
        runtime=config["runtime"],
    params:
        run=subpath(input.model, parent=True),
        options=lambda wildcards: GENOMES[wildcards.genome]["score"],
        calibration=lambda wildcards, input: input.calibration or "none",
        resume=lambda wildcards, output: (
            "--resume" if Path(f"{output.vcf}.partial").exists() else ""
        ),
    shell:
        "genomamba score {params.run:q} --fasta {input.fasta:q} --vcf {input.vcf:q} {params.options} {params.resume}"
        " --calibration {params.calibration:q} --shard {wildcards.part}/{wildcards.parts}"
        " --cache-dir {input.cache:q} --threads {threads} --out {output.vcf:q} > {log:q} 2>&1"
