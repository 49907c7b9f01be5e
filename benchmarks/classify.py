"""Tasks of labelled sequences: probes of a pretrained model beside random weights and 5-mers.

    python benchmarks/classify.py --model MODEL TABLE ...
    python benchmarks/classify.py RUN ...

With `--model`, tables with parts train and test: logistic regression on what all layers of the model make of them,
strand as given; on what the same network makes of it from random weights; and on counts of 5-mers. Penalty, and whether
positions are summed or averaged, are chosen by three folds of the training part; then the test part is read, once. A
line each, with intervals, and the paired difference from 5-mers. Else the lines are those of run folders of `genomamba
probe` or `finetune`, or of `genomamba benchmark`, whose members are taken: a line for each contender and each data that
it was tested on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from record import parser, write

from genomamba import Model, embed
from genomamba.alphabet import get_alphabet
from genomamba.baselines.kmer import KmerClassifier
from genomamba.classify.config import DataConfig
from genomamba.classify.figures import differences_of, figures_of
from genomamba.classify.labels import Labels
from genomamba.classify.leaks import find_leaks
from genomamba.classify.probes import FeatureClassifier
from genomamba.classify.reading import read_data
from genomamba.classify.splits import check_trainable
from genomamba.classify.starting import load_network
from genomamba.model.process import keep_freed_memory, set_threads

STRENGTHS: Final = (10.0, 100.0, 1_000.0, 10_000.0)


def main() -> None:
    options = read_options()
    if options.model is None:
        for path in options.paths:
            for member in members_of(path):
                report(member)
        return
    set_threads(options.threads)
    keep_freed_memory()
    for path in options.paths:
        test(options.model, path, options.rows)


def test(model: str, path: Path, most: int | None) -> None:
    """Write what the probes and 5-mers give on the test part of a table, with leaks and without."""
    data = read_data(DataConfig(data=str(path)), get_alphabet("dna"))
    check_trainable(data)
    assert data.labels is not None
    assert data.splits is not None
    learn, judge = np.flatnonzero(data.splits == 0), np.flatnonzero(data.splits == 2)
    if most is not None and learn.size > most:
        learn = np.sort(np.random.default_rng(0).permutation(learn)[:most])
    # What is not learnt from is not read, either.
    rows = np.concatenate([learn, judge])
    data, learn, judge = data.select(rows), np.arange(learn.size), np.arange(learn.size, rows.size)
    clean = ~np.isin(judge, find_leaks(data).row)
    texts, codes = [data.sequences.text(row) for row in range(len(data))], data.labels.values
    facts = {"task": path.name.split(".")[0], "train": learn.size, "test": judge.size, "leaked": int((~clean).sum())}
    labels = dataclasses.replace(data.labels, values=codes[judge])
    began = time.monotonic()
    kmers = KmerClassifier(ks=(5,)).fit([texts[row] for row in learn], codes[learn])
    plain = kmers.predict_proba([texts[row] for row in judge])
    tell("5-mers", labels, plain, None, clean, inside=kmers.cost_[0], seconds=time.monotonic() - began, **facts)
    lengths = data.sequences.lengths[:, None]
    networks = {"pretrained": load_network(model), "random": load_network(model, random_weights=True, seed=0)}
    for who, network in networks.items():
        began = time.monotonic()
        depth = network.config.num_layers
        loaded = Model(network.requires_grad_(False), name=who).eval()
        means = embed(loaded, texts, layers=range(1, depth + 1), strand="+").numpy()
        fitted = {}
        for pool in ("mean", "sum") if np.ptp(lengths) else ("mean",):
            features = means * lengths if pool == "sum" else means
            probe = FeatureClassifier(strengths=STRENGTHS, folds=3).fit(features[learn], codes[learn])
            fitted[pool] = probe, probe.predict_proba(features[judge])
        pool = min(fitted, key=lambda one: fitted[one][0].cost_)
        probe, said = fitted[pool]
        tell(
            who, labels, said, plain, clean, inside=probe.cost_[0], pool=pool, strength=probe.strength_,
            seconds=time.monotonic() - began, model=model, **facts,
        )  # fmt: skip


def tell(
    who: str, labels: Labels, said: Any, plain: Any, clean: npt.NDArray[np.bool_], *, inside: float, **facts: Any
) -> None:
    """Write the figures of one of them over all rows that test, and over those that are not learnt from, too."""
    kept = dataclasses.replace(labels, values=labels.values[clean])
    whole, without = figures_of(labels, [said]), figures_of(kept, [said[clean]])
    if plain is not None:
        facts["over_5_mers"] = differences_of(labels, [said], [plain])["accuracy"]
        facts["over_5_mers_without_leaks"] = differences_of(kept, [said[clean]], [plain[clean]])["accuracy"]
    write(
        "classify", "tested", who=who, accuracy=numbers(whole, "accuracy"), auroc=numbers(whole, "auroc"),
        without_leaks=numbers(without, "accuracy"), inside=float(inside), **facts,
    )  # fmt: skip


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
                seconds=round(one["seconds"], 1), best_baseline=found["best_baseline"],
                command=without_folders(run["command"]),
                **({} if one["is_baseline"] else {"above_best": found["differences"].get("accuracy")}),
            )  # fmt: skip


def without_folders(command: str) -> str:
    """Return a command with the names of files and folders alone: where they lie is nobody's matter."""
    return " ".join(Path(word).name if word.startswith("/") else word for word in command.split(" "))


def numbers(figures: Mapping[str, Any] | None, name: str) -> list[float | None] | None:
    """Return value, low and high of a figure."""
    return None if figures is None or name not in figures else [figures[name][key] for key in ("value", "low", "high")]


def read_options() -> argparse.Namespace:
    """Return the options."""
    made = parser(__doc__)
    made.add_argument("paths", nargs="+", type=Path, help="run folders; with --model, tables")
    made.add_argument("--model", help="probe this model")
    made.add_argument("--rows", type=int, help="learn from so many sequences of the training part, drawn; default: all")
    return made.parse_args()


if __name__ == "__main__":
    main()
