rule convert:
    """Published weights in the layout of genomamba, or ours in that of Hugging Face's Mamba."""
    input:
        folder=lambda wildcards: folder_of(MODELS[wildcards.model]["model"]),
    output:
        model="results/{model}/converted/model.safetensors",
        config="results/{model}/converted/config.json",
    log:
        "logs/convert/{model}.log",
    benchmark:
        "benchmarks/convert/{model}.tsv"
    conda:
        "../envs/genomamba.yaml"
    threads: 1
    resources:
        mem_mb=8_000,
        runtime="1h",
        gpu=0,
    params:
        model=lambda wildcards: MODELS[wildcards.model]["model"],
        options=lambda wildcards: MODELS[wildcards.model]["options"],
        converted=subpath(output.model, parent=True),
    shell:
        "genomamba convert {params.model:q} {params.converted:q} {params.options} > {log:q} 2>&1"
