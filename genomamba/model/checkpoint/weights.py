"""Tensors of a checkpoint folder: safetensors or pytorch_model.bin, in one file or in shards. No code is run."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import Tensor

from genomamba.errors import RunError
from genomamba.files import read_json
from genomamba.model.checkpoint.layout import Tensors

__all__ = ["WEIGHT_FILES", "find_weights", "read_tensors"]

WEIGHT_FILES: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""Files that weights are looked for in, the first that is there being taken."""


def find_weights(folder: Path) -> Path | None:
    """Return the file that holds the weights, or the index of its shards; None where there is neither."""
    return next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a file of weights, or of all shards of an index, by name.

    Those of safetensors and of zipped files stay on disk until they are touched.

    Raises
    ------
    RunError
        Where a file is absent or damaged, or holds anything but tensors.
    """
    if path.suffix != ".json":
        return _read_file(path)
    return {
        name: tensor
        for shard in _shards(path)
        for name, tensor in _read_file(path.with_name(shard)).items()
    }  # fmt: skip


def _shards(path: Path) -> list[str]:
    index = read_json(path)
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not all(isinstance(shard, str) for shard in names.values()):
        raise RunError(f"{path}: has no weight_map; it should say which file holds which tensor")
    shards = sorted(set(names.values()))
    if outside := [shard for shard in shards if Path(shard).name != shard]:
        raise RunError(f"{path}: names {outside[0]!r}, which is not a file beside it")
    if absent := [shard for shard in shards if not path.with_name(shard).is_file()]:
        raise RunError(f"{path}: {absent[0]} is not there, one of {len(shards)} shards; copy or download it again")
    return shards


def _read_file(path: Path) -> Tensors:
    try:
        values = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
    except pickle.UnpicklingError:
        raise RunError(
            f"{path}: is damaged, or holds objects that could run code, which are never loaded; "
            "ask for the weights as safetensors"
        ) from None
    # A damaged pickle ends in whatever its next instruction meets: IndexError, KeyError, struct.error, ...
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{path}: damaged or unreadable ({reason}); copy or download it again") from error
    if not isinstance(values, dict):
        raise RunError(f"{path}: holds a {type(values).__name__}; it should hold tensors by name")
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise RunError(f"{path}: {name} is a {type(value).__name__}; it should hold tensors by name, nothing else")
    return values


def _unpickle(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
