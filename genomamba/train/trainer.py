"""Steps, validations and checkpoints of one run."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn

from genomamba.data.stream import make_loader
from genomamba.errors import RunError
from genomamba.metrics import bits_per_base, perplexity
from genomamba.model.state import MambaState
from genomamba.train.evaluate import Scorer, total
from genomamba.train.log import MetricsLog, ProgressBar, tell
from genomamba.train.objective import Batch, Collate, PartOfEach, make_collate
from genomamba.train.optimizer import make_optimizer
from genomamba.train.pace import Pace
from genomamba.train.parts import parts_in_words, parts_of
from genomamba.train.plan import Cost, Plan
from genomamba.train.resume import (
    Progress,
    begin_together,
    checkpoints,
    keep_last,
    load_checkpoint,
    save_checkpoint,
    save_progress,
    set_aside,
)
from genomamba.train.run_folder import RunFolder
from genomamba.train.schedule import learning_rate
from genomamba.train.signals import SharedSignals, Signals
from genomamba.train.step import backward

__all__ = ["Trainer"]

METRICS_ROWS = 4_000


class _Taken(NamedTuple):
    """A step whose numbers may still be on their way: its number, its samples, mean loss and norm of the gradient."""

    step: int
    first: int
    samples: int
    loss: Tensor
    norm: Tensor


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
        self.plan, self.folder = plan, folder
        config = plan.config
        self.optimizer = make_optimizer(plan.model, config.weight_decay)
        self.collate: Collate = make_collate(config.objective, plan.model.config.alphabet, config.seed)
        if plan.ranks.context > 1:
            self.collate = PartOfEach(self.collate, plan.ranks.context_rank, plan.ranks.context)
        self.scorer = _make_scorer(plan)
        self.progress, self.lanes = Progress(), plan.new_lanes()
        if found := checkpoints(folder.path):
            self.progress, carried = load_checkpoint(found[-1], plan.model, self.optimizer)
            self.lanes = plan.ranks.lanes_of(carried) if carried else self.lanes
        begin_together(plan.ranks, folder.path, plan.model, self.progress)
        self.metrics: MetricsLog | None = None
        if plan.ranks.is_first:
            self.metrics = MetricsLog(folder.path, self.progress.step, tensorboard=config.tensorboard)
        self.signals = SharedSignals(signals, plan.ranks)
        self.pace = Pace.of(plan)
        steps = plan.expected_steps(cost)
        self.valid_every = plan.valid_every(cost)
        self.checkpoint_every = plan.checkpoint_every(cost)
        self.row_every = max(1, steps // METRICS_ROWS)
        self.valid_bits = self.progress.best_bits
        self._saved_step = self.progress.step if found else -1
        # A GPU has to be waited for.
        self.read_every = 1 if plan.device.type == "cpu" else self.row_every
        self._unread: list[_Taken] = []
        self._said = (math.nan, math.nan)
        self._session_start = time.monotonic() - self.progress.elapsed_s
        self._paused_s = 0.0

    @property
    def share_done(self) -> float:
        """Share of the run that is done, 0 to 1."""
        progress = self.progress
        return self.plan.limits.progress(
            steps=progress.step, tokens=self.plan.stages.tokens(progress.step), elapsed_s=progress.elapsed_s
        )

    def train(self) -> bool:
        """Train until a limit is reached, then return True; False where a signal asked to leave."""
        plan, progress = self.plan, self.progress
        assert plan.config.workers is not None
        batches = make_loader(
            plan.stream,
            first=progress.consumed_samples,
            batch_size=plan.stages.batch_sizes(progress.step),
            collate=self.collate,
            workers=plan.config.workers,
            pin=plan.device.type == "cuda",
            share=(plan.ranks.data_rank, plan.ranks.data),
        )
        last_row, last_tokens = time.monotonic(), plan.stages.tokens(progress.step)
        with ProgressBar(self.share_done, shown=plan.ranks.is_first) as bar:
            while self.share_done < 1:
                loss, norm, rate = self._step(next(batches))
                if progress.step % self.row_every == 0:
                    elapsed, last_row = time.monotonic() - last_row, time.monotonic()
                    tokens = plan.stages.tokens(progress.step)
                    speed, last_tokens = (tokens - last_tokens) / elapsed, tokens
                    pace = {"bases_per_s": speed, "peak_share": self.pace.share(speed)}
                    self._write_row("train", loss, learning_rate=rate, gradient_norm=norm, **pace)
                    bar.update(self.share_done, bits=bits_per_base(loss, 1), valid_bits=self.valid_bits, **pace)
                self._after_step()
                # The speed is that of training alone.
                last_row += self._paused_s
                if self.signals.leave:
                    self.checkpoint()
                    return False
            if progress.validated_step != progress.step:
                self.validate()
            self.checkpoint()
        return True

    def validate(self) -> None:
        """Score the validation part, and remember the step where it is the best so far."""
        self._read()
        plan = self.plan
        self.progress.validated_step = self.progress.step
        if not plan.split.valid:
            return
        by_contig = self.scorer(plan.model, plan.split.valid, max_bases=plan.config.valid_bases)
        scored = total(by_contig)
        if not scored.bases:
            return
        loss = scored.nats / scored.bases
        if not math.isfinite(loss):
            step = self.progress.step
            with plan.ranks.agree():
                raise RunError(f"step {step}: validation loss {loss}; {self._advice(step)}")
        self.valid_bits = bits_per_base(scored.nats, scored.bases)
        self._tick()
        self._write_row("valid", loss)
        is_mixture = len(plan.corpus.members) > 1
        for genome, name, part in parts_of(by_contig, is_mixture=is_mixture):
            of = {"genome": genome or None, "class": name or None, "scored": part.bases}
            self._write_row("valid_part", part.nats / part.bases, **of)
        done, elapsed_s = self.share_done, self.progress.elapsed_s
        left = f", {elapsed_s * (1 / done - 1):,.0f} s left" if done else ""
        tell(
            f"step {self.progress.step:,}, {done:.0%} done after {elapsed_s:,.0f} s{left}: {self.valid_bits:.4f} bits "
            f"per held-out base{parts_in_words(by_contig, is_mixture=is_mixture)}"
        )
        if self.progress.best_bits is None or self.valid_bits < self.progress.best_bits:
            self.progress.best_bits, self.progress.best_step = self.valid_bits, self.progress.step
            self.checkpoint()

    def checkpoint(self) -> None:
        """Write a checkpoint of the present step, and remove those that are no longer kept: the first rank does."""
        self._read()
        self._tick()
        lanes = None if self.lanes is None else self.plan.ranks.all_lanes(self.lanes)
        with self.plan.ranks.agree():
            if self.plan.ranks.is_first:
                self._write_checkpoint(lanes)
        self._saved_step = self.progress.step

    def _write_checkpoint(self, lanes: MambaState | None) -> None:
        run = self.folder.path
        if self._saved_step == self.progress.step:
            save_progress(run, self.progress)
        else:
            facts = self.plan.training_facts()
            save_checkpoint(run, self.plan.model, self.optimizer, self.progress, facts, lanes)
        keep_last(run, self.plan.config.keep, self.progress)

    def _step(self, batch: Batch) -> tuple[float, float, float]:
        """Take a step; return loss and norm of the gradient, as `_read` last had them, and the learning rate."""
        plan, config, progress = self.plan, self.plan.config, self.progress
        stage = plan.stages.at(progress.step)
        ahead = plan.limits.progress(
            steps=progress.step + 1,
            tokens=plan.stages.tokens(progress.step + 1),
            elapsed_s=progress.elapsed_s,
        )
        rate = learning_rate(ahead, peak=stage.rate, warmup=config.warmup, floor=config.final_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # Counted here: a GPU would have to be waited for.
        bases = int(torch.count_nonzero(batch.targets != plan.genome.alphabet.unknown))
        batch = batch.to(plan.device)
        states = None if self.lanes is None else self.lanes.restart(batch.begins)
        summed, self.lanes = backward(
            plan.model, batch, plan.own_windows(stage), plan.precision, states=states, ranks=plan.ranks
        )
        plan.ranks.sum_gradients(plan.model)
        loss = plan.ranks.sum(summed)
        norm = nn.utils.clip_grad_norm_(plan.model.parameters(), config.clip)
        samples = stage.windows * plan.stages.accumulate
        self._unread.append(_Taken(progress.step + 1, progress.consumed_samples, samples, loss, norm))
        if (progress.step + 1) % self.read_every == 0:
            self._read()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        progress.consumed_samples += samples
        self._tick(bases)
        return *self._said, rate

    def _read(self) -> None:
        """Take loss and gradient norm of the steps since the last call; `RunError` for the first that is not finite.

        Every `read_every` steps, and before validations and checkpoints: nothing is written of weights that a step has
        spoilt meanwhile.
        """
        if not self._unread:
            return
        taken, self._unread = self._unread, []
        numbers = torch.stack([one.double() for step in taken for one in (step.loss, step.norm)]).tolist()
        for step, loss, norm in zip(taken, numbers[::2], numbers[1::2], strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                with self.plan.ranks.agree():
                    raise RunError(self._not_finite(step, loss, norm))
            self._said = (loss, norm)

    def _after_step(self) -> None:
        step = self.progress.step
        validates = step % self.valid_every == 0
        saves = step % self.checkpoint_every == 0 or self.signals.take_checkpoint()
        if validates or saves:
            # Steps that a device has not done yet are no part of the pause.
            self._read()
        start = time.monotonic()
        if validates:
            self.validate()
        if saves:
            self.checkpoint()
        self._paused_s = time.monotonic() - start

    def _not_finite(self, taken: _Taken, loss: float, norm: float) -> str:
        last = taken.first + taken.samples - 1
        places = {str(self.plan.stream[i].interval) for i in range(taken.first, last + 1)}
        return (
            f"step {taken.step}: loss {loss}, gradient norm {norm} on samples {taken.first} to {last} "
            f"({', '.join(sorted(places)[:4])}{', ...' if len(places) > 4 else ''}); {self._advice(taken.step - 1)}"
        )

    def _advice(self, step: int) -> str:
        """Say from where to go on. The weights after `step` steps have just been shown to be bad."""
        if self.plan.ranks.is_first:
            set_aside(self.folder.path, step)
        good = checkpoints(self.folder.path)
        from_where = f"last good checkpoint: {good[-1]}" if good else "there is no good checkpoint"
        return f"{from_where}; start again with a lower --learning-rate"

    def _tick(self, bases: int = 0) -> None:
        """Take the time of the first rank's clock, add the bases that all have read, and see who was asked to leave."""
        told = self.plan.ranks.gather(time.monotonic() - self._session_start, bases, *self.signals.own())
        self.progress.elapsed_s = told[0][0]
        self.progress.bases += int(sum(one[1] for one in told))
        self.signals.take([one[2:] for one in told])

    def _write_row(self, kind: str, loss: float, **values: float | str | None) -> None:
        if self.metrics is None:
            return
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


def _make_scorer(plan: Plan) -> Scorer:
    """Return the scorer of held-out bases for a plan."""
    return Scorer(
        genome=plan.genome,
        objective=plan.config.objective,
        context=plan.context,
        # A rank alone runs whole windows, and no more positions at once than in training, or one window.
        batch_size=max(1, plan.own_windows(plan.stages.last) // plan.ranks.context),
        seed=plan.config.seed,
        species=plan.corpus.species,
        classes=plan.corpus.classes,
        ranks=plan.ranks,
    )
