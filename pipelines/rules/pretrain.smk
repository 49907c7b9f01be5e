rule plan_pretrain:
    """What training on one genome would do: its split, its model, its time, and the memory of a step, as measured."""
    input:
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
        classes=lambda wildcards: GENOMES[wildcards.genome]["classes"],
        # Contigs of a VCF that are not those of the FASTA are told before hours of training.
        tables=shard_tables_of,
    output:
        plan="results/{genome}/plan.txt",
    log:
        "logs/plan_pretrain/{genome}.log",
    benchmark:
        "benchmarks/plan_pretrain/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 8_000 * attempt,
        runtime="30m",
        gpu=config["gpu"],
    params:
        fasta=lambda wildcards, input: ["--fasta", *input.fasta] if input.fasta else [],
        alphabet=lambda wildcards: GENOMES[wildcards.genome]["alphabet"],
        classes=classes_of,
        options=lambda wildcards: GENOMES[wildcards.genome]["options"],
    shell:
        "genomamba pretrain {params.fasta:q} {params.classes:q} --alphabet {params.alphabet:q} {params.options}"
        " --cache-dir {input.cache:q} --threads {threads} --dry-run > {output.plan:q} 2> {log:q}"


rule pretrain:
    """The model of one genome: weights, metrics, and bits per base of what was held out."""
    input:
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
        classes=lambda wildcards: GENOMES[wildcards.genome]["classes"],
        plan="results/{genome}/plan.txt",
    output:
        model="results/{genome}/run/model.safetensors",
        config="results/{genome}/run/config.json",
        metrics="results/{genome}/run/metrics.csv",
        evaluation="results/{genome}/run/evaluation.json",
        card="results/{genome}/run/dataset.json",
    log:
        "logs/pretrain/{genome}.log",
    benchmark:
        "benchmarks/pretrain/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of_training,
        runtime=config["runtime"],
        gpu=config["gpu"],
        # A first attempt starts anew, since the options may have changed; a retry goes on where the last one ended.
        start=lambda wildcards, attempt: "--force" if attempt == 1 else "--resume",
    params:
        fasta=lambda wildcards, input: ["--fasta", *input.fasta] if input.fasta else [],
        alphabet=lambda wildcards: GENOMES[wildcards.genome]["alphabet"],
        classes=classes_of,
        options=lambda wildcards: GENOMES[wildcards.genome]["options"],
        run=subpath(output.model, parent=True),
    shell:
        "genomamba pretrain {params.fasta:q} {params.classes:q} --alphabet {params.alphabet:q} {params.options}"
        " --cache-dir {input.cache:q} --threads {threads} --out {params.run:q} {resources.start} > {log:q} 2>&1"
