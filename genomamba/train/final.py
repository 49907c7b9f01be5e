"""The end of a run: its best weights scored on what was held out, beside Markov models."""

from __future__ import annotations

import shutil
from typing import Any

from tqdm import tqdm

from genomamba.files import atomic_file
from genomamba.model.checkpoint import load_model
from genomamba.report.run_files import read_run
from genomamba.report.words import figure, interval, verdict
from genomamba.train.compare import markov_table
from genomamba.train.log import BAR_FORMAT, tell
from genomamba.train.parts import figures_of
from genomamba.train.resume import best_checkpoint, checkpoints
from genomamba.train.trainer import Trainer

__all__ = ["AskedToLeaveError", "describe_evaluation", "score_held_out"]


class AskedToLeaveError(Exception):
    """A signal came while the finished run was being scored."""


def score_held_out(trainer: Trainer) -> str:
    """Score what is held out with the best weights, write model and evaluation.json, and return table and verdict.

    All ranks score; the rest the first one does, and the others do not wait for it.
    """

    def leave_if_asked() -> None:
        trainer.signals.share()
        if trainer.signals.leave:
            raise AskedToLeaveError

    plan, run = trainer.plan, trainer.folder.path
    best = best_checkpoint(run, trainer.progress) or checkpoints(run)[-1]
    with plan.ranks.agree():
        if plan.ranks.is_first:
            for name in ("model.safetensors", "config.json"):
                with atomic_file(run / name) as temporary:
                    shutil.copyfile(best / name, temporary)
    model = load_model(best, device=plan.device)
    model.set_recompute(plan.config.recompute)
    evaluation: dict[str, Any] = {
        "objective": plan.config.objective,
        "alphabet": plan.config.alphabet,
        "strand": plan.config.strand,
        "context": plan.context,
        "checkpoint_step": int(best.name.removeprefix("step-")),
        "splits": {},
    }
    hidden = None if plan.ranks.is_first else True
    for name, part in (("valid", plan.split.valid), ("test", plan.split.test)):
        tell(f"scoring {sum(map(len, part)):,} {name} bases with the weights of {best.name}")
        with tqdm(total=1.0, desc=f"scoring {name}", bar_format=BAR_FORMAT, disable=hidden) as bar:

            def after_batch(share_done: float, bar: Any = bar) -> None:
                leave_if_asked()
                bar.update(share_done - bar.n)

            scored = trainer.scorer(model, part, after_batch=after_batch)
        if any(one.bases for one in scored.values()):
            evaluation["splits"][name] = figures_of(scored, is_mixture=len(plan.corpus.members) > 1)
    trainer.signals.part()
    if not plan.ranks.is_first:
        return ""
    if plan.config.objective == "next_token":
        tell("fitting Markov models on the training part")
        evaluation["markov"] = markov_table(
            plan.genome, plan.split, classes=plan.corpus.classes, before_stretch=leave_if_asked
        )
    trainer.folder.write_json("evaluation.json", evaluation)
    told = describe_evaluation(evaluation)
    # Of masked models the table is a sentence already.
    return f"{told}\n{verdict(read_run(run))}" if evaluation["splits"] and "markov" in evaluation else told


def describe_evaluation(evaluation: dict[str, Any]) -> str:
    """The held-out figures as a small table."""
    splits = [(name, evaluation["splits"][name]) for name in ("valid", "test") if name in evaluation["splits"]]
    if not splits:
        return "nothing is held out, so there is no figure"
    unit = "byte" if evaluation["alphabet"] == "bytes" else "base"
    if evaluation["objective"] == "masked":
        return "\n".join(
            f"{name}: {figure(split)} bits per masked {unit}, over {split['bases']:,} masked {unit}s; "
            f"both sides are read, so no next-{unit} figure compares with it"
            for name, split in splits
        ) + _parts(splits, {})
    best = evaluation["markov"]["best_order"]
    orders = {row["order"]: row for row in evaluation["markov"]["orders"]}
    header = f"bits per {unit} {unit + 's':>14} {'genomamba':>11} {'95 % interval':>18}"
    lines = [f"{header} {f'Markov order {best}':>16} {'order 0':>8} {'perplexity':>11}"]
    lines += [
        f"{name:<13} {split['bases']:>14,} {split['bits_per_base']:>11.4f} {interval(split):>18} "
        f"{orders[best][name]:>16.4f} {orders[0][name]:>8.4f} {split['perplexity']:>11.4f}"
        for name, split in splits
    ]
    return "\n".join(lines) + _parts(splits, evaluation["markov"].get("by_class", {}))


def _parts(splits: list[tuple[str, dict[str, Any]]], markov: dict[str, dict[str, float]]) -> str:
    """Return the bits of each genome of a mixture, and of each class, beside those of the Markov model, a line each."""
    rows = [
        f"\n{split:<13} {one['bases']:>14,} {one['bits_per_base']:>11.4f} {interval(one):>18} {beside:>16} {'':>8} "
        f"{one['perplexity']:>11.4f}  {part}"
        for split, figures in splits
        for part, one, beside in [
            *((genome, one, "") for genome, one in figures.get("by_genome", {}).items()),
            *((name, one, _bits(markov, split, name)) for name, one in figures.get("by_class", {}).items()),
        ]
    ]
    return "".join(rows)


def _bits(markov: dict[str, dict[str, float]], split: str, name: str) -> str:
    return f"{markov[split][name]:.4f}" if name in markov.get(split, {}) else ""
