"""What a report says in words: its verdict, the state of the run, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from genomamba.report.run_files import RunFiles

__all__ = [
    "STATUS", "best_order", "cost", "duration", "figure", "files", "interval", "markov_bits", "moment", "share",
    "signed", "size", "state", "unit", "verdict",
]  # fmt: skip

SPLITS: Final = {"test": "test", "valid": "validation"}
STATUS: Final = {
    "running": "It had not ended when this page was written, or was killed before it could say so.",
    "finished": "It ran to its end.",
    "stopped": "It was stopped before its end; --resume goes on with it.",
    "trained": "Its training is done, what it holds out is not scored yet; --resume scores it.",
    "failed": "It failed before its end; what follows is what it left.",
}


def verdict(run: RunFiles) -> str:
    """Say in one or two plain sentences how well the model does, and against what."""
    name, split = _judged_split(run)
    if split is None:
        return _without_evaluation(run)
    assert run.evaluation is not None
    bits, bases = split["bits_per_base"], split["bases"]
    if run.evaluation["objective"] == "masked":
        return (
            f"Of {bases:,} masked {unit(run)}s in held-out sequence the model needs {bits:.3f} bits each, with "
            f"both sides in view. That figure is not comparable with those of models that predict the next {unit(run)}."
        )
    sentence = f"On {bases:,} held-out {unit(run)}s the model needs {bits:.3f} bits per {unit(run)}"
    markov = markov_bits(run, name)
    if not markov:
        return sentence + "."
    chosen = best_order(run, name)
    difference = _difference(bits, markov[chosen])
    sentence += f"; the best Markov model (order {chosen}) needs {markov[chosen]:.3f}: {difference}."
    return sentence + _better_order(name, markov, chosen) + _worse_than_chance(bits, markov, unit(run))


def markov_bits(run: RunFiles, split: str) -> dict[int, float]:
    """Bits of the Markov models on one split, by order; empty for masked models and where there are none."""
    if run.evaluation is None or run.evaluation["objective"] == "masked":
        return {}
    rows = (run.evaluation.get("markov") or {}).get("orders", [])
    return {row["order"]: row[split] for row in rows if row.get(split) is not None}


def best_order(run: RunFiles, split: str) -> int:
    """The order that stands for the Markov models: the one the run chose, where it was scored on this split."""
    assert run.evaluation is not None
    markov = markov_bits(run, split)
    chosen: int = run.evaluation["markov"]["best_order"]
    return chosen if chosen in markov else min(markov, key=lambda order: markov[order])


def state(run: RunFiles) -> str:
    """Status of the run: running, finished, stopped, trained, failed, or unknown."""
    return str((run.facts or {}).get("status", "unknown"))


def files(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Path, bytes and sha256 of each file that a run has read: bases, regions and classes of them."""
    return [one for name in ("inputs", "region_files", "class_files") for one in facts.get(name, ())]


def unit(run: RunFiles) -> str:
    """What one symbol is called: base, or byte."""
    return "byte" if (run.config or {}).get("alphabet") == "bytes" else "base"


def duration(seconds: float) -> str:
    """A time as people say it: 42 s, 12 min 5 s, 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def size(count: float) -> str:
    """A number of bytes, in decimal units: 3.6 MB."""
    for suffix in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {suffix}" if suffix == "bytes" else f"{count:.1f} {suffix}"
        count /= 1000
    return f"{count:,.1f} TB"


def share(value: float | None) -> str:
    """A share of 1 in per cent; a dash where there is none."""
    return "\u2013" if value is None else f"{100 * value:.1f} %"


def signed(value: float | None, decimals: int) -> str:
    """A number with so many decimals and a true minus sign, none before 0; a dash where there is none."""
    if value is None:
        return "\u2013"
    text = f"{value:,.{decimals}f}"
    is_zero = not text.strip("-0.,")
    return text.removeprefix("-") if is_zero else text.replace("-", "\u2212")


def interval(figures: Mapping[str, Any]) -> str:
    """The 95 % interval of bits per base, 1.8500 to 1.9500; empty where none is known, as of few bases."""
    return "" if figures.get("low") is None else f"{figures['low']:.4f} to {figures['high']:.4f}"


def figure(figures: Mapping[str, Any]) -> str:
    """Bits per base with what is known of their interval: 1.9000 (1.8500 to 1.9500)."""
    return f"{figures['bits_per_base']:.4f}" + (f" ({told})" if (told := interval(figures)) else "")


def moment(value: str | None) -> str:
    """An ISO 8601 time as people read it, in UTC: 2025-11-03 09:00:00 UTC."""
    if value is None:
        return "not yet"
    return datetime.fromisoformat(value).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def cost(run: RunFiles) -> str:
    """What a model is judged by: bits per base, bits per masked base, bits per byte."""
    objective = (run.evaluation or run.config or {}).get("objective")
    return f"bits per {'masked ' if objective == 'masked' else ''}{unit(run)}"


def _judged_split(run: RunFiles) -> tuple[str, dict[str, Any] | None]:
    splits = (run.evaluation or {}).get("splits", {})
    for name in SPLITS:
        if splits.get(name):
            return name, splits[name]
    return "", None


def _difference(bits: float, markov: float) -> str:
    """Compare at the three decimals that are shown, so that the sentence adds up."""
    thousandths = round(1000 * round(markov, 3)) - round(1000 * round(bits, 3))
    if thousandths > 0:
        return f"{thousandths / 1000:.3f} fewer"
    if thousandths < 0:
        return f"{-thousandths / 1000:.3f} fewer than the model, which has not yet learnt more than counting words does"
    return "the same to three decimals"


def _better_order(name: str, markov: dict[int, float], chosen: int) -> str:
    lowest = min(markov, key=lambda order: markov[order])
    if round(markov[lowest], 3) >= round(markov[chosen], 3):
        return ""
    best = f"order {lowest} needs {markov[lowest]:.3f}"
    return f" The order was chosen on validation; on the {SPLITS[name]} itself {best}."


def _worse_than_chance(bits: float, markov: dict[int, float], unit: str) -> str:
    if 0 not in markov or round(bits, 3) <= round(markov[0], 3):
        return ""
    guess = ", and so does a guess among four (2 bits)" if unit == "base" and bits > 2 else ""
    return f" Even the frequencies of single {unit}s do better (order 0: {markov[0]:.3f}){guess}; train longer."


def _without_evaluation(run: RunFiles) -> str:
    bits = run.valid["bits_per_base"]
    known = bits[np.isfinite(bits)]
    if not known.size:
        return "There are no held-out figures yet."
    step = run.valid["step"][np.isfinite(bits)][-1]
    return (
        "The held-out sequence has not been scored in full yet; "
        f"at step {step:,.0f} validation stood at {known[-1]:.3f} {cost(run)}."
    )
