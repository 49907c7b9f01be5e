"""What a causal model is asked of variants, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from genomamba.coordinates import Variant
from genomamba.errors import ConfigError
from genomamba.score.reading import Strand
from genomamba.score.variants.status import Status

__all__ = ["CausalScore", "CausalSettings"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CausalSettings:
    """What a score depends on beside the model, the genome and the variant, and what it does not depend on."""

    context: int | None
    """Most bases to the left of a variant, even: it has half as many or more, or all there are. None: all there are."""
    horizon: int = 2048
    """Bases from the variant on that are compared."""
    strands: tuple[Strand, ...] = ("+", "-")
    """Strands whose scores are averaged."""
    keep_mismatches: bool = False
    """Score variants whose REF is not what the genome has, too: as many bases of the genome give way to ALT."""
    batch_size: int | None = None
    """Sequences that go through the model at once. Default: `default_batch_size`."""

    def __post_init__(self) -> None:
        if self.context is not None and (self.context < 2 or self.context % 2):
            raise ConfigError(
                f"is {self.context}; it must be an even number of bases, such as 131072", option="context"
            )
        if self.horizon < 2:
            raise ConfigError(f"is {self.horizon}; it must be 2 bases or more, such as 2048", option="horizon")
        if self.batch_size is not None and self.batch_size < 1:
            raise ConfigError(f"is {self.batch_size}; it must be 1 or more, such as 16", option="batch_size")
        if not self.strands or len(set(self.strands)) != len(self.strands) or not {"+", "-"}.issuperset(self.strands):
            raise ConfigError(f"is {' '.join(self.strands)!r}; it must be +, - or both", option="strand")

    @property
    def longest(self) -> int:
        """Bases that an allele may have."""
        return self.horizon // 2


@dataclass(frozen=True, slots=True)
class CausalScore:
    """What a causal model says of a variant.

    Attributes
    ----------
    variant : Variant
        As it was given.
    status : Status
        Why it is not scored, or OK.
    llr : float
        Log-likelihood of the alternative haplotype minus that of the reference, in nats, over as many bases of each
        from the variant on; the mean over the strands, NaN where it is not scored.
    llr_length_corrected : float
        The same, but both haplotypes end with the same base of the reference, and each base that the alternative has
        more is taken to cost what a base of the reference costs on average. `llr` where both have the same length.
    """

    variant: Variant
    status: Status
    llr: float
    llr_length_corrected: float
