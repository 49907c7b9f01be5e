rule pretrain:
    """The model of one genome: weights, metrics, and bits per base of what was held out."""
    input:
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
    output:
        model="results/{genome}/run/model.safetensors",
        config="results/{genome}/run/config.json",
        metrics="results/{genome}/run/metrics.csv",
        evaluation="results/{genome}/run/evaluation.json",
    log:
        "logs/pretrain/{genome}.log",
    benchmark:
        "benchmarks/pretrain/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=8_000,
        runtime=config["runtime"],
        # A first attempt starts anew, since the options may have changed; a retry goes on where the last one ended.
        start=lambda wildcards, attempt: "--force" if attempt == 1 else "--resume",
    params:
        fasta=lambda wildcards, input: ["--fasta", *input.fasta] if input.fasta else [],
        alphabet=lambda wildcards: GENOMES[wildcards.genome]["alphabet"],
        options=lambda wildcards: GENOMES[wildcards.genome]["options"],
        run=subpath(output.model, parent=True),
    shell:
        "genomamba pretrain {params.fasta:q} --alphabet {params.alphabet:q} {params.options}"
        " --cache-dir {input.cache:q} --threads {threads} --out {params.run:q} {resources.start} > {log:q} 2>&1"
