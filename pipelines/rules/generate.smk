rule generate:
    """Sequences that the model of one genome draws."""
    input:
        model="results/{genome}/run/model.safetensors",
        config="results/{genome}/run/config.json",
    output:
        fasta="results/{genome}/generated.fa",
    log:
        "logs/generate/{genome}.log",
    benchmark:
        "benchmarks/generate/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=4_000,
        runtime=config["runtime"],
    params:
        run=subpath(input.model, parent=True),
        options=lambda wildcards: GENOMES[wildcards.genome]["generate"],
    shell:
        "genomamba generate {params.run:q} {params.options} --threads {threads}"
        " --out {output.fasta:q} > {log:q} 2>&1"
