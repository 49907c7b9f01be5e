"""A network and its head on disk: our own layout of a model, with a section and a file for the head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch

from genomamba.classify.heads import HeadConfig, SequenceModel
from genomamba.errors import ConfigError, RunError
from genomamba.files import atomic_file, read_json
from genomamba.model.checkpoint import open_checkpoint, save_model
from genomamba.model.checkpoint.source import find_folder
from genomamba.model.checkpoint.weights import read_tensors

__all__ = ["HEAD_WEIGHTS", "has_head", "load_classifier", "read_training", "save_classifier"]

HEAD_WEIGHTS: Final = "head.safetensors"


def save_classifier(folder: Path, model: SequenceModel, training: Mapping[str, Any]) -> None:
    """Write a network and its head into an existing folder; each file is whole or absent.

    Parameters
    ----------
    folder : Path
        Gets `model.safetensors`, which is the network as `genomamba embed` reads it, `head.safetensors`, and
        `config.json`, which names the classes under `head`.
    model : SequenceModel
    training : mapping
        How it was trained: plain values.
    """
    with atomic_file(folder / HEAD_WEIGHTS) as temporary:
        tensors = {name: tensor.contiguous() for name, tensor in model.head.state_dict().items()}
        safetensors.torch.save_file(tensors, str(temporary), metadata={"format": "pt"})
    # Last, since it writes config.json: a folder that has that has all.
    save_model(folder, model.network, training, head=model.config.to_dict())


def has_head(model: str | Path, *, revision: str | None = None) -> bool:
    """Tell whether MODEL has a head beside its network. Raises `RunError` where there is no model."""
    path = find_folder(model, revision) / "config.json"
    values = read_json(path) if path.is_file() else None
    return isinstance(values, dict) and "head" in values


def read_training(model: str | Path, *, revision: str | None = None) -> dict[str, Any]:
    """Return how a model was trained, as `save_classifier` was told."""
    return open_checkpoint(model, revision=revision).training


def load_classifier(
    model: str | Path, *, revision: str | None = None, device: torch.device | str = "cpu"
) -> SequenceModel:
    """Build a network with its head.

    Parameters
    ----------
    model : str or Path
        A folder that `save_classifier` wrote, or OWNER/NAME on the hub.
    revision : str, optional
        Branch, tag or commit of a name on the hub.
    device : torch.device or str

    Returns
    -------
    SequenceModel
        In evaluation mode.

    Raises
    ------
    RunError
        Where files are absent or damaged, or where the model has no head.
    """
    checkpoint = open_checkpoint(model, revision=revision)
    folder = checkpoint.weights.parent
    values = read_json(folder / "config.json")
    if "head" not in values:
        raise RunError(f"{model}: a model without a head, so it tells no classes; train one by genomamba finetune")
    where = folder / "config.json"
    try:
        config = HeadConfig.from_dict(values["head"])
        network = checkpoint.load(device)
        built = SequenceModel(network, config)
    except (ConfigError, TypeError, AttributeError) as error:
        raise RunError(f"{where}: {error}; it should be as genomamba wrote it") from error
    path = folder / HEAD_WEIGHTS
    if not path.is_file():
        raise RunError(f"{path}: is not there, and config.json says that the model has a head; copy it again")
    tensors, wanted = read_tensors(path), built.head.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in wanted.items()}:
        raise RunError(f"{path}: holds {shapes}, which does not fit the head that config.json describes")
    dtype = network.embedding.weight.dtype
    built.head.to(dtype).load_state_dict({name: tensor.to(dtype) for name, tensor in tensors.items()})
    return built.to(device).eval()
