"""`genomamba finetune`: a head over a model, trained once, or for every fold, seed and learning rate; its figures."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genomamba.alphabet import get_alphabet
from genomamba.classify.classifier_files import HEAD_WEIGHTS, load_classifier, save_classifier
from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.examples import Examples
from genomamba.classify.figures import figures_of
from genomamba.classify.finetune_config import FinetuneConfig
from genomamba.classify.fitting import Fit, FitSettings
from genomamba.classify.labelled import SPLITS, Labelled
from genomamba.classify.leaks import Leaks
from genomamba.classify.predicting import predict_logits
from genomamba.classify.reading import load_data
from genomamba.classify.splits import fold_splits, folds_of
from genomamba.classify.starting import head_config, load_network, network_config, sequence_model
from genomamba.classify.tables_out import Predicted, write_predictions
from genomamba.errors import ConfigError, GenomambaError
from genomamba.files import atomic_file, read_json, write_json
from genomamba.model import count_parameters
from genomamba.model.process import keep_freed_memory, set_threads
from genomamba.score.progress import Progress
from genomamba.train.log import tell
from genomamba.train.run_folder import RunFolder, check_free
from genomamba.train.signals import Signals

__all__ = ["finetune"]

TRAIN, VALID, TEST = range(len(SPLITS))
_RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class _Member:
    """One training: its folder below `members`, the parts of the data, the learning rate, and the seed."""

    name: str
    data: Labelled
    learning_rate: float
    seed: int


def finetune(
    name: str,
    config: FinetuneConfig,
    data_config: DataConfig,
    parts: PartsConfig,
    *,
    command: str,
    emit: Callable[[str], None],
) -> int:
    """Train a head over a model, and leave a run folder that is a model with a head.

    Parameters
    ----------
    name : str
        The model, or a preset: see `genomamba.classify.starting.load_network`.
    config : FinetuneConfig
    data_config : DataConfig
    parts : PartsConfig
        As the user gave them.
    command : str
        The command line, for run.json.
    emit : callable
        Takes each line or block that people are to read.

    Returns
    -------
    int
        Exit code: 0, or 128 + the number of the signal that ended the run.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    assert config.out is not None
    path = Path(config.out)
    check_free(path, resume=config.resume, force=config.force)
    threads = set_threads(config.threads)
    keep_freed_memory()
    shape = network_config(name, revision=config.revision, alphabet=config.alphabet)
    data, leaks = load_data(data_config, parts, get_alphabet(shape.alphabet), emit=emit)
    members = list(_members(data, config, parts))
    folder = RunFolder(path, resume=config.resume, force=config.force)
    folder.start(command=command, inputs=[_input(data)], threads=threads, model=name)
    kept = dataclasses.replace(config, resume=False, force=False)
    folder.write_config(kept)
    folder.write_config(data_config, "data.yaml")
    folder.write_config(parts, "parts.yaml")
    with Signals() as signals:
        run = _Run(name, config, folder, signals, emit)
        try:
            run.run(members, leaks)
        except GenomambaError:
            folder.finish(status="failed")
            raise
        folder.finish(status=run.status)
        if run.status == "stopped":
            emit(f"{path}: stopped; the same command with --resume goes on from there")
            return signals.exit_code
    return 0


def _members(data: Labelled, config: FinetuneConfig, given: PartsConfig) -> Iterator[_Member]:
    """List the trainings: learning rates first, of which one is chosen; then folds, or seeds."""
    rates, seed = config.learning_rate, given.seed
    assert data.splits is not None
    if config.folds:
        assert data.labels is not None
        fold = folds_of(data.labels, len(data), config.folds, groups=data.groups, seed=seed)
        share = given.valid_share
        parts = [fold_splits(data, fold, number, share, seed) for number in range(config.folds)]
        names = [(f"fold-{number}", part, seed) for number, part in enumerate(parts)]
    else:
        names = [(f"seed-{seed + number}", data, seed + number) for number in range(config.repeats)]
    first = names[0][1]
    assert first.splits is not None
    if len(rates) > 1 and not (first.splits == VALID).any():
        raise ConfigError("--learning-rate has several values, and nothing validates to choose by; give --valid-share")
    for (member, part, number), rate in itertools.product(names, rates):
        yield _Member(f"{member}/lr-{rate:g}" if len(rates) > 1 else member, part, rate, number)


class _Run:
    """From the data to the figures."""

    def __init__(
        self, name: str, config: FinetuneConfig, folder: RunFolder, signals: Signals, emit: Callable[[str], None]
    ) -> None:
        self.name, self.config, self.folder, self.signals, self.emit = name, config, folder, signals, emit
        self.status = "failed"

    def run(self, members: list[_Member], leaks: Leaks) -> None:
        """Train all members, choose learning rates, score what tests, and leave the model."""
        chosen: list[tuple[_Member, dict[str, Any]]] = []
        swept = []
        # Learning rates of a fold, or of a seed, follow one another.
        for _, same in itertools.groupby(members, key=lambda member: (id(member.data), member.seed)):
            results = []
            for member in same:
                result = self._train(member)
                if result is None:
                    self.status = "stopped"
                    return
                results.append((member, result))
            if len(results) > 1:
                swept.append([{"learning_rate": m.learning_rate, "valid_loss": r["valid_loss"]} for m, r in results])
            chosen.append(
                min(results, key=lambda one: np.inf if one[1]["valid_loss"] is None else one[1]["valid_loss"])
            )
        self._finish(chosen, swept, leaks)

    def _train(self, member: _Member) -> dict[str, Any] | None:
        """Train one member, or return what is known of one that is done; None where a signal asked to leave."""
        place = self.folder.path / "members" / member.name
        if (place / _RESULT).is_file():
            found: dict[str, Any] = read_json(place / _RESULT)
            return found
        config, data = self.config, member.data
        assert data.labels is not None
        assert data.splits is not None
        train, valid, test = (np.flatnonzero(data.splits == part) for part in range(len(SPLITS)))
        network = load_network(
            self.name, revision=config.revision, alphabet=config.alphabet, random_weights=config.random_weights,
            seed=member.seed,
        )  # fmt: skip
        head = head_config(
            network.config, data.labels, pool=config.pool, hidden=config.hidden, dropout=config.dropout, train=train,
            strand="both" if config.strand == "random" else config.strand,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            model = sequence_model(network, head)
        settings = _settings(config, member)
        tell(f"{member.name}: {len(train):,} sequences learn, {len(valid):,} validate, {len(test):,} test")
        total = settings.epochs * len(train)
        with Progress(f"training {member.name}", "sequences", total) as bar:
            facts = self._facts(member)
            fit = Fit(
                model, Examples.of(data), train, valid, settings, run=place, facts=facts, signals=self.signals,
                after_step=bar.add,
            )  # fmt: skip
            fitted = fit.fit()
        if not fitted.is_whole:
            return None
        result = {
            "member": member.name, "seed": member.seed, "learning_rate": member.learning_rate,
            "train": len(train), "valid": len(valid), "test": len(test), "parameters": count_parameters(model),
            "epochs": fitted.epochs, "steps": fitted.steps, "best_step": fitted.best_step,
            "valid_loss": fitted.valid_loss, "seconds": round(fitted.seconds, 1),
        }  # fmt: skip
        save_classifier(place, model, facts)
        shutil.rmtree(place / "checkpoints")
        write_json(place / _RESULT, result)
        return result

    def _finish(self, chosen: list[tuple[_Member, dict[str, Any]]], swept: list[Any], leaks: Leaks) -> None:
        path, rows = self.folder.path, []
        for member, result in chosen:
            figures, predicted = self._test(member)
            rows.append(result | {"figures": figures})
            if predicted is not None:
                with atomic_file(path / "members" / member.name / "predictions.tsv") as temporary:
                    write_predictions(temporary, ".tsv", [predicted])
        best = min(rows, key=_rank)
        source = path / "members" / best["member"]
        for name in ("model.safetensors", HEAD_WEIGHTS, "config.json"):
            with atomic_file(path / name) as temporary:
                shutil.copyfile(source / name, temporary)
        evaluation = {
            "protocol": _protocol(self.config),
            "model": self.name,
            "random_weights": self.config.random_weights,
            "kept": best["member"],
            "leaks": int(leaks.row.size),
            "learning_rates": swept,
            "members": rows,
            "test": _over_members(rows),
        }
        self.folder.write_json("figures.json", evaluation)
        self.status = "finished"
        self.emit(_in_words(evaluation))
        self.emit(f"{path}: the model of {best['member']}, for genomamba predict")

    def _test(self, member: _Member) -> tuple[dict[str, Any], Predicted | None]:
        """Return the figures of the test part, and what is said of it; nothing where there is none."""
        assert member.data.splits is not None
        rows = np.flatnonzero(member.data.splits == TEST)
        if not rows.size:
            return {}, None
        part = member.data.select(rows)
        assert part.labels is not None
        model = load_classifier(self.folder.path / "members" / member.name)
        logits = predict_logits(model, part.sequences)
        names = [part.name(row) for row in range(len(part))]
        predicted = Predicted.of(model.config, names, part.sequences.lengths, logits, part.labels)
        return figures_of(model.config, logits, part.labels.values), predicted

    def _facts(self, member: _Member) -> dict[str, Any]:
        """Return what the model says of its training."""
        config = self.config
        return {
            "objective": "labels", "base_model": self.name, "random_weights": config.random_weights,
            "network_trained": not config.freeze, "seed": member.seed, "learning_rate": member.learning_rate,
        }  # fmt: skip


def _rank(result: dict[str, Any]) -> float:
    """Return what is least of the best: without a validation part the first is taken."""
    return math.inf if result["valid_loss"] is None else float(result["valid_loss"])


def _settings(config: FinetuneConfig, member: _Member) -> FitSettings:
    return FitSettings(
        freeze=config.freeze, augment=config.strand == "random", epochs=config.epochs, batch_size=config.batch_size,
        learning_rate=member.learning_rate, weight_decay=config.weight_decay, warmup=config.warmup, clip=config.clip,
        class_weight=config.class_weight, patience=config.patience, seed=member.seed,
    )  # fmt: skip


def _input(data: Labelled) -> dict[str, Any]:
    """Return what was learnt from, as run.json keeps it: a run does not go on with other data."""
    assert data.labels is not None
    assert data.splits is not None
    arrays = [data.sequences.symbols, data.sequences.borders, data.labels.values, data.splits]
    digest = hashlib.sha256(repr(data.labels.classes).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return {"path": data.origin, "bytes": int(data.sequences.symbols.size), "sha256": digest.hexdigest()}


def _protocol(config: FinetuneConfig) -> str:
    if config.folds:
        return f"{config.folds}-fold cross-validation, a part of each training part validates"
    seeds = "1 seed" if config.repeats == 1 else f"{config.repeats} seeds"
    return f"parts of the data as given or drawn, {seeds}"


def _over_members(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and deviation of each figure over folds, or seeds."""
    found = {}
    for name in rows[0]["figures"]:
        values = [row["figures"][name]["value"] for row in rows if row["figures"][name]["value"] is not None]
        if values:
            deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
            found[name] = {"mean": float(np.mean(values)), "deviation": deviation, "members": len(values)}
    return found


def _in_words(evaluation: dict[str, Any]) -> str:
    if not evaluation["test"]:
        return "nothing tests, so there is no figure"
    lines = [f"test: {evaluation['protocol']}"]
    single = len(evaluation["members"]) == 1
    for name, found in evaluation["test"].items():
        if single:
            one = evaluation["members"][0]["figures"][name]
            interval = "" if one["low"] is None else f" ({one['low']:.4f} to {one['high']:.4f})"
            lines.append(f"{name:>12}  {one['value']:.4f}{interval}, {one['rows']:,} labels")
        else:
            spread = "" if found["deviation"] is None else f", deviation {found['deviation']:.4f}"
            lines.append(f"{name:>12}  {found['mean']:.4f}, mean of {found['members']}{spread}")
    return "\n".join(lines)
