rule info:
    """What the model of one genome is, and what reading with it costs on the machine that runs this."""
    input:
        model="results/{genome}/run/model.safetensors",
        config="results/{genome}/run/config.json",
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
        mem_mb=4_000,
        runtime="10m",
    params:
        run=subpath(input.model, parent=True),
        options=lambda wildcards: GENOMES[wildcards.genome]["info"],
    shell:
        "genomamba info {params.run:q} {params.options} --json --threads {threads} > {output.report:q} 2> {log:q}"
