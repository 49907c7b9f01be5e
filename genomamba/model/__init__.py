"""The network: mixer, block, language model, strands, and weights on disk."""

from genomamba.model.language_model import LanguageModel, count_parameters

__all__ = ["LanguageModel", "count_parameters"]
