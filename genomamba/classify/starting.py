"""The network that a head is put on: that of a model, or one of a preset's shape with weights drawn anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from genomamba.classify.examples import Examples
from genomamba.classify.heads import HeadConfig, HeadPool, HeadStrand, SequenceModel
from genomamba.config import PRESETS, ModelConfig
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import load_model, open_checkpoint

__all__ = ["head_config", "is_random", "load_network", "network_config", "sequence_model"]


def network_config(model: str | Path, *, revision: str | None = None, alphabet: str | None = None) -> ModelConfig:
    """Return the shape of the network that `load_network` gives; no weight is read."""
    if (shape := _preset(model)) is not None:
        if revision is not None or alphabet not in (None, "dna"):
            raise ConfigError(f"{model} is a preset, which has no revision, and reads dna; leave both out")
        return shape
    return open_checkpoint(model, revision=revision, alphabet=alphabet).config


def is_random(model: str | Path) -> bool:
    """Tell whether MODEL is a preset, whose weights are drawn."""
    return _preset(model) is not None


def load_network(
    model: str | Path,
    *,
    revision: str | None = None,
    alphabet: str | None = None,
    random_weights: bool = False,
    seed: int = 0,
) -> LanguageModel:
    """Load a network, or draw one.

    Parameters
    ----------
    model : str or Path
        As `load_model` takes it; or a preset (tiny, small, base, large, xl), for a network that reads both directions,
        with random weights. A folder of that name comes first.
    revision, alphabet
        As of `load_model`.
    random_weights : bool
        Take the model's shape alone, and draw its weights.
    seed : int
        Of weights that are drawn.

    Raises
    ------
    RunError, ConfigError
        As `load_model` does.
    """
    if _preset(model) is None and not random_weights:
        return load_model(model, revision=revision, alphabet=alphabet)
    config = network_config(model, revision=revision, alphabet=alphabet)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LanguageModel(config)


def head_config(
    network: ModelConfig, examples: Examples, *, pool: HeadPool, strand: HeadStrand | None, hidden: int, dropout: float,
    train: Any,
) -> HeadConfig:  # fmt: skip
    """Return the head for labelled sequences.

    Parameters
    ----------
    network : ModelConfig
    examples : Examples
    pool, hidden, dropout
        See `HeadConfig`.
    strand : HeadStrand, optional
        Default: both for an equivariant network, else given.
    train : (rows,), int64
        Those that say what 0 and 1 of a regression stand for, and by what sums are divided: their mean length.
    """
    labels, mean, scale = examples.labels, 0.0, 1.0
    if labels.kind == "regression":
        values = labels.values[train]
        mean, scale = float(values.mean()), float(values.std()) or 1.0
    return HeadConfig(
        kind=labels.kind,
        classes=labels.classes,
        pool=pool,
        strand=strand or ("both" if network.equivariant else "given"),
        hidden=hidden,
        dropout=dropout,
        mean=mean,
        scale=scale,
        length=float(examples.sequences.lengths[train].mean()) if pool == "sum" else 1.0,
    )


def sequence_model(network: LanguageModel, config: HeadConfig) -> SequenceModel:
    """Put a head on a network, in its precision."""
    return SequenceModel(network, config).to(network.embedding.weight.dtype)


def _preset(model: str | Path) -> ModelConfig | None:
    name = next((preset for preset in PRESETS if preset == str(model)), None)
    if name is None or Path(name).exists():
        return None
    shape: dict[str, Any] = PRESETS[name]
    return ModelConfig(direction="bidirectional", **shape)
