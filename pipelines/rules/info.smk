rule info:
    """What the model of one genome is, and what reading with it costs on the machine that runs this."""
    input:
        model=weights_of,
    output:
        report="results/{genome}/info.json",
    log:
        "logs/info/{genome}.log",
    benchmark:
        "benchmarks/info/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 4_000 * attempt,
        runtime="10m",
        gpu=config["gpu"],
    params:
        model=model_of,
        options=lambda wildcards: GENOMES[wildcards.genome]["info"],
    shell:
        "genomamba info {params.model:q} {params.options} --json --threads {threads} > {output.report:q} 2> {log:q}"
