rule merge:
    """The scored variants of one cohort, its shards put together, with an index: .tbi, or .csi past 2^29 bases."""
    input:
        shards=scored_shards,
        # How many shards there are is found out; what they need is known, and missing files are told, from the start.
        checked="results/{genome}/scores/{cohort}.checked",
        calibration=calibration_of,
    output:
        vcf="results/{genome}/scores/{cohort}.vcf.gz",
    log:
        "logs/merge/{genome}.{cohort}.log",
    benchmark:
        "benchmarks/merge/{genome}.{cohort}.tsv"
    wildcard_constraints:
        cohort=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=1_000,
        runtime=config["runtime"],
        gpu=0,
    params:
        shards=lambda wildcards, input: numbered(input, ".vcf"),
    shell:
        "genomamba merge {params.shards} --out {output.vcf:q} --force > {log:q} 2>&1"


rule merge_track:
    """The track of one genome, its parts put together."""
    input:
        parts=scored_parts,
        # How many parts there are is found out; what they need is known, and missing files are told, from the start.
        model=weights_of,
        cost="results/{genome}/info.json",
    output:
        track="results/{genome}/track.bw",
    log:
        "logs/merge_track/{genome}.log",
    benchmark:
        "benchmarks/merge_track/{genome}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=2_000,
        runtime=config["runtime"],
        gpu=0,
    params:
        parts=lambda wildcards, input: numbered(input, ".bw"),
    shell:
        "genomamba merge {params.parts} --out {output.track:q} --force > {log:q} 2>&1"
