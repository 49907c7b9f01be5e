"""Training of a head, with or without the network under it, on labelled sequences."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from genomamba.classify.classifier_files import load_classifier, save_classifier
from genomamba.classify.examples import PASS_BASES, ClassWeight, Examples, Order, passes_of
from genomamba.classify.heads import SequenceModel
from genomamba.classify.losses import label_losses, to_targets
from genomamba.errors import ConfigError, RunError
from genomamba.files import atomic_folder
from genomamba.train.estimate import bytes_per_token
from genomamba.train.log import MetricsLog
from genomamba.train.optimizer import make_optimizer
from genomamba.train.resume import (
    Progress,
    best_checkpoint,
    checkpoint_folder,
    checkpoints,
    keep_last,
    read_state,
    save_progress,
    write_state,
)
from genomamba.train.schedule import learning_rate

__all__ = ["Fit", "FitSettings", "Fitted", "LeaveSignal"]

Int64Array = npt.NDArray[np.int64]

_log = logging.getLogger("genomamba")

_KEPT: Final = 1
_PASS_BYTES: Final = 2 << 30
"""What a pass of training keeps for its way back, at most, but for that of a single sequence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FitSettings:
    """How a head is trained."""

    freeze: bool = False
    """Train the head alone; what it reads is computed once."""
    augment: bool = False
    """Read each sample along a strand that is drawn for it."""
    epochs: int = 20
    """Most passes over the training part."""
    batch_size: int = 32
    """Sequences a step."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    weight_decay: float = 0.01
    """AdamW's decay; not on norms and biases."""
    warmup: float = 0.1
    """Share of the passes over which the learning rate rises."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    class_weight: ClassWeight = "none"
    """balanced: each class counts the same, however rare it is."""
    patience: int = 5
    """Passes without a better validation after which training stops."""
    seed: int = 0
    """Of the head's weights, the order, the strands and what is dropped."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "clip", "patience"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"is {value}; it must be above 0", option=name)
        if not 0 <= self.weight_decay < math.inf:
            raise ConfigError(f"is {self.weight_decay}; it must be 0 or more", option="weight_decay")
        if not 0 <= self.warmup <= 1:
            raise ConfigError(f"is {self.warmup}; it must lie between 0 and 1", option="warmup")
        if self.class_weight not in ("none", "balanced"):
            raise ConfigError(f"is {self.class_weight!r}; it must be none or balanced", option="class_weight")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """What became of a training.

    Attributes
    ----------
    steps, epochs : int
        That were made; whole epochs.
    best_step : int or None
        Step whose weights were kept, by the validation; None where there was no validation part.
    valid_loss : float or None
        Loss there.
    seconds : float
    is_whole : bool
        False where a signal ended it.
    """

    steps: int
    epochs: int
    best_step: int | None
    valid_loss: float | None
    seconds: float
    is_whole: bool


class LeaveSignal(Protocol):
    """Says whether somebody has asked to leave; `genomamba.train.signals.Signals` does."""

    @property
    def leave(self) -> Any:
        """What asked, or None."""
        ...


class Fit:
    """One training.

    Parameters
    ----------
    model : SequenceModel
        Trained in place; its head's weights are drawn anew.
    examples : Examples
    train, valid : (rows,), int64
        Rows that learn, and those that say when to stop; without any of these the last weights are taken.
    settings : FitSettings
    run : Path, optional
        Folder for checkpoints and metrics; where it holds a checkpoint, the training goes on from there.
    facts : mapping
        How the model was made, for the checkpoints.
    signals : LeaveSignal, optional
        Asked after every step.
    after_step : callable, optional
        Called with the number of sequences that were learnt from.
    """

    def __init__(
        self,
        model: SequenceModel,
        examples: Examples,
        train: Int64Array,
        valid: Int64Array,
        settings: FitSettings,
        *,
        run: Path | None = None,
        facts: dict[str, Any] | None = None,
        signals: LeaveSignal | None = None,
        after_step: Callable[[int], None] | None = None,
    ) -> None:
        self.model, self.examples, self.train_rows, self.valid_rows = model, examples, train, valid
        self.device = model.network.embedding.weight.device
        self.settings, self.run_folder, self.signals = settings, run, signals
        self.facts, self.after_step = facts or {}, after_step
        if settings.augment and model.config.strand != "both":
            raise ConfigError("strands are drawn for a head that reads both in prediction; give strand both")
        model.network.requires_grad_(not settings.freeze)
        self.order = Order(len(train), settings.seed)
        self.steps_an_epoch = -(-len(train) // settings.batch_size)
        weights = examples.class_weights(train, settings.class_weight)
        self.class_weights = None if weights is None else weights.to(self.device)
        self.optimizer = make_optimizer(model, settings.weight_decay)
        self.progress = Progress()
        self._features: Tensor | None = None
        self._best_state: dict[str, Tensor] | None = None

    def fit(self) -> Fitted:
        """Train, and leave the best weights in the model, in evaluation mode."""
        # What torch draws is drawn from the seed, and what others draw after it is as if nothing had been.
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.settings.seed)
            # By the CPU's generator, so that every device begins with the same weights.
            for module in self.model.head.cpu().modules():
                if isinstance(module, nn.Linear):
                    module.reset_parameters()
            self.model.head.to(self.device)
            self._go_on()
            if self.settings.freeze:
                self._compute_features()
            is_whole = self._train()
        if self._best_state is not None and is_whole:
            self._load(self._best_state)
        self.model.eval()
        done = self.progress
        return Fitted(
            steps=done.step,
            epochs=done.step // self.steps_an_epoch,
            best_step=done.best_step,
            valid_loss=done.best_bits,
            seconds=done.elapsed_s,
            is_whole=is_whole,
        )

    def loss(self, rows: Int64Array) -> float:
        """Return the mean loss of some rows, by their weights, in evaluation mode; classes count as they are."""
        self.model.eval()
        lost = counted = 0.0
        with torch.no_grad():
            for part in self._passes(rows):
                logits = self._logits(rows[part], None)
                losses, _ = label_losses(self.model.config, logits, self._targets(rows[part]), None)
                counts = self._here(self.examples.counts(rows[part]))
                lost, counted = lost + float(losses.double() @ counts.double()), counted + float(counts.sum())
        return lost / max(counted, 1e-9)

    @property
    def _is_over(self) -> bool:
        done, settings = self.progress, self.settings
        if done.step >= settings.epochs * self.steps_an_epoch:
            return True
        since = done.step - (done.best_step or done.step)
        return since >= settings.patience * self.steps_an_epoch

    def _go_on(self) -> None:
        """Take up the newest checkpoint, and the best weights so far, where there are any."""
        found = [] if self.run_folder is None else checkpoints(self.run_folder)
        self._metrics = None
        if self.run_folder is not None:
            self.run_folder.mkdir(parents=True, exist_ok=True)
            self._metrics = MetricsLog(self.run_folder, _step_of(found[-1]) if found else 0)
        if found:
            assert self.run_folder is not None
            self._fill(found[-1])
            self.progress, _ = read_state(found[-1], self.model, self.optimizer)
            _log.info("%s: going on from step %s", self.run_folder, f"{self.progress.step:,}")
            if (best := best_checkpoint(self.run_folder, self.progress)) is not None:
                # To build a head draws its weights, which what was read of the generator is not to know of.
                with torch.random.fork_rng(devices=[]):
                    self._best_state = self._of_trained(load_classifier(best))
        self._began = time.monotonic() - self.progress.elapsed_s
        self._saved = self.progress.step if found else -1

    def _train(self) -> bool:
        """Train to the end and return True; False where a signal asked to leave."""
        while not self._is_over:
            self._step()
            if self.progress.step % self.steps_an_epoch == 0:
                self._after_epoch()
            if self.signals is not None and self.signals.leave:
                self._checkpoint()
                return False
        return True

    def _step(self) -> None:
        settings, done = self.settings, self.progress
        first, last = done.consumed_samples, done.consumed_samples + settings.batch_size
        # The last step of an epoch takes what is left of it.
        last = min(last, (first // self.order.count + 1) * self.order.count)
        rows = self.train_rows[self.order.places(first, last)]
        flips = self.order.flips(first, last) if settings.augment else None
        share = (done.step + 1) / (settings.epochs * self.steps_an_epoch)
        rate = learning_rate(share, peak=settings.learning_rate, warmup=settings.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        loss = self._backward(rows, flips)
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise RunError(
                f"step {done.step + 1}: loss {loss}, gradient norm {norm}; take a lower learning rate than "
                f"{settings.learning_rate:g}"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        done.step += 1
        done.consumed_samples = last
        done.bases += int(self.examples.sequences.lengths[rows].sum())
        self._write("train", loss, learning_rate=rate, gradient_norm=norm)
        if self.after_step is not None:
            self.after_step(len(rows))

    def _backward(self, rows: Int64Array, flips: npt.NDArray[np.bool_] | None) -> float:
        """Add the gradient of the mean loss over a batch, pass by pass, and return the loss."""
        counts = self._here(self.examples.counts(rows))
        targets, config = self._targets(rows), self.model.config
        if self.class_weights is not None and config.kind != "multi":
            counts = counts * self.class_weights[targets]
        total = counts.sum().clamp(min=1e-6)
        # Of bases, several a sequence.
        units = self.examples.sequences.lengths[rows] if self.examples.is_per_base else np.ones(len(rows), np.int64)
        borders = np.concatenate([[0], units.cumsum()])
        loss = 0.0
        for part in self._passes(rows, trains=not self.settings.freeze):
            labels = slice(int(borders[part.start]), int(borders[part.stop]))
            logits = self._logits(rows[part], None if flips is None else flips[part])
            weights = self.class_weights if config.kind == "multi" else None
            losses, _ = label_losses(config, logits, targets[labels], weights)
            one = (losses * counts[labels]).sum() / total
            one.backward()
            loss += float(one.detach())
        return loss

    def _logits(self, rows: Int64Array, flips: npt.NDArray[np.bool_] | None) -> Tensor:
        model = self.model
        if self._features is None:
            tokens, lengths = (x.to(self.device) for x in self.examples.tokens(rows))
            if flips is None:
                logits: Tensor = model(tokens, lengths)
            else:
                logits = model.head(model.features_of_one(tokens, lengths, self._here(flips)))
            return logits
        places = self._places[self.examples.bases(rows) if self.examples.is_per_base else rows]
        features = self._features[:, self._here(places)]
        if flips is None:
            return model.logits_of(features)
        strands = flips.repeat(self.examples.sequences.lengths[rows]) if self.examples.is_per_base else flips
        drawn = features[self._here(strands.astype(np.int64)), torch.arange(len(strands), device=self.device)]
        of_drawn: Tensor = model.head(drawn)
        return of_drawn

    @torch.no_grad()
    def _compute_features(self) -> None:
        """Run the network once over all that learns or judges; `_places` says where what belongs to a label lies."""
        self.model.eval()
        rows = np.concatenate([self.train_rows, self.valid_rows])
        given = (self.examples.tokens(rows[part]) for part in self._passes(rows))
        found = [self.model.features(tokens.to(self.device), lengths.to(self.device)) for tokens, lengths in given]
        labels = self.examples.bases(rows) if self.examples.is_per_base else rows
        size = self.examples.sequences.symbols.size if self.examples.is_per_base else len(self.examples)
        self._places = np.full(size, -1, np.int64)
        self._places[labels] = np.arange(labels.size)
        self._features = torch.cat(found, dim=1)

    def _after_epoch(self) -> None:
        done = self.progress
        if len(self.valid_rows):
            loss = self.loss(self.valid_rows)
            done.validated_step = done.step
            if not math.isfinite(loss):
                raise RunError(f"step {done.step}: validation loss {loss}; take a lower learning rate")
            self._write("valid", loss)
            if done.best_bits is None or loss < done.best_bits:
                done.best_bits, done.best_step = loss, done.step
                self._best_state = copy.deepcopy(self._of_trained(self.model))
        self._checkpoint()

    def _checkpoint(self) -> None:
        self.progress.elapsed_s = time.monotonic() - self._began
        if self.run_folder is None:
            return
        if self._saved == self.progress.step:
            save_progress(self.run_folder, self.progress)
        else:
            with atomic_folder(checkpoint_folder(self.run_folder, self.progress.step)) as temporary:
                save_classifier(temporary, self.model, self.facts)
                write_state(temporary, self.model, self.optimizer, self.progress)
            self._saved = self.progress.step
        keep_last(self.run_folder, _KEPT, self.progress)

    def _fill(self, folder: Path) -> None:
        stored = load_classifier(folder)
        if stored.config != self.model.config or stored.model_config != self.model.model_config:
            raise RunError(f"{folder}: holds a model of another shape; go on with the settings it was started with")
        self._load(self._of_trained(stored))

    def _of_trained(self, model: SequenceModel) -> dict[str, Tensor]:
        """Return the weights that training changes."""
        part: nn.Module = model.head if self.settings.freeze else model
        return part.state_dict()

    def _load(self, state: dict[str, Tensor]) -> None:
        part: nn.Module = self.model.head if self.settings.freeze else self.model
        part.load_state_dict(state)

    def _passes(self, rows: Int64Array, *, trains: bool = False) -> Iterator[slice]:
        is_one = self.model.config.strand == "given" or (trains and self.settings.augment)
        strands, most = 1 if is_one else 2, PASS_BASES
        if trains:
            # Each strand is a run of the plain network.
            network = dataclasses.replace(self.model.model_config, equivariant=False)
            each = bytes_per_token(network, self.model.network.embedding.weight.dtype, 0)
            most = min(most, int(_PASS_BYTES / each))
        return passes_of(self.examples.sequences.lengths[rows], strands=strands, bases=most)

    def _targets(self, rows: Int64Array) -> Tensor:
        return to_targets(self.model.config, self.examples.targets(rows)).to(self.device)

    def _here(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _write(self, kind: str, loss: float, **values: float) -> None:
        if self._metrics is not None:
            elapsed = round(time.monotonic() - self._began, 3)
            self._metrics.write(
                kind=kind, step=self.progress.step, bases=self.progress.bases, time_s=elapsed, loss=loss, **values
            )


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
