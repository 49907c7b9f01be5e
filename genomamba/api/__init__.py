"""The front door of `import genomamba`: a model by name, what it says of sequences, and of variants.

Everything here is a few lines over rooms below: `genomamba.model` runs the network, `genomamba.score` cuts and packs
what it reads, `genomamba.classify` trains heads.
"""

from typing import TYPE_CHECKING, Any

from genomamba.api.model import GeneratedSequence, Model, embed, from_pretrained
from genomamba.api.mutations import mutagenesis
from genomamba.api.variants import VariantScorer, score_variants

if TYPE_CHECKING:
    from genomamba.api.classify import SequenceClassifier, SequenceRegressor

__all__ = [
    "GeneratedSequence",
    "Model",
    "SequenceClassifier",
    "SequenceRegressor",
    "VariantScorer",
    "embed",
    "from_pretrained",
    "mutagenesis",
    "score_variants",
]


def __getattr__(name: str) -> Any:
    # scikit-learn takes a second to import, and the rest needs none of it.
    if name in ("SequenceClassifier", "SequenceRegressor"):
        from genomamba.api import classify

        return getattr(classify, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
