"""Splice junctions: a network from random weights beside one-hot logistic regression.

    python benchmarks/splice.py TABLE [--choose] [--seeds 5]

TABLE holds StatLog's DNA: columns `seq` and `label`, the first 2,000 rows to learn from, the others to test on.
`--choose` writes one line a candidate, its accuracy and nats by five folds of the first rows. Else the candidate that
did best there is trained on all of them from each seed, and the test rows are read: a line for logistic regression,
one a seed, and one for the mean, with a bootstrap interval over the rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from record import parser, write

from genomamba import SequenceClassifier
from genomamba.baselines.onehot import OneHotClassifier
from genomamba.classify.labels import Labels
from genomamba.classify.splits import folds_of
from genomamba.config import ModelConfig
from genomamba.metrics import compare, estimate
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import save_model
from genomamba.model.process import keep_freed_memory, set_threads

TRAIN: Final = 2_000
CANDIDATES: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "two-layers": ({"d_model": 64, "num_layers": 2}, {"learning_rate": 3e-3, "dropout": 0.2}),
    "two-layers-slower": ({"d_model": 64, "num_layers": 2}, {"learning_rate": 1e-3, "dropout": 0.3}),
    "one-layer": ({"d_model": 128, "num_layers": 1}, {"learning_rate": 3e-3, "dropout": 0.2}),
}
CHOSEN: Final = "two-layers"


def main() -> None:
    options = read_options()
    set_threads(options.threads)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        run(options, Path(folder))


def run(options: argparse.Namespace, folder: Path) -> None:
    """Choose, or test; shapes of networks go into the folder."""
    table = pd.read_csv(options.table, sep="\t")
    texts, labels = table["seq"].tolist(), table["label"].to_numpy()
    if options.choose:
        choose(texts[:TRAIN], labels[:TRAIN], options.threads, folder)
        return
    classes, truth = np.unique(labels[TRAIN:], return_inverse=True)
    plain = OneHotClassifier().fit(texts[:TRAIN], labels[:TRAIN])
    said = np.searchsorted(classes, plain.predict(texts[TRAIN:]))
    report("one-hot", truth, said, strength=plain.strength_)
    found = []
    for seed in range(options.seeds):
        began = time.monotonic()
        fitted = make(CHOSEN, seed, folder).fit(texts[:TRAIN], labels[:TRAIN])
        found.append(np.searchsorted(classes, fitted.predict(texts[TRAIN:])))
        seconds = round(time.monotonic() - began, 1)
        difference = compare("accuracy", truth, found[-1], said)._asdict()
        report(CHOSEN, truth, found[-1], seed=seed, seconds=seconds, threads=options.threads, over_one_hot=difference)
    right = np.mean([one == truth for one in found], axis=0)
    rows = np.random.default_rng(0).integers(0, truth.size, (2_000, truth.size))
    low, high = np.percentile(right[rows].mean(1), [2.5, 97.5])
    write("splice", "mean", seeds=options.seeds, accuracy=float(right.mean()), low=float(low), high=float(high))


def report(who: str, truth: Any, said: Any, **facts: Any) -> None:
    """Write the accuracy of the test rows, with its bootstrap interval."""
    found = estimate("accuracy", truth, said)
    write("splice", "test", who=who, accuracy=found.value, low=found.low, high=found.high, rows=found.rows, **facts)


def choose(texts: list[str], labels: Any, threads: int, folder: Path) -> None:
    """Write what each candidate gives in five folds of the rows to learn from."""
    classes, codes = np.unique(labels, return_inverse=True)
    fold = folds_of(Labels("single", tuple(classes), codes), len(texts), 5, seed=0)
    for name in CANDIDATES:
        probabilities = np.zeros((len(texts), classes.size))
        for number in range(5):
            learn, judge = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            fitted = make(name, number, folder).fit([texts[row] for row in learn], labels[learn])
            probabilities[judge] = fitted.predict_proba([texts[row] for row in judge])
        nats = float(-np.log(probabilities[np.arange(len(texts)), codes]).mean())
        accuracy = float((probabilities.argmax(1) == codes).mean())
        write("splice", "folds", who=name, accuracy=accuracy, nats=nats, rows=len(texts), threads=threads)


def make(name: str, seed: int, folder: Path) -> SequenceClassifier:
    """Return a candidate, not fitted."""
    shape, training = CANDIDATES[name]
    save_model(folder, LanguageModel(ModelConfig(direction="bidirectional", d_state=8, **shape)), {})
    return SequenceClassifier(
        folder, random_weights=True, pool="middle", epochs=10, weight_decay=0.1, valid_share=0, seed=seed, **training
    )


def read_options() -> argparse.Namespace:
    """Return the options."""
    made = parser(__doc__)
    made.add_argument("table", help="TSV of the splice junctions, plain or gzip")
    made.add_argument("--choose", action="store_true", help="compare the candidates by folds, and read no test row")
    made.add_argument("--seeds", type=int, default=5, help="trainings of the one that was chosen")
    return made.parse_args()


if __name__ == "__main__":
    main()
