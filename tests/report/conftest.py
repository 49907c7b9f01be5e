"""A made run folder, such as `genomamba pretrain` leaves."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

FACTS: dict[str, Any] = {
    "genomamba": "0.1.0",
    "commit": "0f1e2d3c4b5a",
    "command": "genomamba pretrain --fasta yeast.fa --test 'chr IV' --out runs/yeast",
    "started": "2025-11-03T09:00:00+00:00",
    "finished": "2025-11-03T10:02:05+00:00",
    "status": "finished",
    "python": "3.12.3",
    "torch": "2.9.0",
    "numba": "0.62.1",
    "platform": "Linux-6.8-x86_64",
    "cpu": "An Example CPU",
    "threads": 2,
    "device": "cpu",
    "precision": "float32",
    "parameters": 512_640,
    "steps": 3_000,
    "bases": 24_576_000,
    "elapsed_s": 3_725.0,
    "preset": "small",
    "inputs": [{"path": "yeast.fa", "bytes": 12_309_078, "sha256": "ab" * 32}],
}
CONFIG: dict[str, Any] = {
    "fasta": ["yeast.fa", "other.fa"],
    "alphabet": "dna",
    "test": ["chr IV"],
    "preset": "small",
    "objective": "next_token",
    "context": 1_024,
    "batch_size": 8,
    "learning_rate": 0.004,
    "max_steps": None,
    "resume": True,
    "dry_run": False,
}
ORDERS = [1.9591, 1.9490, 1.9450, 1.9410, 1.9400, 1.9390, 1.9360, 1.9340, 1.9321, 1.9350, 1.9430, 1.9550, 1.9760]
EVALUATION: dict[str, Any] = {
    "objective": "next_token",
    "context": 1_024,
    "strand": "random",
    "checkpoint_step": 2_800,
    "splits": {
        "valid": {
            "bases": 948_066,
            "bits_per_base": 1.9236,
            "by_contig": {"chr XVI": {"bases": 948_066, "bits_per_base": 1.9236}},
        },
        "test": {
            "bases": 2_610_110,
            "bits_per_base": 1.9213,
            "by_contig": {
                "chr IV": {"bases": 1_531_933, "bits_per_base": 1.9225},
                "chr XII": {"bases": 1_078_177, "bits_per_base": 1.9196},
            },
        },
    },
    "markov": {
        "best_order": 8,
        "weight": 16.0,
        "fitted_on_bases": 8_513_150,
        "orders": [{"order": k, "valid": bits + 0.0031, "test": bits} for k, bits in enumerate(ORDERS)],
    },
}
SPLIT = {
    "intervals": 13,
    "contigs": 13,
    "bases": 8_513_150,
    "windows": 8_320,
    "acgt": 8_513_150,
    "n_share": 0.0,
    "softmask_share": 0.125,
    "gc": 0.3816,
}
CARD: dict[str, Any] = {
    "splits": {
        "train": SPLIT,
        "valid": {**SPLIT, "intervals": 1, "contigs": 1, "bases": 948_066, "acgt": 948_066},
        "test": {**SPLIT, "intervals": 2, "contigs": 2, "bases": 2_610_110, "acgt": 2_610_110},
    },
    "contigs": [{"name": f"chr {i}", "length": 1_000_000 + i, "split": "train"} for i in range(1, 17)],
    "excluded": [{"name": "mitochondrion", "length": 85_779}],
    "inputs": FACTS["inputs"],
}


def metrics(rows: int, every: int = 150) -> list[dict[str, Any]]:
    """Rows of a run whose bits per base fall from 2.6 towards 1.92."""
    rng = np.random.default_rng(0)
    made: list[dict[str, Any]] = []
    for step in range(1, rows + 1):
        done = step / rows
        bits = 1.925 + 0.06 * np.exp(-4 * done) + 0.6 * np.exp(-100 * done)
        row = {"step": step, "bases": step * 8_192, "time_s": step * 1.2}
        made.append(
            {
                "kind": "train",
                **row,
                "bits_per_base": float(bits + rng.normal(0, 0.012)),
                "learning_rate": float(0.004 * min(1.0, done / 0.05) * 0.5 * (1 + np.cos(np.pi * done))),
                "bases_per_s": float(6_800 + rng.normal(0, 150)),
            }
        )
        if step % every == 0:
            made.append({"kind": "valid", **row, "bits_per_base": float(bits + 0.002), "learning_rate": None})
    return made


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a run folder; a file given as None is left out."""

    def make(
        *,
        facts: dict[str, Any] | None = FACTS,
        config: dict[str, Any] | None = CONFIG,
        card: dict[str, Any] | None = CARD,
        evaluation: dict[str, Any] | None = EVALUATION,
        rows: list[dict[str, Any]] | None = None,
        name: str = "yeast",
    ) -> Path:
        run = tmp_path / name
        run.mkdir()
        for file, values in (("run.json", facts), ("dataset.json", card), ("evaluation.json", evaluation)):
            if values is not None:
                (run / file).write_text(json.dumps(values))
        if config is not None:
            (run / "config.yaml").write_text("# data\n" + yaml.safe_dump(config))
        if rows is None:
            rows = metrics(300, every=15)
        if rows:
            (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return run

    make.files = copy.deepcopy({"facts": FACTS, "config": CONFIG, "card": CARD, "evaluation": EVALUATION})
    make.metrics = metrics
    return make
