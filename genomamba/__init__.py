"""Byte- and nucleotide-level Mamba for long DNA sequences: from FASTA to a pretrained model."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genomamba.api import GeneratedSequence, Model, VariantScorer, from_pretrained, mutagenesis, score_variants

__all__ = [
    "GeneratedSequence",
    "Model",
    "VariantScorer",
    "__version__",
    "from_pretrained",
    "mutagenesis",
    "score_variants",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # torch takes seconds to import, and `genomamba --help` needs none of it.
    if name in __all__:
        if "torch" not in sys.modules:
            from genomamba.cli.process import prepare_process

            prepare_process()
        from genomamba import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
