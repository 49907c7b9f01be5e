"""`genomamba probe`: a probe over frozen embeddings, beside baselines, with the figures of what tests."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from genomamba.alphabet import get_alphabet
from genomamba.classify.classifier_files import save_classifier
from genomamba.classify.comparison import Compared, Contender
from genomamba.classify.config import DataConfig, PartsConfig
from genomamba.classify.contenders import Answer, baseline_answers, baselines_of, probe_answer
from genomamba.classify.embedding import Embedding
from genomamba.classify.embedding_session import embed_labelled
from genomamba.classify.evaluation import input_of, write_evaluation
from genomamba.classify.heads import HeadConfig, HeadPool, HeadStrand, SequenceModel
from genomamba.classify.labelled import Labelled
from genomamba.classify.probe_config import ProbeConfig, check_baselines
from genomamba.classify.probes import FeatureClassifier, FeatureRegressor, linear_weights
from genomamba.classify.starting import is_random, load_network, network_config, sequence_model
from genomamba.classify.trials import Trials, load_trials
from genomamba.errors import ConfigError, GenomambaError
from genomamba.model import LanguageModel, count_parameters
from genomamba.model.device import prepare_passes
from genomamba.train.log import tell
from genomamba.train.run_folder import RunFolder, check_free

__all__ = ["probe"]

_LINEAR: Final = ("logistic", "ridge")


def probe(
    name: str,
    config: ProbeConfig,
    data_config: DataConfig,
    parts: PartsConfig,
    *,
    command: str,
    emit: Callable[[str], None],
) -> Compared:
    """Embed labelled sequences, fit a probe and baselines, and leave a run folder with their figures.

    Parameters
    ----------
    name : str
        The model, or a preset: see `genomamba.classify.starting.load_network`.
    config : ProbeConfig
    data_config : DataConfig
    parts : PartsConfig
        As the user gave them.
    command : str
        The command line, for run.json.
    emit : callable
        Takes each line or block that people are to read.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    assert config.out is not None
    path = Path(config.out)
    check_free(path, resume=config.resume, force=config.force)
    device = prepare_passes(config.device, config.threads)
    shape = network_config(name, revision=config.revision, alphabet=config.alphabet)
    trials = load_trials(
        data_config, parts, get_alphabet(shape.alphabet), folds=config.folds, repeats=config.repeats, test_needed=True,
        emit=emit,
    )  # fmt: skip
    work = _Probing(name, config, trials, device)
    folder = RunFolder(path, resume=config.resume, force=config.force)
    folder.start(command=command, inputs=[input_of(trials.data)], threads=torch.get_num_threads(), model=name)
    kept = dataclasses.replace(config, resume=False, force=False)
    folder.write_config(kept)
    folder.write_config(data_config, "data.yaml")
    folder.write_config(parts, "parts.yaml")
    try:
        contenders = work.run(path)
        compared = write_evaluation(
            path, trials, contenders, name=name, what=work.what, left_out=work.left_out, report=config.report, emit=emit
        )
        work.save(path, emit)
    except (GenomambaError, KeyboardInterrupt, SystemExit) as error:
        folder.finish(status="failed" if isinstance(error, GenomambaError) else "stopped")
        raise
    folder.finish(status="finished")
    return compared


@dataclass
class _Probing:
    """From the data to what each contender says."""

    name: str
    config: ProbeConfig
    trials: Trials
    device: torch.device
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.labels = self.trials.labels
        self.network = self._load(None)
        pool = self.config.pool
        if self.labels.kind == "per-base" and pool not in ("mean", "none"):
            raise ConfigError(f"is {pool}, and each base has a label; leave it out", option="pool")
        if self.labels.kind != "per-base" and pool == "none":
            raise ConfigError(
                "is none, and each sequence has a label; give mean, sum, max, last or middle", option="pool"
            )
        config, alphabet = self.network.config, get_alphabet(self.network.config.alphabet)
        self.embedding = Embedding.of(
            config, alphabet, pool="none" if self.labels.kind == "per-base" else pool, layers=self.config.layers,
            strand=self.config.strand or ("mean" if config.equivariant else "+"),
        )  # fmt: skip
        self.solver = self.config.classifier or ("ridge" if self.labels.kind == "regression" else "logistic")

    @property
    def what(self) -> str:
        """What was done to the model, in words."""
        layers = ", ".join(map(str, self.config.layers))
        pooled = "base by base" if self.embedding.pool == "none" else f"pool {self.embedding.pool}"
        return f"{self.solver} over frozen embeddings: {pooled}, layers {layers}, strand {self.embedding.strand}"

    def run(self, path: Path) -> list[Contender]:
        """Return what the probe and the baselines say of what tests."""
        members = path / "members"
        members.mkdir(exist_ok=True)
        features, seconds = self._embed(self.network, members / "embeddings.partial")
        found = [probe_answer(trial, features, self.solver, frozen=count_parameters(self.network),
                              seconds=seconds / len(self.trials.each)) for trial in self.trials.each]  # fmt: skip
        self.first = found[0][1]
        del features
        contenders = [Contender(name="probe", is_baseline=False, answers=[answer for answer, _ in found])]
        names, self.left_out = baselines_of(check_baselines(self.config.baselines), self.trials.data)
        if "random" in names and is_random(self.name):
            names.remove("random")
            self.left_out["random"] = "the model itself has weights that were drawn"
        for name in names:
            tell(f"baseline: {name}")
            answers = self._random(members) if name == "random" else baseline_answers(name, self.trials)
            contenders.append(Contender(name=name, is_baseline=True, answers=answers))
        return contenders

    def save(self, path: Path, emit: Callable[[str], None]) -> None:
        """Write the probe as a model with a head, where it is one."""
        if reason := self._why_not_saved():
            emit(f"{path}: the probe is not saved: {reason}")
            return
        model = _as_model(self.network.cpu(), self.first, self.trials.data, self.embedding)
        facts = {
            "objective": "labels", "base_model": self.name, "network_trained": False, "seed": self.trials.each[0].seed,
            "probe": self.solver, "strength": float(self.first.strength_),
        }  # fmt: skip
        save_classifier(path, model, facts)
        emit(f"{path}: the probe of {self.trials.each[0].name}, a head over the model, for genomamba predict")

    def _why_not_saved(self) -> str:
        last = self.network.config.num_layers
        if self.trials.folds:
            return "each fold has its own; without --folds it is"
        if self.solver not in _LINEAR:
            return f"{self.solver} is no head of weights; logistic and ridge are"
        if self.embedding.layers != (last,):
            return "a head reads the last layer alone; with --layers -1 it is"
        if self.embedding.strand not in ("+", "mean"):
            return f"a head does not read strand {self.embedding.strand}; with --strand + or mean it is"
        return ""

    def _load(self, seed: int | None) -> LanguageModel:
        """Load the network, or draw one of its shape."""
        network = load_network(
            self.name, revision=self.config.revision, alphabet=self.config.alphabet, random_weights=seed is not None,
            seed=seed or 0,
        )  # fmt: skip
        return network.to(self.device).eval()

    def _embed(self, network: LanguageModel, cache: Path) -> tuple[npt.NDArray[np.float32], float]:
        began = time.monotonic()
        config = self.config
        found = embed_labelled(network, self.trials.data, self.embedding, cache, chunk=config.chunk, spill=config.spill)
        return found, time.monotonic() - began

    def _random(self, members: Path) -> list[Answer]:
        """Return what the same probe says over the same network from weights that are drawn, once a seed."""
        held: dict[int, tuple[npt.NDArray[np.float32], float]] = {}
        answers = []
        for trial in self.trials.each:
            if trial.seed not in held:
                held = {trial.seed: self._embed(self._load(trial.seed), members / f"random-{trial.seed}.partial")}
            features, seconds = held[trial.seed]
            shared = seconds / (len(self.trials.each) if self.trials.folds else 1)
            frozen = count_parameters(self.network)
            answers.append(probe_answer(trial, features, self.solver, frozen=frozen, seconds=shared)[0])
        return answers


def _as_model(
    network: LanguageModel, probe: FeatureClassifier | FeatureRegressor, data: Labelled, embedding: Embedding
) -> SequenceModel:
    """Return a linear probe as a head over the network."""
    assert data.labels is not None
    pool: HeadPool = "mean" if embedding.pool == "none" else embedding.pool
    strand: HeadStrand = "given" if embedding.strand == "+" else "pooled"
    mean, scale = (probe.mean_, probe.scale_) if isinstance(probe, FeatureRegressor) else (0.0, 1.0)
    head = HeadConfig(
        kind=data.labels.kind, classes=data.labels.classes, pool=pool, strand=strand, mean=mean, scale=scale
    )
    with torch.random.fork_rng(devices=[]):
        model = sequence_model(network, head)
    weight, bias = linear_weights(probe)
    layer = model.head.output
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight).to(layer.weight))
        layer.bias.copy_(torch.from_numpy(bias).to(layer.bias))
    return model.eval()
