rule benchmark:
    """A folder of labelled tasks by one protocol, with what others report beside."""
    input:
        model=weights_of,
        suite=lambda wildcards: GENOMES[wildcards.genome]["suites"][wildcards.suite],
    output:
        table="results/{genome}/benchmarks/{suite}/benchmark.tsv",
    log:
        "logs/benchmark/{genome}.{suite}.log",
    benchmark:
        "benchmarks/benchmark/{genome}.{suite}.tsv"
    wildcard_constraints:
        suite=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    threads: config["threads"]
    resources:
        # Tasks run one after the other, and the peak is that of the largest: measured as for rule finetune, 0.7 GiB with
        # the task of the example, and 1.9 GiB with that of yeast.
        mem_mb=lambda wildcards, attempt: 8_000 * attempt,
        runtime=config["runtime"],
        gpu=config["gpu"],
        # A first attempt starts anew, since the options may have changed; a retry goes on task by task.
        start=lambda wildcards, attempt: "--force" if attempt == 1 else "--resume",
    params:
        model=model_of,
        out=subpath(output.table, parent=True),
        options=lambda wildcards: GENOMES[wildcards.genome]["benchmark"],
    shell:
        "genomamba benchmark {params.model:q} --suite {input.suite:q} {params.options}"
        " --threads {threads} --out {params.out:q} {resources.start} > {log:q} 2>&1"
