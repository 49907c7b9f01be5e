"""From the tensors of a file to a network: every name and shape checked, no weight drawn only to be overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.errors import RunError
from genomamba.model.checkpoint.layout import Layout, Tensors
from genomamba.model.language_model import LanguageModel

__all__ = ["fill"]

MOST_NAMED: Final = 6
_FLOATING: Final = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True)
class _Slot:
    """One tensor of the network under all its names: a tied one has several, and a file may hold any of them."""

    names: tuple[str, ...]
    shape: tuple[int, ...]


def fill(layout: Layout, stored: Tensors, path: Path, device: torch.device | str = "cpu") -> LanguageModel:
    """Build the network of a layout with the tensors of a file.

    Parameters
    ----------
    layout : Layout
        What the files hold, and how it turns into our network.
    stored : dict of tensors
        By their names in the files.
    path : Path
        The file, for messages.
    device : torch.device or str
        Where the weights go.

    Returns
    -------
    LanguageModel
        Float32, or float64 where a tensor is stored so; in memory of its own.

    Raises
    ------
    RunError
        Where names or shapes do not fit, or tied tensors differ; the message names them.
    """
    stored = _with_prefix(stored, layout.prefix)
    model, slots = _empty(layout.stored)
    places = _match(layout, stored, slots, path)
    _check_complements(layout, stored, path)
    dtype = torch.float64 if any(x.dtype == torch.float64 for x in stored.values()) else torch.float32
    tensors = {
        slot.names[0]: stored[place].to(device=device, dtype=dtype, copy=True)
        for slot, place in zip(slots, places, strict=True)
    }
    tensors = layout.turn(tensors)
    if layout.config != layout.stored:
        model, slots = _empty(layout.config)
    state: Tensors = {}
    for slot in slots:
        tensor = next(tensors[name] for name in slot.names if name in tensors).contiguous()
        state |= dict.fromkeys(slot.names, tensor)
    model.load_state_dict({name: state[name] for name in model.state_dict()}, assign=True)
    return model.to(device)


def _empty(config: ModelConfig) -> tuple[LanguageModel, list[_Slot]]:
    """Make a network whose weights have no values yet, and list its tensors."""
    with torch.device("meta"):
        model = LanguageModel(config)
    names: dict[Tensor, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    if config.tie_head:
        names[model.embedding.weight].append("head.weight")
    return model, [_Slot(tuple(same), tuple(parameter.shape)) for parameter, same in names.items()]


def _with_prefix(stored: Tensors, prefix: str) -> Tensors:
    """Give the names of a network that was saved without its head the prefix that they have with it."""
    if not prefix or any(name.startswith(prefix) for name in stored):
        return stored
    return {name if name.startswith("lm_head.") else prefix + name: tensor for name, tensor in stored.items()}


def _match(layout: Layout, stored: Tensors, slots: Sequence[_Slot], path: Path) -> list[str]:
    """Return the name in the file of each slot's tensor, where all of them fit."""
    missing, misshaped, matched, known = [], [], [], set(layout.complements)
    for slot in slots:
        published = [layout.published(name) for name in slot.names]
        found = [name for name in published if name in stored]
        known |= set(found)
        if not found:
            missing.append(published[0])
        misshaped += [f"{name} {tuple(stored[name].shape)} for {slot.shape}" for name in found
                      if tuple(stored[name].shape) != slot.shape]  # fmt: skip
        matched.append(found)
    odd = [f"{name} ({stored[name].dtype})" for name in known & set(stored) - layout.complements
           if stored[name].dtype not in _FLOATING]  # fmt: skip
    faults = {
        "missing": missing,
        "unexpected": sorted(set(stored) - known),
        "misshaped": misshaped,
        "not floating": sorted(odd),
    }
    if any(faults.values()):
        told = "; ".join(f"{fault} {_cut(names)}" for fault, names in faults.items() if names)
        raise RunError(f"{path}: weights do not fit the config: {told}")
    for first, *others in matched:
        for other in others:
            if stored[first].dtype != stored[other].dtype or not torch.equal(stored[first], stored[other]):
                raise RunError(f"{path}: {first} and {other} differ, and the config ties them into one")
    return [names[0] for names in matched]


def _check_complements(layout: Layout, stored: Tensors, path: Path) -> None:
    for name in sorted(layout.complements & set(stored)):
        expected = get_alphabet(layout.config.alphabet).complements(layout.config.vocab_size)
        if stored[name].tolist() != expected.tolist():
            raise RunError(
                f"{path}: {name} is {stored[name].tolist()}, but the alphabet {layout.config.alphabet} has "
                f"{expected.tolist()}; name the right one by --alphabet"
            )


def _cut(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
