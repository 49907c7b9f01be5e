"""The plan in words: what people read before a run starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genomamba.config import PRESETS, PretrainConfig
from genomamba.coordinates import Interval
from genomamba.model import count_parameters
from genomamba.train.plan import Cost, Plan
from genomamba.train.sharing import describe_sharing
from genomamba.train.stages import Stages

__all__ = ["describe_cost", "describe_plan"]


def describe_plan(plan: Plan) -> str:
    """All that is settled before anything runs, a line a subject."""
    config, model = plan.config, plan.model.config
    files = ", ".join(sorted({contig.path.name for contig in plan.genome.contigs}))
    limits = (("steps", config.max_steps), ("tokens", config.max_tokens), ("minutes", config.max_minutes))
    windows = plan.stages.last.windows * plan.stages.accumulate
    soft = " or ".join(dict.fromkeys(f"{one.softmask_weight:g}" for one in plan.corpus.members))
    strands = "both strands at once" if model.equivariant else f"strand {config.strand}"
    return _table({
        "genome": f"{files}: {_contigs(plan.genome.contigs)}",
        "mixture": _mixture(plan),
        "left out": _contigs(plan.genome.excluded),
        "train": _intervals(plan.split.train),
        "validate": _intervals(plan.split.valid),
        "test": _intervals(plan.split.test),
        "windows": f"strand {'forward' if model.equivariant else config.strand}, "
        f"{'' if config.carry_state else f'at most {config.max_n:.0%} N, '}soft-masked bases weigh "
        f"{soft}, seed {config.seed}",
        "model": f"{_size(plan)}: {model.direction}, {_count(model.num_layers, 'layer')}, "
        f"d_model {model.d_model}, d_state {model.d_state}, {count_parameters(plan.model):,} parameters",
        "objective": f"{config.objective}, {strands}, {plan.context:,} bases of context"
        f"{', states carried from window to window' if config.carry_state else ''}",
        "turns": _turns(plan.stages) if config.context_schedule else "",
        "optimiser": f"AdamW, learning rate {_rate(config)}, decay {config.weight_decay:g}, "
        f"warm-up {config.warmup:.0%}, clip {config.clip:g}, {_count(windows, 'window')} a step",
        "stops at": ", ".join(f"--max-{name} {value:,}" for name, value in limits if value is not None),
        "device": f"{plan.device}, {_count(plan.threads, 'thread')}, {config.precision}"
        f"{_recomputed(plan.recomputed_layers)}",
        "processes": describe_sharing(plan.ranks, model, count_parameters(plan.model), plan.stages),
        "run folder": str(config.out),
    })  # fmt: skip


def describe_cost(plan: Plan, cost: Cost) -> str:
    """What the run will take, from the cost of one step."""
    steps, stages = plan.expected_steps(cost), plan.stages
    tokens = stages.tokens(steps)
    bases = plan.expected_bases(steps)
    passes = bases / max(1, sum(map(len, plan.split.train)))
    a_batch = stages.last.windows * stages.last.context
    valid, test = (sum(map(len, part)) for part in (plan.split.valid, plan.split.test))
    validations = max(1, steps // plan.valid_every(cost))
    scoring_s = validations * plan.validation_s(cost) + plan.scoring_s(valid + test, cost)
    speed = a_batch * stages.accumulate / cost.step_s
    how = "measured over one step" if cost.is_measured else "reckoned from a part of a step"
    return _table({
        "training": f"about {_count(steps, 'step')}: {bases:,} bases, {passes:.1f} passes over the training part",
        "checks": f"validation every {_count(plan.valid_every(cost), 'step')}, a checkpoint every "
        f"{_count(plan.checkpoint_every(cost), 'step')}; {plan.config.keep} and the best are kept",
        "memory": f"{cost.memory_mib:,.0f} MiB{f' of {plan.device}' if plan.device.type == 'cuda' else ''}"
        f"{' a process' if plan.ranks.size > 1 else ''}, {how}",
        "time": f"about {_duration(tokens / speed)} of training at {speed:,.0f} "
        f"bases/s as measured, {_duration(scoring_s)} of validation and scoring",
    })  # fmt: skip


def _size(plan: Plan) -> str:
    """Name the preset, unless layers or width are others."""
    config, model = plan.config, plan.model.config
    if config.preset is None:
        return "as --init"
    is_preset = PRESETS[config.preset] == {"num_layers": model.num_layers, "d_model": model.d_model}
    return config.preset if is_preset else "own size"


def _rate(config: PretrainConfig) -> str:
    return f"{config.learning_rate:g} down to {config.learning_rate * config.final_rate:.2g}"


def _mixture(plan: Plan) -> str:
    if len(plan.corpus.members) == 1:
        return ""
    tokens = ", each by its species' token" if plan.corpus.species else ""
    return ", ".join(f"{one.name} {one.share:.1%}" for one in plan.corpus.members) + f" of the windows{tokens}"


def _turns(stages: Stages) -> str:
    return ", ".join(
        f"{turn.context:,} x {_count(turn.windows, 'window')} for {_count(turn.steps or 0, 'step')} at {turn.rate:g}"
        for turn in stages.turns
    )


def _recomputed(layers: int) -> str:
    if not layers:
        return ""
    return f", {'layers' if layers == 1 else _count(layers, 'layer') + ' at a time'} computed again in backward"


def _table(rows: Mapping[str, str]) -> str:
    return "\n".join(f"{name:>11}  {text}" for name, text in rows.items() if text)


def _count(number: int, thing: str) -> str:
    plural = "es" if thing.endswith("ch") else "s"
    return f"{number:,} {thing}{'' if number == 1 else plural}"


def _contigs(contigs: tuple[Any, ...]) -> str:
    if not contigs:
        return ""
    names = ", ".join(contig.name for contig in contigs[:4])
    more = f" and {len(contigs) - 4} more" if len(contigs) > 4 else ""
    return f"{_count(len(contigs), 'contig')} ({names}{more}), {sum(contig.length for contig in contigs):,} bases"


def _intervals(intervals: tuple[Interval, ...]) -> str:
    if not intervals:
        return "nothing"
    contigs = list(dict.fromkeys(interval.contig for interval in intervals))
    names = ", ".join(contigs[:4]) + (f" and {len(contigs) - 4} more" if len(contigs) > 4 else "")
    return f"{sum(map(len, intervals)):,} bases in {_count(len(intervals), 'stretch')} of {names}"


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
