"""`genomamba pretrain`: plan, train, score, report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genomamba.config import PretrainConfig
from genomamba.data.card import check_card, dataset_card
from genomamba.errors import GenomambaError
from genomamba.model import count_parameters
from genomamba.report.model_card import write_run_card
from genomamba.report.page import write_report
from genomamba.train.device import gpu_facts
from genomamba.train.distributed import Ranks, run_on_ranks
from genomamba.train.estimate import check_fits, free_memory_mib, measure, memory_told
from genomamba.train.events import check_installed
from genomamba.train.final import AskedToLeaveError, score_held_out
from genomamba.train.plan import Cost, Plan, make_plan, run_path
from genomamba.train.run_folder import RunFolder, check_free
from genomamba.train.signals import Signals
from genomamba.train.trainer import Trainer
from genomamba.train.words import describe_cost, describe_plan

__all__ = ["pretrain"]


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

    def as_one_of(ranks: Ranks) -> int:
        return _pretrain(config, ranks, command, emit if ranks.is_first else lambda _: None)

    return run_on_ranks(config.parallel, as_one_of)


def _pretrain(config: PretrainConfig, ranks: Ranks, command: str, emit: Callable[[str], None]) -> int:
    path = run_path(config)
    with ranks.agree():
        if ranks.is_first and not config.dry_run:
            # Before a large genome is read for minutes.
            check_free(path, resume=config.resume, force=config.force)
            if config.resume and not path.exists():
                emit(f"{path}: no run to go on with; starting one")
        if config.tensorboard:
            check_installed()
    plan = _plan_in_turn(config, ranks)
    emit(describe_plan(plan))
    with memory_told(plan):
        cost = measure(plan)
    emit(describe_cost(plan, cost))
    with ranks.agree():
        check_fits(plan, cost, free_memory_mib(plan.device))
    if config.dry_run:
        return 0
    folder = _start(plan, path, config, command)
    with Signals() as signals:
        session = _Session(plan, folder, cost, signals)
        try:
            with memory_told(plan):
                session.run(emit)
        except GenomambaError:
            if not ranks.is_first:
                raise
            # The error that ended the run is what the user is to read, not that its report failed too.
            with contextlib.suppress(GenomambaError):
                session.close()
            raise
        if ranks.is_first:
            emit(f"report: {session.close()}")
    return 0 if session.status == "finished" else signals.exit_code


def _plan_in_turn(config: PretrainConfig, ranks: Ranks) -> Plan:
    """Plan on the first rank, then on the others, which find the caches that it has made."""
    plan: Plan | None = None
    for turn in (True, False):
        with ranks.agree():
            if ranks.is_first is turn:
                plan = make_plan(config, ranks)
    assert plan is not None
    return plan


def _start(plan: Plan, path: Path, config: PretrainConfig, command: str) -> RunFolder:
    """Return the run folder, which the first rank makes ready."""
    ranks = plan.ranks
    with ranks.agree():
        folder = RunFolder(path, resume=config.resume, force=config.force, reads=not ranks.is_first)
        if ranks.is_first:
            check_card(path / "dataset.json", plan.split)
            corpus = plan.corpus
            files = {"class_files": corpus.class_files, "region_files": corpus.region_files}
            facts: dict[str, Any] = {name: found for name, found in files.items() if found}
            if ranks.size > 1:
                facts |= {"processes": ranks.size, "parallel": f"data={ranks.data},context={ranks.context}"}
            folder.start(
                command=command,
                inputs=plan.corpus.inputs,
                threads=plan.threads,
                device=str(plan.device),
                **gpu_facts(plan.device),
                precision=plan.config.precision,
                parameters=count_parameters(plan.model),
                preset=plan.config.preset,
                **facts,
            )
            folder.write_config(plan.config)
    return folder


class _Session:
    """From the first byte written to the report: what became of a run, whichever way it ends."""

    def __init__(self, plan: Plan, folder: RunFolder, cost: Cost, signals: Signals) -> None:
        self.plan, self.folder, self.cost, self.signals = plan, folder, cost, signals
        self.status = "failed"
        self._trainer: Trainer | None = None

    def run(self, emit: Callable[[str], None]) -> None:
        """Train and evaluate, until the end or until a signal asks to leave."""
        plan, path = self.plan, self.folder.path
        with plan.ranks.agree():
            if plan.ranks.is_first:
                self._write_card()
        self._trainer = Trainer(plan, self.folder, self.cost, self.signals)
        if step := self._trainer.progress.step:
            share = self._trainer.share_done
            todo = "trained to its limit; scoring" if share >= 1 else f"{share:.0%} done; going on"
            emit(f"{path}: at step {step:,}, {todo}")
        if not self._trainer.train():
            self.status = "stopped"
            emit(f"stopped at step {self._trainer.progress.step:,}; --resume --out {path} goes on from there")
            return
        try:
            emit(score_held_out(self._trainer))
            self.status = "finished"
        except AskedToLeaveError:
            self.status = "trained"
            emit(f"trained to the end, not evaluated; --resume --out {path} does the rest")

    def _write_card(self) -> None:
        plan = self.plan
        members = plan.corpus.members
        genomes = {one.name: (one.share, one.split) for one in members} if len(members) > 1 else None
        card = dataset_card(plan.genome, plan.split, plan.genome.alphabet, plan.context, genomes)
        if (classes := plan.corpus.classes) is not None:
            card["classes"] = {part: classes.count(getattr(plan.split, part)) for part in ("train", "valid", "test")}
        self.folder.write_json("dataset.json", card)

    def close(self) -> Path:
        """Write what is known at the end, the model card, and the report; return its path."""
        facts: dict[str, Any] = {"status": self.status}
        if self._trainer is not None:
            if self._trainer.metrics is not None:
                self._trainer.metrics.close()
            done = self._trainer.progress
            facts |= {"steps": done.step, "bases": done.bases, "elapsed_s": round(done.elapsed_s, 1)}
        self.folder.finish(**facts)
        if self.status == "finished":
            write_run_card(self.folder.path)
        return write_report(self.folder.path)
