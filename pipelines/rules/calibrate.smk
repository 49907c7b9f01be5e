rule calibrate:
    """What scores the variants of each mutational class have by the model of one genome; a killed attempt is gone on with."""
    input:
        model=weights_of,
        cost="results/{genome}/info.json",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        vcf=lambda wildcards: GENOMES[wildcards.genome]["background"],
        cache="results/{genome}/cache",
    output:
        calibration="results/{genome}/calibration.json",
    log:
        "logs/calibrate/{genome}.log",
    benchmark:
        "benchmarks/calibrate/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=config["gpu"],
        start=lambda wildcards, input, attempt: going_on(
            Path(input.cost).with_name("calibration.json"), attempt
        ),
    params:
        model=model_of,
        vcf=lambda wildcards, input: ["--vcf", input.vcf] if input.vcf else [],
        chrom_map=lambda wildcards: GENOMES[wildcards.genome]["chrom_map"],
        options=lambda wildcards: GENOMES[wildcards.genome]["calibrate"] or "",
    shell:
        "genomamba calibrate {params.model:q} --fasta {input.fasta:q} {params.vcf:q} {params.options} {params.chrom_map:q} {resources.start}"
        " --cache-dir {input.cache:q} --threads {threads} --out {output.calibration:q} > {log:q} 2>&1"
