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


rule page_of_scores:
    """One HTML page of the scored variants of one cohort, with what their labels say of the scores."""
    input:
        vcf="results/{genome}/scores/{cohort}.vcf.gz",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
    output:
        page=report(
            "results/{genome}/scores/{cohort}.html",
            caption="../report/scores.rst",
            category="Variants",
        ),
    log:
        "logs/merge/{genome}.{cohort}.html.log",
    benchmark:
        "benchmarks/merge/{genome}.{cohort}.html.tsv"
    wildcard_constraints:
        cohort=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4_000 * attempt,
        runtime=config["runtime"],
        gpu=0,
    params:
        labels=lambda wildcards: GENOMES[wildcards.genome]["labels"],
    shell:
        "genomamba merge {input.vcf:q} --fasta {input.fasta:q} {params.labels} --cache-dir {input.cache:q}"
        " --report {output.page:q} --force > {log:q} 2>&1"


rule metrics_of_scores:
    """How the scores of one cohort do against their labels, which the configuration has to name."""
    input:
        vcf="results/{genome}/scores/{cohort}.vcf.gz",
        fasta=lambda wildcards: GENOMES[wildcards.genome]["fasta"],
        cache="results/{genome}/cache",
    output:
        metrics="results/{genome}/scores/{cohort}.metrics.tsv",
    log:
        "logs/merge/{genome}.{cohort}.metrics.log",
    benchmark:
        "benchmarks/merge/{genome}.{cohort}.metrics.tsv"
    wildcard_constraints:
        cohort=r"[^/]+",
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4_000 * attempt,
        runtime=config["runtime"],
        gpu=0,
    params:
        labels=lambda wildcards: GENOMES[wildcards.genome]["labels"],
    shell:
        "genomamba merge {input.vcf:q} --fasta {input.fasta:q} {params.labels} --cache-dir {input.cache:q}"
        " --metrics {output.metrics:q} --force > {log:q} 2>&1"
