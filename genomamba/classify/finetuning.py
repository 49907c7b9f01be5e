"""`genomamba finetune`: a head over a model, trained once, or for every fold, seed and learning rate; its figures."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from genomamba.alphabet import get_alphabet
from genomamba.classify.classifier_files import HEAD_WEIGHTS, load_classifier, save_classifier
from genomamba.classify.comparison import Contender
from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.contenders import Answer, baseline_answers, baselines_of, cost_of
from genomamba.classify.evaluation import input_of, write_evaluation
from genomamba.classify.examples import Examples
from genomamba.classify.finetune_config import FinetuneConfig
from genomamba.classify.fitting import Fit, FitSettings
from genomamba.classify.heads import SequenceModel
from genomamba.classify.losses import said_of
from genomamba.classify.predicting import predict_logits
from genomamba.classify.probe_config import check_baselines
from genomamba.classify.starting import head_config, is_random, load_network, network_config, sequence_model
from genomamba.classify.trials import Trial, Trials, load_trials
from genomamba.errors import ConfigError, GenomambaError
from genomamba.files import atomic_file, read_json, write_json
from genomamba.model import count_parameters
from genomamba.model.process import keep_freed_memory, set_threads
from genomamba.score.progress import Progress
from genomamba.train.device import choose_training_device, gpu_facts
from genomamba.train.log import tell
from genomamba.train.run_folder import RunFolder, check_free
from genomamba.train.signals import Signals

__all__ = ["finetune"]

_RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class _Member:
    """One training: its folder below `members`, the trial, the learning rate, and whether its weights are drawn."""

    name: str
    trial: Trial
    learning_rate: float
    random: bool


def finetune(
    name: str,
    config: FinetuneConfig,
    data_config: DataConfig,
    parts: PartsConfig,
    *,
    command: str,
    emit: Callable[[str], None],
    test_needed: bool = False,
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
    test_needed : bool
        Refuse data of which nothing tests.

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
    device = choose_training_device(config.device)
    threads = set_threads(config.threads)
    keep_freed_memory()
    shape = network_config(name, revision=config.revision, alphabet=config.alphabet)
    trials = load_trials(
        data_config, parts, get_alphabet(shape.alphabet), folds=config.folds, repeats=config.repeats,
        redraw=config.redraw_valid, test_needed=test_needed, emit=emit,
    )  # fmt: skip
    if len(config.learning_rate) > 1 and not trials.each[0].valid.size:
        raise ConfigError("--learning-rate has several values, and nothing validates to choose by; give --valid-share")
    folder = RunFolder(path, resume=config.resume, force=config.force)
    folder.start(
        command=command, inputs=[input_of(trials.data)], threads=threads, device=str(device), model=name,
        **gpu_facts(device),
    )  # fmt: skip
    kept = dataclasses.replace(config, resume=False, force=False)
    folder.write_config(kept)
    folder.write_config(data_config, "data.yaml")
    folder.write_config(parts, "parts.yaml")
    with Signals() as signals:
        run = _Run(name, config, trials, folder, signals, emit, device)
        try:
            run.run()
        except GenomambaError:
            folder.finish(status="failed")
            raise
        folder.finish(status=run.status)
        if run.status == "stopped":
            emit(f"{path}: stopped; the same command with --resume goes on from there")
            return signals.exit_code
    return 0


@dataclass(frozen=True, slots=True)
class _Trained:
    """The training of one trial whose learning rate was chosen; all that were made for it took `seconds`."""

    member: _Member
    result: dict[str, Any]
    swept: list[dict[str, Any]]
    seconds: float


class _Run:
    """From the data to the figures."""

    def __init__(
        self,
        name: str,
        config: FinetuneConfig,
        trials: Trials,
        folder: RunFolder,
        signals: Signals,
        emit: Callable[[str], None],
        device: torch.device,
    ) -> None:
        self.name, self.config, self.trials, self.device = name, config, trials, device
        self.folder, self.signals, self.emit = folder, signals, emit
        self.status = "failed"

    def run(self) -> None:
        """Train, choose learning rates, score what tests beside the baselines, and leave the model."""
        names, left_out = baselines_of(check_baselines(self.config.baselines), self.trials.data)
        tests = bool(self.trials.tested.size)
        if "random" in names and (self.config.random_weights or is_random(self.name)):
            names.remove("random")
            left_out["random"] = "the model itself has weights that were drawn"
        trained = self._train_all(random=False)
        drawn = self._train_all(random=True) if tests and trained and "random" in names else []
        if trained is None or drawn is None:
            self.status = "stopped"
            return
        best = min(trained, key=lambda one: _rank(one.result))
        self._keep(best.member)
        facts = {
            "random_weights": self.config.random_weights,
            "kept": best.member.name,
            "learning_rates": [one.swept for one in trained if len(one.swept) > 1],
            "trained": [one.result for one in trained],
        }
        if not tests:
            self.folder.write_json("figures.json", {"model": self.name, **facts})
            self.emit("nothing tests, so there is no figure")
        else:
            self._compare(trained, drawn, names, left_out, facts)
        self.status = "finished"
        self.emit(f"{self.folder.path}: the model of {best.member.name}, for genomamba predict")

    def _compare(
        self, trained: list[_Trained], drawn: list[_Trained], names: list[str], left_out: dict[str, str],
        facts: dict[str, Any],
    ) -> None:  # fmt: skip
        contenders = [Contender(name="finetuned", is_baseline=False, answers=[self._answer(one) for one in trained])]
        for name in names:
            tell(f"baseline: {name}")
            if name == "random":
                answers = [self._answer(one) for one in drawn]
            else:
                answers = baseline_answers(name, self.trials)
            contenders.append(Contender(name=name, is_baseline=True, answers=answers))
        write_evaluation(
            self.folder.path, self.trials, contenders, name=self.name, what=_what(self.config), left_out=left_out,
            report=self.config.report, emit=self.emit, facts=facts,
        )  # fmt: skip

    def _train_all(self, *, random: bool) -> list[_Trained] | None:
        """Train every trial with each learning rate, and choose one; None where a signal asked to leave."""
        rates, found = self.config.learning_rate, []
        for trial in self.trials.each:
            results = []
            for rate in rates:
                name = f"random/{trial.name}" if random else trial.name
                member = _Member(f"{name}/lr-{rate:g}" if len(rates) > 1 else name, trial, rate, random)
                result = self._train(member)
                if result is None:
                    return None
                results.append((member, result))
            swept = [{"learning_rate": one.learning_rate, "valid_loss": r["valid_loss"]} for one, r in results]
            member, result = min(results, key=lambda one: _rank(one[1]))
            found.append(_Trained(member, result, swept, sum(r["seconds"] for _, r in results)))
        return found

    def _train(self, member: _Member) -> dict[str, Any] | None:
        """Train one member, or return what is known of one that is done; None where a signal asked to leave."""
        place = self.folder.path / "members" / member.name
        if (place / _RESULT).is_file():
            found: dict[str, Any] = read_json(place / _RESULT)
            return found
        config, trial = self.config, member.trial
        data, train, valid, test = trial.data, trial.train, trial.valid, trial.test
        assert data.labels is not None
        network = load_network(
            self.name, revision=config.revision, alphabet=config.alphabet,
            random_weights=config.random_weights or member.random, seed=trial.seed,
        )  # fmt: skip
        examples = Examples.of(data)
        head = head_config(
            network.config, examples, pool=config.pool, hidden=config.hidden, dropout=config.dropout, train=train,
            strand="both" if config.strand == "random" else config.strand,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            model = sequence_model(network, head).to(self.device)
        settings = _settings(config, member)
        tell(f"{member.name}: {len(train):,} sequences learn, {len(valid):,} validate, {len(test):,} test")
        total = settings.epochs * len(train)
        with Progress(f"training {member.name}", "sequences", total) as bar:
            facts = self._facts(member)
            fit = Fit(
                model, examples, train, valid, settings, run=place, facts=facts, signals=self.signals,
                after_step=bar.add,
            )  # fmt: skip
            fitted = fit.fit()
        if not fitted.is_whole:
            return None
        result = {
            "member": member.name, "seed": trial.seed, "learning_rate": member.learning_rate,
            "train": len(train), "valid": len(valid), "test": len(test), "parameters": count_parameters(model),
            "epochs": fitted.epochs, "steps": fitted.steps, "best_step": fitted.best_step,
            "valid_loss": fitted.valid_loss, "seconds": round(fitted.seconds, 1),
        }  # fmt: skip
        save_classifier(place, model, facts)
        shutil.rmtree(place / "checkpoints")
        write_json(place / _RESULT, result)
        return result

    def _keep(self, member: _Member) -> None:
        """Put a model into the run folder itself."""
        source = self.folder.path / "members" / member.name
        for name in ("model.safetensors", HEAD_WEIGHTS, "config.json"):
            with atomic_file(self.folder.path / name) as temporary:
                shutil.copyfile(source / name, temporary)

    def _answer(self, trained: _Trained) -> Answer:
        """Return what a model says of the test part."""
        member, trial = trained.member, trained.member.trial
        model = load_classifier(self.folder.path / "members" / member.name, device=self.device)
        cost = None
        if trial.valid.size:
            examples, kind = Examples.of(trial.data), model.config.kind
            cost = cost_of(kind, _said(model, trial, trial.valid), examples.targets(trial.valid))
        parameters = count_parameters(model)
        return Answer(
            said=_said(model, trial, trial.judged), cost=cost, judged_by="the part that says when to stop",
            parameters=parameters, trained=count_parameters(model.head) if self.config.freeze else parameters,
            seconds=trained.seconds, chosen={"learning_rate": member.learning_rate, "epochs": trained.result["epochs"]},
        )  # fmt: skip

    def _facts(self, member: _Member) -> dict[str, Any]:
        """Return what the model says of its training."""
        config = self.config
        return {
            "objective": "labels", "base_model": self.name,
            "random_weights": config.random_weights or member.random, "network_trained": not config.freeze,
            "seed": member.trial.seed, "learning_rate": member.learning_rate,
        }  # fmt: skip


def _rank(result: dict[str, Any]) -> float:
    """Return what is least of the best: without a validation part the first is taken."""
    return math.inf if result["valid_loss"] is None else float(result["valid_loss"])


def _settings(config: FinetuneConfig, member: _Member) -> FitSettings:
    return FitSettings(
        freeze=config.freeze, augment=config.strand == "random", epochs=config.epochs, batch_size=config.batch_size,
        learning_rate=member.learning_rate, weight_decay=config.weight_decay, warmup=config.warmup, clip=config.clip,
        class_weight=config.class_weight, patience=config.patience, seed=member.trial.seed,
    )  # fmt: skip


def _what(config: FinetuneConfig) -> str:
    trained = "the head alone is trained" if config.freeze else "all weights are trained"
    drawn = ", from weights that were drawn" if config.random_weights else ""
    return f"fine-tuned: {trained}{drawn}, pool {config.pool}, strand {config.strand or 'by the model'}"


def _said(model: SequenceModel, trial: Trial, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return said_of(model.config, predict_logits(model, trial.data.sequences.select(rows)))
