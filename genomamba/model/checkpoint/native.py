"""Our own layout: a folder with `config.json` and `model.safetensors`. No code is stored, none is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch

from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, RunError
from genomamba.files import atomic_file, write_json
from genomamba.model.checkpoint.layout import Layout
from genomamba.model.language_model import LanguageModel

__all__ = ["FORMAT", "native_layout", "save_model"]

# Version 1 had no vocabulary but its own, and no network but its own: what it lacks has the default.
FORMAT, FORMAT_VERSION = "genomamba", 2
WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_model(
    folder: Path, model: LanguageModel, training: Mapping[str, Any], *, head: Mapping[str, Any] | None = None
) -> None:
    """Write weights and config into an existing folder; each file is whole or absent.

    Parameters
    ----------
    folder : Path
        Where to write `model.safetensors` (float32 or as the weights are; tied tensors once) and `config.json`.
    model : LanguageModel
        The network.
    training : mapping
        How it was trained (objective, context in bases, strand, ...): plain values, kept under `training`.
    head : mapping, optional
        What stands over the network: plain values, kept under `head`. Its weights are in a file of their own, so that
        the network can be read without it.
    """
    with atomic_file(folder / WEIGHTS) as temporary:
        safetensors.torch.save_model(model, str(temporary), metadata={"format": "pt"})
    header = {"format": FORMAT, "format_version": FORMAT_VERSION}
    values = header | {"model": model.config.to_dict(), "training": dict(training)}
    write_json(folder / CONFIG, values if head is None else values | {"head": dict(head)})


def native_layout(values: Mapping[str, Any], path: Path) -> Layout:
    """Return the layout of what `save_model` wrote.

    Parameters
    ----------
    values : mapping
        What `config.json` holds.
    path : Path
        That file, for messages.

    Raises
    ------
    RunError
        Where it is damaged, or of a later format.
    """
    version = values.get("format_version")
    if not isinstance(version, int):
        raise RunError(f"{path}: format_version is {version!r}; it must be a whole number, as it was written")
    if version > FORMAT_VERSION:
        raise RunError(f"{path}: format version {version}, but {FORMAT_VERSION} is read; upgrade genomamba")
    try:
        config, training = ModelConfig.from_dict(values["model"]), dict(values["training"])
    except ConfigError as error:
        raise RunError(
            f"{path}: {error}; it should be as this version of genomamba, or an older one, wrote it"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error!r}); it should be as it was written") from error
    return Layout(kind=FORMAT, config=config, stored=config, published=lambda name: name, training=training)
