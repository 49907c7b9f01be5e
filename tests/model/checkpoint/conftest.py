"""Weights of which each shows, and folders that hold a model."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

# Deviation and mean of each kind of weight: large enough that one per cent of any tensor moves the logits.
SCALES = {
    "conv1d.weight": (0.5, 0.0),
    "conv1d.bias": (0.5, 0.0),
    "x_proj.weight": (0.3, 0.0),
    "dt_proj.weight": (0.5, 0.0),
    "dt_proj.bias": (0.5, -1.0),
    "A_log": (0.5, 0.0),
    "D": (0.5, 1.0),
    "norm.weight": (0.3, 1.0),
    "norm_f.weight": (0.3, 1.0),
    "submodule.weight": (0.3, 1.0),
}


@torch.no_grad()
def draw(tensors, seed=0):
    """Fill tensors, by name, in place: as `SCALES` says, all others from a normal of deviation 0.3."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in tensors.items():
        scale, mean = next((values for ending, values in SCALES.items() if name.endswith(ending)), (0.3, 0.0))
        tensor.copy_(mean + scale * torch.randn(tensor.shape, generator=generator, dtype=torch.float64))
    return tensors


def distance(found, expected):
    """Relative error, in the Euclidean norm."""
    return ((found.double() - expected.double()).norm() / expected.double().norm()).item()


def write(folder, config, tensors, file="model.safetensors"):
    """Write a checkpoint folder: what config.json holds, and tensors by name."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    if file.endswith(".bin"):
        torch.save(tensors, folder / file)
    else:
        safetensors.torch.save_file(tensors, folder / file)
    return folder


@pytest.fixture(name="draw")
def fixture_draw():
    return draw


@pytest.fixture(name="distance")
def fixture_distance():
    return distance


@pytest.fixture(name="write")
def fixture_write():
    return write
