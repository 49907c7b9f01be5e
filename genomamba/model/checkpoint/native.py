"""Our own layout: a folder with `config.json` and `model.safetensors`. No code is stored, none is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from genomamba.config import ModelConfig
from genomamba.errors import RunError
from genomamba.files import atomic_file, read_json, write_json
from genomamba.model.language_model import LanguageModel

__all__ = ["load_model", "read_config", "save_model"]

FORMAT, FORMAT_VERSION = "genomamba", 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_model(folder: Path, model: LanguageModel, training: dict[str, Any]) -> None:
    """Write weights and config into an existing folder; each file is whole or absent.

    Parameters
    ----------
    folder : Path
        Where to write `model.safetensors` (float32 or as the weights are; tied tensors once) and `config.json`.
    model : LanguageModel
        The network.
    training : dict
        How it was trained (objective, context in bases, strand, ...): plain values, kept under `training`.
    """
    with atomic_file(folder / WEIGHTS) as temporary:
        safetensors.torch.save_model(model, str(temporary), metadata={"format": "pt"})
    header = {"format": FORMAT, "format_version": FORMAT_VERSION}
    write_json(folder / CONFIG, header | {"model": model.config.to_dict(), "training": training})


def read_config(folder: Path) -> tuple[ModelConfig, dict[str, Any]]:
    """Read `config.json`: the shape of the network, and how it was trained.

    Raises
    ------
    RunError
        Where the folder holds no model of ours, or one of a later format.
    """
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise RunError(f"{folder}: no model here; a run or checkpoint folder holds {CONFIG} and {WEIGHTS}")
    values = read_json(folder / CONFIG)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise RunError(f'{folder / CONFIG}: not a genomamba config; it should say "format": "{FORMAT}"')
    version = values.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise RunError(f"{folder / CONFIG}: format version {version}, but {FORMAT_VERSION} is read; upgrade genomamba")
    try:
        return ModelConfig.from_dict(values["model"]), values["training"]
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder / CONFIG}: damaged ({error!r}); it should be as it was written") from error


def load_model(folder: Path, device: torch.device | str = "cpu") -> LanguageModel:
    """Build the network that `folder` describes and fill in its weights.

    Parameters
    ----------
    folder : Path
        A run folder or a checkpoint folder.
    device : torch.device or str
        Where the weights go.

    Returns
    -------
    LanguageModel
        In training mode, weights as stored.

    Raises
    ------
    RunError
        Where files are absent or damaged, or names and shapes do not fit; the message lists them.
    """
    config, _ = read_config(folder)
    model = LanguageModel(config)
    path = folder / WEIGHTS
    try:
        with safe_open(str(path), framework="pt") as file:
            stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        misshaped = [
            f"{name} {stored[name]} for {shape}" for name, shape in expected.items() if stored.get(name, shape) != shape
        ]
        if misshaped:
            raise RunError(f"{path}: shapes do not fit the config: {', '.join(misshaped)}")
        safetensors.torch.load_model(model, str(path))
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path}: damaged or unreadable ({error}); train again or use another checkpoint") from error
    except RuntimeError as error:
        raise RunError(f"{path}: weights do not fit the config: {' '.join(str(error).split())}") from error
    return model.to(device)
