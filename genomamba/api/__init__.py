"""The front door of `import genomamba`: a model by name, what it says of sequences, and of variants.

Everything here is a few lines over rooms below: `genomamba.model` runs the network, `genomamba.score` cuts and packs
what it reads.
"""

from genomamba.api.model import GeneratedSequence, Model, from_pretrained
from genomamba.api.mutations import mutagenesis
from genomamba.api.variants import VariantScorer, score_variants

__all__ = ["GeneratedSequence", "Model", "VariantScorer", "from_pretrained", "mutagenesis", "score_variants"]
