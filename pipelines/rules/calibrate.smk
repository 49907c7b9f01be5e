rule calibrate:
    """What scores the variants of each mutational class have by the model of one genome; a killed attempt is gone on with."""
    input:
        model="results/{genome}/run/model.safetensors",
        config="results/{genome}/run/config.json",
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
        mem_mb=4_000,
        runtime=config["runtime"],
    params:
        run=subpath(input.model, parent=True),
        vcf=lambda wildcards, input: ["--vcf", input.vcf] if input.vcf else [],
        options=lambda wildcards: GENOMES[wildcards.genome]["calibrate"] or "",
        resume=lambda wildcards, output: (
            "--resume" if Path(f"{output.calibration}.partial").exists() else ""
        ),
    shell:
        "genomamba calibrate {params.run:q} --fasta {input.fasta:q} {params.vcf:q} {params.options} {params.resume}"
        " --cache-dir {input.cache:q} --threads {threads} --out {output.calibration:q} > {log:q} 2>&1"
