rule probe:
    """What a probe over the frozen embeddings of a model tells of labelled sequences, beside baselines."""
    input:
        model=weights_of,
        cost="results/{genome}/info.json",
        data=lambda wildcards: data_of(GENOMES, wildcards.genome, wildcards.data),
        test_data=lambda wildcards: GENOMES[wildcards.genome]["test_data"].get(
            wildcards.data, []
        ),
        fasta=genome_of,
    output:
        figures="results/{genome}/probed/{data}/figures.json",
        table="results/{genome}/probed/{data}/figures.tsv",
        predictions="results/{genome}/probed/{data}/predictions.tsv",
        page=report(
            "results/{genome}/probed/{data}/report.html",
            caption="../report/classifier.rst",
            category="Classifiers",
            labels={"data": "{data}", "by": "probe"},
        ),
    log:
        "logs/probe/{genome}.{data}.log",
    benchmark:
        "benchmarks/probe/{genome}.{data}.tsv"
    wildcard_constraints:
        data=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory_of,
        runtime=config["runtime"],
        gpu=config["gpu"],
        # A first attempt starts anew, since the options may have changed; a retry goes on where the last one ended.
        start=lambda wildcards, attempt: "--force" if attempt == 1 else "--resume",
    params:
        model=model_of,
        out=subpath(output.figures, parent=True),
        reading=reading_of,
        parts=lambda wildcards: GENOMES[wildcards.genome]["parts"].get(
            wildcards.data, ""
        ),
        options=lambda wildcards: GENOMES[wildcards.genome]["probe"],
    shell:
        "genomamba probe {params.model:q} --data {input.data:q} {params.reading} {params.parts} {params.options}"
        " --threads {threads} --out {params.out:q} {resources.start} > {log:q} 2>&1"
