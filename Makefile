# `make demo` and `make test` set up .venv by themselves, again where pyproject.toml or constraints.txt has changed.

find_python = for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done
PYTHON ?= $(shell $(find_python))
# On a machine with a GPU: the Python that holds PyTorch and Triton; nothing is installed. OUT names a folder for results.
GPU_PYTHON ?= python3
RUN_GPU = BENCHMARK_RESULTS=$(OUT) PYTHONPATH=.:kernels:tests $(GPU_PYTHON)
# As the lower bound in pyproject.toml; a test compares them.
OLDEST_TRITON = 3.5.0
SIDE_BY_SIDE = -n logical --maxprocesses 4 --dist worksteal
PIP_INSTALL = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL = help
.PHONY: help demo test test-thorough test-slow lint types layers docs aot aot-all wheel-check bench gpu gpu-long gpu-peers gpu-train clean

help: ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 with venv and pip was found; name one: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) -e .
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@

demo: .venv/installed ## train on three yeasts, compare with Markov models, write a report; 3 minutes on two cores
	.venv/bin/genomamba pretrain --max-minutes 1.5 --out runs/demo --force

test: .venv/installed-dev ## quick tests, on up to four cores
	.venv/bin/python -m pytest $(SIDE_BY_SIDE)

test-thorough: .venv/installed-dev ## the tests that take seconds each: GPU kernels in Triton's interpreter, several processes
	.venv/bin/python -m pytest -m 'thorough and not slow' $(SIDE_BY_SIDE)

test-slow: .venv/installed-dev ## the tests that take minutes each
	.venv/bin/python -m pytest -m slow

lint: .venv/installed-dev ## style of the code and of the rules
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/snakefmt --check pipelines

types: .venv/installed-dev ## mypy, strict
	.venv/bin/mypy

layers: .venv/installed-dev ## who may import whom
	.venv/bin/lint-imports

.venv/installed-docs: .venv/installed
	$(PIP_INSTALL) -e '.[docs]'
	@touch $@

docs: .venv/installed-docs ## the site, in build/docs; open build/docs/index.html
	.venv/bin/python -m sphinx --quiet --fail-on-warning --keep-going docs build/docs

# What has been compiled is kept, and taken again where no source of the kernel has changed.
aot aot-all: export TRITON_CACHE_DIR = $(CURDIR)/.venv/triton-cache

aot: .venv/installed-dev .venv/triton-oldest ## compile the GPU kernels for seven GPUs, by the oldest and the newest Triton: nothing may spill
	.venv/bin/python benchmarks/compiled.py --cases 'bfloat16 16'
	PYTHONPATH=.venv/triton-oldest .venv/bin/python benchmarks/compiled.py --cases 'bfloat16 16'

aot-all: .venv/installed-dev .venv/triton-oldest ## the same for every configuration, and keep the figures; an hour
	.venv/bin/python benchmarks/compiled.py --record
	PYTHONPATH=.venv/triton-oldest .venv/bin/python benchmarks/compiled.py --record

.venv/triton-oldest: .venv/installed-dev
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@.new triton==$(OLDEST_TRITON)
	rm -rf $@ && mv $@.new $@

wheel-check: .venv/installed-dev ## build, install away from the checkout, train a few steps there
	.ci/wheel-check

bench: export GOMP_SPINCOUNT = 10000
bench: export THP_MEM_ALLOC_ENABLE = 1
bench: .venv/installed-dev ## figures, appended to benchmarks/results; with FASTA=chr20.fa.gz those of reading, too
	.venv/bin/python benchmarks/scan.py
	.venv/bin/python benchmarks/train.py
	$(if $(FASTA),.venv/bin/python benchmarks/stream.py --fasta $(FASTA))

gpu: ## on a GPU: tests of the kernels, then figures of kernels and training steps, where GPU_PYTHON holds PyTorch and Triton
	$(RUN_GPU) benchmarks/gate.py
	$(RUN_GPU) benchmarks/gpu.py

gpu-long: ## on a GPU: a million positions, and beyond 2^31 numbers, against float64; 110 GiB
	$(RUN_GPU) benchmarks/long.py

gpu-peers: ## on a GPU: figures beside CUDA peers, built from the archives in PEERS=folder, or from those that pip fetches
	$(RUN_GPU) benchmarks/peers.py $(if $(PEERS),--sources $(PEERS))

# Needs what genomamba needs, such as pyfaidx, beside PyTorch. As in
# make gpu-train OUT=runs/x MINUTES=10 OPTIONS="--fasta X.fa.gz 20.fa.gz --valid-bed v.bed --test-bed t.bed --preset base"
MINUTES = 10

gpu-train: ## on a GPU: train for MINUTES with the OPTIONS of genomamba pretrain, into the run folder OUT, with its checkpoints
	$(RUN_GPU) -m genomamba pretrain --device cuda --max-minutes $(MINUTES) --out $(OUT) $(OPTIONS)

clean: ## remove what make and the tools have made; runs/ stays
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
