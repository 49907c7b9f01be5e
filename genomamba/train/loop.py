"""The training loop: steps, validations, checkpoints, and what is left at the end."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from genomamba.config import PretrainConfig
from genomamba.data.card import dataset_card
from genomamba.data.stream import make_loader
from genomamba.errors import RunError
from genomamba.metrics import bits_per_base, perplexity
from genomamba.model import count_parameters
from genomamba.model.checkpoint import load_model
from genomamba.report.page import write_report
from genomamba.train.compare import markov_table
from genomamba.train.evaluate import Scorer, total
from genomamba.train.log import MetricsLog, ProgressBar
from genomamba.train.objective import Batch, make_collate
from genomamba.train.optimizer import make_optimizer
from genomamba.train.plan import VALIDATIONS_A_RUN, Cost, Plan, make_plan, run_path
from genomamba.train.resume import (
    Progress,
    best_checkpoint,
    checkpoints,
    keep_last,
    load_checkpoint,
    save_checkpoint,
)
from genomamba.train.run_folder import RunFolder, check_free, environment_facts, now
from genomamba.train.schedule import learning_rate
from genomamba.train.signals import Signals
from genomamba.train.step import backward

__all__ = ["Trainer", "pretrain"]

METRICS_ROWS = 4_000


class _AskedToLeaveError(Exception):
    """A signal came while the finished run was being evaluated."""


class Trainer:
    """Trains the model of a plan and writes metrics and checkpoints into a run folder.

    Parameters
    ----------
    plan : Plan
        The run.
    folder : RunFolder
        Where it is written; where it holds checkpoints, the newest is gone on from.
    cost : Cost
        What a step takes, to space validations and rows of metrics.
    signals : Signals
        Asked after every step.
    """

    def __init__(self, plan: Plan, folder: RunFolder, cost: Cost, signals: Signals) -> None:
        self.plan, self.folder, self.signals = plan, folder, signals
        config = plan.config
        self.optimizer = make_optimizer(plan.model, config.weight_decay)
        self.collate = make_collate(config.objective, config.alphabet, config.seed)
        self.scorer = make_scorer(plan)
        self.progress = Progress()
        if found := checkpoints(folder.path):
            self.progress = load_checkpoint(found[-1], plan.model, self.optimizer)
        self.metrics = MetricsLog(folder.path, self.progress.step)
        steps = plan.expected_steps(cost)
        self.valid_every = config.valid_every or max(1, steps // VALIDATIONS_A_RUN)
        self.checkpoint_every = config.checkpoint_every or self.valid_every
        self.row_every = max(1, steps // METRICS_ROWS)
        self.valid_bits = self.progress.best_bits
        self._saved_step = self._validated_step = self.progress.step if found else -1
        self._session_start = time.monotonic() - self.progress.elapsed_s

    @property
    def share_done(self) -> float:
        """Share of the run that is done, 0 to 1."""
        progress = self.progress
        return self.plan.limits.progress(
            steps=progress.step, tokens=progress.consumed_samples * self.plan.context, elapsed_s=progress.elapsed_s
        )

    def train(self) -> bool:
        """Train until a limit is reached, then return True; False where a signal asked to leave."""
        plan, progress = self.plan, self.progress
        assert plan.config.workers is not None
        batches = make_loader(
            plan.stream,
            first=progress.consumed_samples,
            batch_size=plan.samples_per_step,
            collate=self.collate,
            workers=plan.config.workers,
        )
        last_row = time.monotonic()
        with ProgressBar(self.share_done) as bar:
            while self.share_done < 1:
                loss, norm, rate = self._step(next(batches))
                if progress.step % self.row_every == 0:
                    elapsed, last_row = time.monotonic() - last_row, time.monotonic()
                    speed = self.row_every * plan.tokens_per_step / elapsed
                    self._write_row("train", loss, learning_rate=rate, gradient_norm=norm, bases_per_s=speed)
                    bar.update(
                        self.share_done, bases_per_s=speed, bits=bits_per_base(loss, 1), valid_bits=self.valid_bits
                    )
                self._after_step()
                if self.signals.leave:
                    self.checkpoint()
                    return False
            if self._validated_step != progress.step:
                self.validate()
            self.checkpoint()
        return True

    def validate(self) -> None:
        """Score the validation part, and remember the step where it is the best so far."""
        plan = self.plan
        self._validated_step = self.progress.step
        if not plan.split.valid:
            return
        scored = total(self.scorer(plan.model, plan.split.valid, max_bases=plan.config.valid_bases))
        if not scored.bases:
            return
        loss = scored.nats / scored.bases
        self.valid_bits = bits_per_base(scored.nats, scored.bases)
        self._tick()
        self._write_row("valid", loss)
        if self.progress.best_bits is None or self.valid_bits < self.progress.best_bits:
            self.progress.best_bits, self.progress.best_step = self.valid_bits, self.progress.step
            self.checkpoint()

    def checkpoint(self) -> None:
        """Write a checkpoint of the present step, unless there is one, and remove those that are no longer kept."""
        self._tick()
        run = self.folder.path
        if self._saved_step != self.progress.step:
            save_checkpoint(run, self.plan.model, self.optimizer, self.progress, self.plan.training_facts())
            self._saved_step = self.progress.step
        keep_last(run, self.plan.config.keep, self.progress)

    def _step(self, batch: Batch) -> tuple[float, float, float]:
        plan, config, progress = self.plan, self.plan.config, self.progress
        ahead = plan.limits.progress(
            steps=progress.step + 1,
            tokens=(progress.consumed_samples + plan.samples_per_step) * plan.context,
            elapsed_s=progress.elapsed_s,
        )
        rate = learning_rate(ahead, peak=config.learning_rate, warmup=config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        assert config.batch_size is not None
        loss = float(backward(plan.model, batch.to(plan.device), config.batch_size, plan.precision))
        norm = float(nn.utils.clip_grad_norm_(plan.model.parameters(), config.clip))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise RunError(self._not_finite(loss, norm, batch))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        progress.consumed_samples += plan.samples_per_step
        progress.bases += int(torch.count_nonzero(batch.weights))
        self._tick()
        return loss, norm, rate

    def _after_step(self) -> None:
        step = self.progress.step
        if step % self.valid_every == 0:
            self.validate()
        if step % self.checkpoint_every == 0 or self.signals.take_checkpoint():
            self.checkpoint()

    def _not_finite(self, loss: float, norm: float, batch: Batch) -> str:
        last = batch.first + self.plan.samples_per_step - 1
        places = {str(self.plan.stream[i].interval) for i in range(batch.first, last + 1)}
        good = checkpoints(self.folder.path)
        advice = f"last good checkpoint: {good[-1]}" if good else "there is no checkpoint yet"
        return (
            f"step {self.progress.step + 1}: loss {loss}, gradient norm {norm} on samples {batch.first} to {last} "
            f"({', '.join(sorted(places)[:4])}{', ...' if len(places) > 4 else ''}); {advice}; "
            "try a lower --learning-rate"
        )

    def _tick(self) -> None:
        self.progress.elapsed_s = time.monotonic() - self._session_start

    def _write_row(self, kind: str, loss: float, **values: float) -> None:
        self.metrics.write(
            kind=kind,
            step=self.progress.step,
            bases=self.progress.bases,
            time_s=round(self.progress.elapsed_s, 3),
            loss=loss,
            bits_per_base=bits_per_base(loss, 1),
            perplexity=perplexity(loss, 1),
            **values,
        )


def pretrain(config: PretrainConfig, *, command: str, emit: Callable[[str], None]) -> int:
    """Run `genomamba pretrain`: plan, train, evaluate, report.

    Parameters
    ----------
    config : PretrainConfig
        As the user gave it.
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
    if not config.dry_run:
        # Before a large genome is read for minutes.
        check_free(run_path(config), resume=config.resume, force=config.force)
    plan = make_plan(config)
    cost = plan.measure()
    emit(plan.describe(cost))
    if config.dry_run:
        return 0
    folder = RunFolder(run_path(config), resume=config.resume, force=config.force)
    folder.write_config(plan.config)
    folder.write_json("dataset.json", dataset_card(plan.genome, plan.split, plan.genome.alphabet, plan.context))
    folder.write_facts(
        **environment_facts(),
        command=command,
        started=now(),
        status="running",
        finished=None,
        threads=plan.threads,
        device=str(plan.device),
        precision=str(plan.precision).removeprefix("torch."),
        parameters=count_parameters(plan.model),
        preset=plan.config.preset,
        inputs=plan.genome.inputs,
    )
    with Signals() as signals:
        trainer: Trainer | None = None
        status = "failed"
        try:
            trainer = Trainer(plan, folder, cost, signals)
            if trainer.train():
                _finish(trainer, emit)
                status = "finished"
            else:
                status = "stopped"
                emit(f"stopped at step {trainer.progress.step:,}; --resume --out {folder.path} goes on from there")
        except _AskedToLeaveError:
            status = "stopped"
            emit(f"trained to the end, not evaluated; --resume --out {folder.path} does the rest")
        finally:
            done = trainer.progress if trainer is not None else Progress()
            folder.write_facts(
                status=status, finished=now(), steps=done.step, bases=done.bases, elapsed_s=round(done.elapsed_s, 1)
            )
        report = write_report(folder.path)
    emit(f"report: {report}")
    return signals.exit_code if status == "stopped" else 0


def make_scorer(plan: Plan) -> Scorer:
    """Return the scorer of held-out bases for a plan."""
    assert plan.config.batch_size is not None
    return Scorer(
        genome=plan.genome,
        objective=plan.config.objective,
        context=plan.context,
        batch_size=plan.config.batch_size,
        seed=plan.config.seed,
    )


def _finish(trainer: Trainer, emit: Callable[[str], None]) -> None:
    def leave_if_asked(share_done: float) -> None:
        if trainer.signals.leave:
            raise _AskedToLeaveError

    plan, run = trainer.plan, trainer.folder.path
    best = best_checkpoint(run, trainer.progress) or checkpoints(run)[-1]
    for name in ("model.safetensors", "config.json"):
        shutil.copyfile(best / name, run / name)
    model = load_model(run, plan.device)
    evaluation: dict[str, Any] = {
        "objective": plan.config.objective,
        "strand": plan.config.strand,
        "context": plan.context,
        "checkpoint_step": int(best.name.removeprefix("step-")),
        "splits": {},
        "markov": markov_table(plan.genome, plan.split),
    }
    for name, part in (("valid", plan.split.valid), ("test", plan.split.test)):
        scored = trainer.scorer(model, part, after_batch=leave_if_asked)
        scored = {contig: one for contig, one in scored.items() if one.bases}
        if scored:
            whole = total(scored)
            by_contig = {
                contig: {"bases": one.bases, "bits_per_base": bits_per_base(one.nats, one.bases)}
                for contig, one in scored.items()
            }
            evaluation["splits"][name] = {
                "bases": whole.bases,
                "bits_per_base": bits_per_base(whole.nats, whole.bases),
                "perplexity": perplexity(whole.nats, whole.bases),
                "by_contig": by_contig,
            }
    trainer.folder.write_json("evaluation.json", evaluation)
    emit(describe_evaluation(evaluation))


def describe_evaluation(evaluation: dict[str, Any]) -> str:
    """The held-out figures as a small table."""
    splits = [(name, evaluation["splits"][name]) for name in ("valid", "test") if name in evaluation["splits"]]
    if evaluation["objective"] == "masked":
        return "\n".join(
            f"{name}: {split['bits_per_base']:.4f} bits per masked base, over {split['bases']:,} masked bases; "
            "both sides are read, so no next-base figure compares with it"
            for name, split in splits
        )
    best = evaluation["markov"]["best_order"]
    orders = {row["order"]: row for row in evaluation["markov"]["orders"]}
    header = f"bits per base {'bases':>14} {'genomamba':>11} {f'Markov order {best}':>17} {'order 0':>9}"
    lines = [f"{header} {'perplexity':>12}"]
    lines += [
        f"{name:<13} {split['bases']:>14,} {split['bits_per_base']:>11.4f} {orders[best][name]:>17.4f} "
        f"{orders[0][name]:>9.4f} {split['perplexity']:>12.4f}"
        for name, split in splits
    ]
    return "\n".join(lines)
