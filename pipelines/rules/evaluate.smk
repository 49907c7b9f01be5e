rule evaluate:
    """Bits per base of what the model of one genome has not been trained on, against context: table and plot."""
    input:
        model="results/{genome}/run/model.safetensors",
        config="results/{genome}/run/config.json",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
    output:
        table="results/{genome}/contexts/contexts.tsv",
        blocks="results/{genome}/contexts/blocks.tsv",
        facts="results/{genome}/contexts/contexts.json",
        svg="results/{genome}/contexts/contexts.svg",
        png="results/{genome}/contexts/contexts.png",
    log:
        "logs/evaluate/{genome}.log",
    benchmark:
        "benchmarks/evaluate/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=4_000,
        runtime=config["runtime"],
    params:
        run=subpath(input.model, parent=True),
        options=lambda wildcards: GENOMES[wildcards.genome]["evaluate"],
        contexts=subpath(output.table, parent=True),
    shell:
        "genomamba evaluate {params.run:q} {params.options} --cache-dir {input.cache:q} --threads {threads}"
        " --out {params.contexts:q} --force > {log:q} 2>&1"
