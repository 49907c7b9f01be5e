"""Tasks of labelled sequences: probes of a pretrained model beside random weights and simple baselines.

    python benchmarks/classify.py --choose MODEL TABLE ... [--rows 1500]
    python benchmarks/classify.py RUN ...

With `--choose`, a line a candidate: the accuracy of logistic regression on what the model makes of the sequences of the
training part (of at most so many, drawn), by five folds of them, and that of 5-mers beside it. No row of the test part
is read. Else the lines are those of run folders of `genomamba probe` or `finetune`, or of `genomamba benchmark`, whose
members are taken: a line for each contender and each data that it was tested on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import parser, write

from genomamba import embed, from_pretrained
from genomamba.baselines.kmer import KmerClassifier
from genomamba.classify.labels import Labels
from genomamba.classify.probes import FeatureClassifier
from genomamba.classify.splits import folds_of
from genomamba.model.process import keep_freed_memory, set_threads


def main() -> None:
    options = read_options()
    if options.choose is None:
        for path in options.paths:
            for member in members_of(path):
                report(member)
        return
    set_threads(options.threads)
    keep_freed_memory()
    for path in options.paths:
        choose(options.choose, path, options.rows)


def choose(model: str, path: Path, most: int) -> None:
    """Write what each candidate gives in five folds of the training part."""
    table = pd.read_csv(path, sep="\t")
    table = table[table["split"] == "train"]
    if len(table) > most:
        table = table.sample(most, random_state=0)
    texts = table["seq" if "seq" in table else "sequence"].tolist()
    classes, codes = np.unique(table["class" if "class" in table else "label"], return_inverse=True)
    fold = folds_of(Labels("single", tuple(classes), codes), len(texts), 5, seed=0)
    facts = {"task": path.name.split(".")[0], "rows": len(texts), "model": model}
    right = 0
    for number in range(5):
        learn, judge = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        kmers = KmerClassifier(ks=(5,)).fit([texts[row] for row in learn], codes[learn])
        right += int((kmers.predict([texts[row] for row in judge]) == codes[judge]).sum())
    write("classify", "folds", who="5-mers", accuracy=right / len(texts), **facts)
    loaded = from_pretrained(model)
    depth = loaded.config.num_layers
    began = time.monotonic()
    means = embed(loaded, texts, layers=range(1, depth + 1), strand="mean").numpy()
    seconds = round(time.monotonic() - began, 1)
    lengths = np.array([[len(text)] for text in texts])
    last = means.shape[1] // depth
    for pool, values in (("mean", means), ("sum", means * lengths)):
        if pool == "sum" and np.unique(lengths).size == 1:
            continue
        for layers, features in (("last", values[:, -last:]), ("all", values)):
            found = share_right(features, codes, fold)
            write("classify", "folds", who="probe", pool=pool, layers=layers, accuracy=found, seconds=seconds, **facts)


def share_right(features: npt.NDArray[Any], codes: npt.NDArray[Any], fold: npt.NDArray[Any]) -> float:
    """Return the accuracy of logistic regression over features, by folds."""
    said = np.empty_like(codes)
    for number in range(5):
        learn, judge = fold != number, fold == number
        said[judge] = FeatureClassifier().fit(features[learn], codes[learn]).predict(features[judge])
    return float((said == codes).mean())


def members_of(path: Path) -> Iterator[Path]:
    """Give run folders that have figures: the folder itself, or those of the tasks of a benchmark."""
    if (path / "figures.json").is_file():
        yield path
        return
    yield from sorted(found.parent for found in path.glob("members/*/figures.json"))


def report(folder: Path) -> None:
    """Write the figures of a run folder, with the command that made them."""
    figures = json.loads((folder / "figures.json").read_text())
    run = json.loads((folder / "run.json").read_text())
    for tested, found in {"test": figures, **figures["others"]}.items():
        for one in found["contenders"]:
            write(
                "classify", "tested", task=folder.name, tested=tested, who=one["name"], what=figures["what"],
                model=Path(figures["model"]).name, protocol=found["protocol"], rows=found["rows"],
                leaked=found["leaked"], accuracy=numbers(one["figures"], "accuracy"),
                auroc=numbers(one["figures"], "auroc"), mcc=numbers(one["figures"], "mcc"),
                clean=numbers(one["without_leaks"], "accuracy"), inside=one["cost"], chosen=one["members"][0]["chosen"],
                seconds=round(one["seconds"], 1), best_baseline=found["best_baseline"], command=run["command"],
                **({} if one["is_baseline"] else {"above_best": found["differences"].get("accuracy")}),
            )  # fmt: skip


def numbers(figures: Mapping[str, Any] | None, name: str) -> list[float | None] | None:
    """Return value, low and high of a figure."""
    return None if figures is None or name not in figures else [figures[name][key] for key in ("value", "low", "high")]


def read_options() -> argparse.Namespace:
    """Return the options."""
    made = parser(__doc__)
    made.add_argument("paths", nargs="+", type=Path, help="run folders; with --choose, tables")
    made.add_argument("--choose", metavar="MODEL", help="compare candidates by folds of the training part")
    made.add_argument("--rows", type=int, default=1_500, help="sequences that --choose takes (default: 1,500)")
    return made.parse_args()


if __name__ == "__main__":
    main()
