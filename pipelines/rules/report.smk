rule report:
    """The report of one run, a page that opens without a network."""
    input:
        metrics="results/{genome}/run/metrics.csv",
        evaluation="results/{genome}/run/evaluation.json",
    output:
        page=report(
            "results/{genome}/run/report.html",
            caption="../report/run.rst",
            category="Training",
        ),
    log:
        "logs/report/{genome}.log",
    benchmark:
        "benchmarks/report/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime="10m",
        gpu=0,
    params:
        run=subpath(output.page, parent=True),
    shell:
        "genomamba report {params.run} > {log} 2>&1"
