rule finetune:
    """The model of one genome with a head for labelled sequences; a task of the genome, or data of one's own."""
    input:
        model=weights_of,
        data=lambda wildcards: data_of(GENOMES, wildcards.genome, wildcards.data),
        test_data=lambda wildcards: GENOMES[wildcards.genome]["test_data"].get(
            wildcards.data, []
        ),
        fasta=genome_of,
    output:
        model="results/{genome}/finetuned/{data}/model.safetensors",
        head="results/{genome}/finetuned/{data}/head.safetensors",
        config="results/{genome}/finetuned/{data}/config.json",
        figures="results/{genome}/finetuned/{data}/figures.json",
        page=report(
            "results/{genome}/finetuned/{data}/report.html",
            caption="../report/classifier.rst",
            category="Classifiers",
            labels={"data": "{data}", "by": "fine-tuning"},
        ),
    log:
        "logs/finetune/{genome}.{data}.log",
    benchmark:
        "benchmarks/finetune/{genome}.{data}.tsv"
    wildcard_constraints:
        data=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        # Peak of the resident memory of the process, on two cores: 0.7 GiB on the example of `classify`; 1.9 GiB over
        # 25,328 windows of 200 bases of all of yeast, by the training of the preset small and by the baselines alike;
        # 5.5 GiB by the preset base with 64 sequences of 1,000 bases: a batch is cut where more would be kept.
        mem_mb=lambda wildcards, attempt: 8_000 * attempt,
        runtime=config["runtime"],
        gpu=config["gpu"],
        # A first attempt starts anew, since the options may have changed; a retry goes on where the last one ended.
        start=lambda wildcards, attempt: "--force" if attempt == 1 else "--resume",
    params:
        model=model_of,
        out=subpath(output.model, parent=True),
        reading=reading_of,
        parts=lambda wildcards: GENOMES[wildcards.genome]["parts"].get(
            wildcards.data, ""
        ),
        options=lambda wildcards: GENOMES[wildcards.genome]["finetune"],
    shell:
        "genomamba finetune {params.model:q} --data {input.data:q} {params.reading} {params.parts} {params.options}"
        " --threads {threads} --out {params.out:q} {resources.start} > {log:q} 2>&1"
