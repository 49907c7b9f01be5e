"""What is known of a model, as plain values: its network, and how its weights were made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import jinja2
import torch

from genomamba.alphabet import TOKENS
from genomamba.config import ModelConfig
from genomamba.errors import RunError
from genomamba.model import LanguageModel, count_parameters
from genomamba.model.checkpoint import Checkpoint, is_hub_name
from genomamba.report import words
from genomamba.report.run_files import RunFiles, read_run

__all__ = [
    "SPLITS",
    "damage_told",
    "figures_of",
    "is_causal",
    "parameters_of",
    "provenance_of",
    "rows_of",
    "unit_of",
    "what_it_is",
]

SPLITS: Final = {"train": "training", "valid": "validation", "test": "test"}
_NATIVE: Final = "genomamba"
_MOST_NAMES: Final = 24


@contextmanager
def damage_told(name: str) -> Iterator[None]:
    """Turn what a damaged provenance raises into one line: it is read from files of others."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError, jinja2.UndefinedError) as error:
        raise RunError(
            f"{name}: what config.json says of its training is damaged ({' '.join(repr(error).split())}); it should be "
            "as genomamba wrote it"
        ) from error


def is_causal(config: ModelConfig) -> bool:
    """Whether the model predicts each base from those before it alone."""
    return config.direction == "causal" and not config.equivariant


def parameters_of(config: ModelConfig) -> int:
    """Number of weights of a network, tied ones counted once; none of them is drawn."""
    with torch.device("meta"):
        return count_parameters(LanguageModel(config))


def unit_of(config: ModelConfig) -> str:
    """What one symbol is called: base, byte or token."""
    return {"bytes": "byte", TOKENS: "token"}.get(config.alphabet, "base")


def what_it_is(config: ModelConfig) -> str:
    """Say in one sentence what a model does."""
    unit = unit_of(config)
    if is_causal(config):
        return f"A causal Mamba language model: it predicts each {unit} from those before it"
    if config.equivariant:
        return (
            "A bidirectional Mamba language model, equivariant to reverse complement: it predicts a hidden base from "
            "both its sides, and the two strands of a sequence give the same"
        )
    return f"A bidirectional Mamba language model: it predicts a hidden {unit} from both its sides"


def rows_of(config: ModelConfig, provenance: Mapping[str, Any]) -> dict[str, str]:
    """Describe the network and its training in short texts, by their headings."""
    ties = ["head tied to the embedding" if config.tie_head else "head of its own"]
    if config.direction == "bidirectional" and config.tie_directions:
        ties.append("projections tied between directions")
    network = (
        f"{config.num_layers} layers, d_model {config.d_model}, d_inner {config.d_inner}, d_state {config.d_state}, "
        f"d_conv {config.d_conv}, {'RMSNorm' if config.norm == 'rms' else 'LayerNorm'}, {', '.join(ties)}"
    )
    rows = {
        "parameters": f"{parameters_of(config):,}",
        "network": network,
        "alphabet": _alphabet_in_words(config),
        "reads": _reading_in_words(config),
        "trained on": _training_in_words(provenance, unit_of(config)),
    }
    if source := provenance.get("source"):
        rows["from"] = f"{source['model']}, {source['layout']} layout"
    if run := provenance.get("run"):
        rows["run"] = _run_in_words(run, unit_of(config))
        if run.get("init"):
            rows["started from"] = f"{run['init']}, whose own data are not among those of the run"
    return {name: text for name, text in rows.items() if text}


def figures_of(config: ModelConfig, provenance: Mapping[str, Any]) -> dict[str, str]:
    """Say in short texts what the model costs on held-out sequence, by its part."""
    evaluation = (provenance.get("run") or {}).get("evaluation") or {"splits": {}}
    figures = {}
    for name, split in evaluation["splits"].items():
        masked = "masked " if evaluation["objective"] == "masked" else ""
        figures[SPLITS[name]] = f"{words.figure(split)} bits per {masked}{unit_of(config)}, of {split['bases']:,}"
        if split["markov"] is not None:
            figures[SPLITS[name]] += f"; Markov order {evaluation['markov_order']} {split['markov']:.4f}"
    return figures


def provenance_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return how a model was made: what its config says, and of a run folder what the run says.

    Paths are left out, since cards are published: of files their names and checksums are kept.

    Raises
    ------
    RunError
        Where a file of the run is damaged.
    """
    known = checkpoint.training
    folder = checkpoint.weights.parent
    if (folder / "run.json").is_file():
        known["run"] = _run_facts(read_run(folder))
    if checkpoint.layout.kind != _NATIVE and "source" not in known:
        known["source"] = {"model": _public_name(checkpoint.name), "layout": checkpoint.layout.kind}
    return known


def _public_name(model: str) -> str:
    """Name of a model on the hub, or of its folder, without the way to it."""
    return model if is_hub_name(model) else Path(model).resolve().name


def _contigs_of(contigs: Iterable[Mapping[str, Any]], split: str) -> dict[str, Any]:
    """Count and name the contigs that are wholly in one part; of very many, the first."""
    names = [one["name"] for one in contigs if one.get("split") == split]
    return {"count": len(names), "names": names[:_MOST_NAMES]}


def _run_facts(run: RunFiles) -> dict[str, Any]:
    facts, card = run.facts or {}, run.card or {"splits": {}, "contigs": []}
    kept = ("genomamba", "status", "finished", "steps", "bases", "elapsed_s")
    return {
        **{name: facts[name] for name in kept if name in facts},
        "inputs": [
            {"name": Path(one["path"]).name, "bytes": one["bytes"], "sha256": one["sha256"]}
            for one in words.files(facts)
        ],
        "splits": {
            name: {key: split.get(key) for key in ("bases", "contigs", "gc")} for name, split in card["splits"].items()
        },
        "held_out_contigs": {name: _contigs_of(card["contigs"], name) for name in ("valid", "test")},
        "init": _public_name(run.config["init"]) if run.config and run.config.get("init") else None,
        "evaluation": _evaluation_facts(run.evaluation),
    }


def _evaluation_facts(evaluation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Keep of the held-out figures those of a whole split, with the best Markov model's and order 0's beside them."""
    if evaluation is None:
        return None
    markov = evaluation.get("markov") or {}
    bits = {row["order"]: row for row in markov.get("orders", ())}
    order = markov.get("best_order")
    return {
        "objective": evaluation["objective"],
        "context": evaluation.get("context"),
        "checkpoint_step": evaluation.get("checkpoint_step"),
        "markov_order": order,
        "splits": {
            name: {
                "bases": split["bases"],
                "bits_per_base": split["bits_per_base"],
                "low": split.get("low"),
                "high": split.get("high"),
                "markov": bits.get(order, {}).get(name),
                "order_0": bits.get(0, {}).get(name),
            }
            for name, split in evaluation["splits"].items()
        },
    }


def _alphabet_in_words(config: ModelConfig) -> str:
    if config.alphabet == TOKENS:
        return f"not known: {config.vocab_size:,} token ids alone"
    letters = {"dna": "dna: A C G T N", "bytes": "bytes: any byte"}.get(config.alphabet, config.alphabet)
    return f"{letters}; {config.vocab_size} token ids"


def _reading_in_words(config: ModelConfig) -> str:
    if is_causal(config):
        return "left to right, one strand at a time"
    return "both ways, both strands at once" if config.equivariant else "both ways, one strand at a time"


def _training_in_words(provenance: Mapping[str, Any], unit: str) -> str:
    objective = {"next_token": f"the next {unit}", "masked": f"masked {unit}s"}.get(
        str(provenance.get("objective")), ""
    )
    words = [f"predicting {objective}"] if objective else []
    if context := provenance.get("context"):
        words.append(f"windows of {context:,} {unit}s")
    if strand := provenance.get("strand"):
        words.append(
            {"random": "a strand drawn for each", "forward": "the strand of the file"}.get(strand, "both strands")
        )
    return ", ".join(words)


def _run_in_words(run: Mapping[str, Any], unit: str) -> str:
    words = [f"genomamba {run['genomamba']}"] if "genomamba" in run else []
    if run.get("finished"):
        words.append(str(run["finished"])[:10])
    if "steps" in run:
        words.append(f"{run['steps']:,} steps")
    if "bases" in run:
        words.append(f"{run['bases']:,} {unit}s read")
    return ", ".join(words)
