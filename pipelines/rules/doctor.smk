rule doctor:
    """What this machine computes with, and whether its numbers are right; fails where one is wrong."""
    output:
        report="results/doctor.json",
    log:
        "logs/doctor.log",
    benchmark:
        "benchmarks/doctor.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=4_000,
        runtime="10m",
        gpu=0,
    shell:
        "genomamba doctor --json > {output.report} 2> {log}"
