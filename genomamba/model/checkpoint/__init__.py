"""Weights on disk. `native` is our own layout; published layouts get a module each."""

from genomamba.model.checkpoint.native import load_model, save_model

__all__ = ["load_model", "save_model"]
