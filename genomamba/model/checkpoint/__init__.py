"""Weights on disk and on the hub: our own layout, and those in which others have published theirs."""

from genomamba.model.checkpoint.load import Checkpoint, load_model, open_checkpoint
from genomamba.model.checkpoint.mamba import check_huggingface, save_huggingface
from genomamba.model.checkpoint.native import save_model
from genomamba.model.checkpoint.source import is_hub_name

__all__ = [
    "Checkpoint",
    "check_huggingface",
    "is_hub_name",
    "load_model",
    "open_checkpoint",
    "save_huggingface",
    "save_model",
]
