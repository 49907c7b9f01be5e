rule evaluate:
    """Bits per base of what the model of one genome has not been trained on, against context: table and plot."""
    input:
        model=weights_of,
        cost="results/{genome}/info.json",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
        classes=lambda wildcards: GENOMES[wildcards.genome]["classes"],
    output:
        table=report(
            "results/{genome}/contexts/contexts.tsv",
            caption="../report/contexts.rst",
            category="Context",
        ),
        blocks="results/{genome}/contexts/blocks.tsv",
        facts="results/{genome}/contexts/contexts.json",
        svg=report(
            "results/{genome}/contexts/contexts.svg",
            caption="../report/contexts.rst",
            category="Context",
        ),
        png="results/{genome}/contexts/contexts.png",
    log:
        "logs/evaluate/{genome}.log",
    benchmark:
        "benchmarks/evaluate/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=config["gpu"],
    params:
        model=model_of,
        classes=lambda wildcards, input: (
            ["--classes", *input.classes] if input.classes else []
        ),
        options=lambda wildcards: GENOMES[wildcards.genome]["evaluate"],
        contexts=subpath(output.table, parent=True),
    shell:
        "genomamba evaluate {params.model:q} {params.classes:q} {params.options} --cache-dir {input.cache:q}"
        " --threads {threads} --out {params.contexts:q} --force > {log:q} 2>&1"
