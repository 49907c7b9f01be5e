"""Checkpoints from which a run goes on bit for bit: weights, optimiser, generator, and one integer for the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from genomamba.errors import RunError
from genomamba.files import atomic_folder, read_json, remove_folder, write_json
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import load_model, save_model
from genomamba.model.state import MambaState
from genomamba.train.distributed import Ranks

__all__ = [
    "Progress",
    "begin_together",
    "best_checkpoint",
    "checkpoint_folder",
    "checkpoints",
    "keep_last",
    "load_checkpoint",
    "read_state",
    "save_checkpoint",
    "save_progress",
    "set_aside",
    "write_state",
]

STATE_TENSORS, STATE = "state.safetensors", "state.json"
GPU_GENERATOR = "generator of the GPU"
LANES, LANE_TENSORS = "lanes/", ("conv", "scan", "position")


@dataclass(kw_only=True, slots=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    step : int
        Optimiser steps done.
    consumed_samples : int
        Samples done; the next step begins with the sample of this id.
    bases : int
        Training bases read; N and padding are not counted.
    elapsed_s : float
        Training time, over all its sessions.
    validated_step : int or None
        Step of the last validation.
    best_step, best_bits : int, float, or None
        Step and bits per base of the best validation so far.
    """

    step: int = 0
    consumed_samples: int = 0
    bases: int = 0
    elapsed_s: float = 0.0
    validated_step: int | None = None
    best_step: int | None = None
    best_bits: float | None = None


def checkpoint_folder(run: Path, step: int) -> Path:
    """Folder of the checkpoint made after `step` steps."""
    return run / "checkpoints" / f"step-{step:08d}"


def checkpoints(run: Path) -> list[Path]:
    """All whole checkpoints of a run, oldest first."""
    return sorted(path.parent for path in (run / "checkpoints").glob(f"step-*/{STATE}"))


def best_checkpoint(run: Path, progress: Progress) -> Path | None:
    """Checkpoint of the best validation, or None where there was none."""
    return None if progress.best_step is None else checkpoint_folder(run, progress.best_step)


def save_checkpoint(
    run: Path,
    model: LanguageModel,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    training: dict[str, Any],
    lanes: MambaState | None = None,
) -> Path:
    """Write `checkpoints/step-NNNNNNNN`, whole or not at all, and return it."""
    folder = checkpoint_folder(run, progress.step)
    with atomic_folder(folder) as temporary:
        save_model(temporary, model, training)
        write_state(temporary, model, optimizer, progress, lanes)
    return folder


def write_state(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    lanes: MambaState | None = None,
) -> None:
    """Write what a run needs beside its weights to go on.

    `state.safetensors` holds the optimiser's moments by weight name, torch's generator, on a GPU also that of the GPU,
    and the states of the lanes where they are carried; `state.json` the progress. No tensor knows of its device.
    """
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    tensors: dict[str, Tensor] = {"generator": torch.get_rng_state()}
    if (device := _device_of(model)).type == "cuda":
        tensors[GPU_GENERATOR] = torch.cuda.get_rng_state(device)
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            tensors[f"{key}/{names[parameter]}"] = value
    if lanes is not None:
        tensors |= {f"{LANES}{name}": getattr(lanes, name).contiguous() for name in LANE_TENSORS}
    tensors = {name: tensor.cpu() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, str(folder / STATE_TENSORS))
    write_json(folder / STATE, asdict(progress))


def save_progress(run: Path, progress: Progress) -> None:
    """Write the progress into the checkpoint of its step, which holds everything else already."""
    write_json(checkpoint_folder(run, progress.step) / STATE, asdict(progress))


def load_checkpoint(
    folder: Path, model: LanguageModel, optimizer: torch.optim.Optimizer
) -> tuple[Progress, MambaState | None]:
    """Fill model, optimiser and torch's generator from a checkpoint; return its progress and the states of its lanes.

    Raises
    ------
    RunError
        Where a file is absent or damaged, or does not fit the model.
    """
    stored = load_model(folder)
    if stored.config != model.config:
        raise RunError(f"{folder}: holds a model of another shape; resume with the settings the run was started with")
    model.load_state_dict(stored.state_dict())
    return read_state(folder, model, optimizer)


def read_state(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Progress, MambaState | None]:
    """Fill optimiser and torch's generators with what `write_state` wrote; return the progress, and states of lanes.

    What another kind of device has written is put on this one; a generator that only one of them has stays as it is.

    Raises
    ------
    RunError
        Where a file is absent or damaged.
    """
    try:
        tensors = safetensors.torch.load_file(str(folder / STATE_TENSORS))
    except (SafetensorError, OSError) as error:
        raise RunError(f"{folder / STATE_TENSORS}: damaged or unreadable ({error})") from error
    device = _device_of(model)
    torch.set_rng_state(tensors.pop("generator"))
    of_gpu = tensors.pop(GPU_GENERATOR, None)
    if of_gpu is not None and device.type == "cuda":
        torch.cuda.set_rng_state(of_gpu, device)
    lanes = [tensors.pop(f"{LANES}{name}", None) for name in LANE_TENSORS]
    parameters = dict(model.named_parameters())
    for path, value in tensors.items():
        key, name = path.split("/", 1)
        optimizer.state[parameters[name]][key] = value.to(parameters[name].device)
    carried = [tensor.to(device) for tensor in lanes if tensor is not None]
    return Progress(**read_json(folder / STATE)), MambaState(*carried) if carried else None


def _device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def keep_last(run: Path, count: int, progress: Progress) -> None:
    """Remove all checkpoints but the last `count` and the best."""
    spared = {best_checkpoint(run, progress), *checkpoints(run)[-count:]}
    for folder in checkpoints(run):
        if folder not in spared:
            remove_folder(folder)


def begin_together(ranks: Ranks, run: Path, model: LanguageModel, progress: Progress) -> None:
    """Give every rank the weights of the first, to the bit.

    Raises
    ------
    RunError
        Where they have not all found the same checkpoint.
    """
    steps = [int(step) for (step,) in ranks.gather(progress.step)]
    with ranks.agree():
        for rank, step in enumerate(steps):
            if step != steps[0]:
                raise RunError(
                    f"{run}: process 0 goes on from step {steps[0]}, process {rank} from step {step}; the folder "
                    "must lie where all machines see the same files"
                )
    ranks.take_weights(model)


def set_aside(run: Path, step: int) -> None:
    """Rename the checkpoint of a step, where there is one, so that no run goes on from it: `failed-NNNNNNNN`."""
    folder = checkpoint_folder(run, step)
    if folder.exists():
        target = folder.with_name(f"failed-{step:08d}")
        if target.exists():
            remove_folder(target)
        folder.rename(target)
