"""The one way from MODEL to a network: where it is, whose layout it has, and what its token ids stand for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.errors import RunError
from genomamba.files import read_json
from genomamba.model.checkpoint.caduceus import caduceus_layout
from genomamba.model.checkpoint.fill import fill
from genomamba.model.checkpoint.layout import Layout, Values
from genomamba.model.checkpoint.mamba import huggingface_layout, state_spaces_layout
from genomamba.model.checkpoint.native import FORMAT, native_layout
from genomamba.model.checkpoint.source import find_folder
from genomamba.model.checkpoint.vocabulary import ALPHABET_KEY, ask_for_alphabet, is_caduceus, read_vocabulary
from genomamba.model.checkpoint.weights import find_weights, read_tensors
from genomamba.model.language_model import LanguageModel

__all__ = ["Checkpoint", "load_model", "open_checkpoint"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A model on disk whose config is read and whose weights are not yet.

    Attributes
    ----------
    name : str
        MODEL as it was given.
    weights : Path
        The file of the weights, or the index of its shards.
    layout : Layout
        Whose layout it has, the network it holds, and how it was trained as far as the files say.
    """

    name: str
    weights: Path
    layout: Layout

    @property
    def config(self) -> ModelConfig:
        """Shape of the network."""
        return self.layout.config

    @property
    def training(self) -> dict[str, Any]:
        """How it was trained, as far as the files say: objective, and for our own runs strand, context and seed."""
        return dict(self.layout.training)

    def load(self, device: torch.device | str = "cpu") -> LanguageModel:
        """Build the network and fill in its weights; raises `RunError` as `load_model` does."""
        model = fill(self.layout, read_tensors(self.weights), self.weights, device)
        model.predicts_bases = self.training.get("network_trained") is not True
        return model


def open_checkpoint(model: str | Path, *, revision: str | None = None, alphabet: str | None = None) -> Checkpoint:
    """Find a model and read its config. Parameters and errors are those of `load_model`."""
    if alphabet is not None:
        get_alphabet(alphabet)
    folder = find_folder(model, revision)
    path, weights = folder / "config.json", find_weights(folder)
    if not path.is_file() or weights is None:
        raise RunError(_nothing_here(model, folder))
    return Checkpoint(name=str(model), weights=weights, layout=_layout_of(path, alphabet))


def load_model(
    model: str | Path,
    *,
    revision: str | None = None,
    alphabet: str | None = None,
    device: torch.device | str = "cpu",
) -> LanguageModel:
    """Build the network that MODEL describes and fill in its weights. No code that lies beside them is run.

    Parameters
    ----------
    model : str or Path
        A run folder, a checkpoint folder, or OWNER/NAME on the Hugging Face hub, in our own layout or in that of
        state-spaces Mamba-1, Hugging Face Mamba-1, or Caduceus.
    revision : str, optional
        Branch, tag or commit of a name on the hub.
    alphabet : str, optional
        What the token ids stand for, as `get_alphabet` takes it; needed where no file says so.
    device : torch.device or str
        Where the weights go.

    Returns
    -------
    LanguageModel
        In training mode; float32, or float64 where weights are stored so.

    Raises
    ------
    RunError
        Where files are absent or damaged, are of another kind of network, or names and shapes do not fit; the
        message lists them.
    ConfigError
        Where no file says what the token ids stand for, or `alphabet` does not fit.
    """
    return open_checkpoint(model, revision=revision, alphabet=alphabet).load(device)


def _nothing_here(model: str | Path, folder: Path) -> str:
    unfinished = sorted((folder / "checkpoints").glob("step-*"))
    if unfinished:
        return f"{model}: the run has not ended, so there is no model here yet; give its checkpoint {unfinished[-1]}"
    return (
        f"{model}: no model here; a run or checkpoint folder holds config.json and weights, as model.safetensors or "
        "pytorch_model.bin"
    )


def _layout_of(path: Path, alphabet: str | None) -> Layout:
    read = read_json(path)
    if not isinstance(read, dict):
        raise RunError(f"{path}: damaged; it should hold a JSON object")
    values = Values(read, str(path))
    if read.get("format") == FORMAT:
        layout = native_layout(read, path)
        if alphabet not in (None, layout.config.alphabet):
            raise values.refuse(f"the model has the alphabet {layout.config.alphabet}; it cannot be read as {alphabet}")
        return layout
    alphabet_of = partial(_alphabet_of, values, path.parent, alphabet)
    match read.get("model_type"):
        case "mamba":
            return huggingface_layout(values, alphabet_of)
        case "caduceus":
            return caduceus_layout(values, alphabet_of)
        case None if {"d_model", "n_layer"} <= read.keys():
            return state_spaces_layout(values, alphabet_of)
        case kind:
            raise values.refuse(
                f"is of {f'model_type {kind!r}' if kind else 'no kind that is known here'}; what is read is genomamba, "
                "state-spaces Mamba-1, Hugging Face mamba and caduceus"
            )


def _alphabet_of(
    values: Values, folder: Path, given: str | None, rows: int, complements_agree: bool | None = False
) -> str:
    if given is not None:
        return given
    if noted := values.text(ALPHABET_KEY, ""):
        return noted
    if (found := read_vocabulary(folder)) is not None:
        return found
    if is_caduceus(folder, complements_agree):
        return "dna"
    raise ask_for_alphabet(values.where, rows)
