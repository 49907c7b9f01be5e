"""Mutational classes: which variants are alike before any model is asked.

A class is named by a chain of names, from the narrowest to `ALL`, so that what is too rare for a background of its own
can take that of a wider class.
"""

from __future__ import annotations

from typing import Final

from genomamba.coordinates import Variant
from genomamba.data.genome import Genome

__all__ = ["ALL", "KINDS", "LENGTHS", "Chain", "Classes", "length_bin"]

Chain = tuple[str, ...]
"""Names of the classes that a variant belongs to, the narrowest first; the last is `ALL`."""

ALL: Final = "all"
KINDS: Final = (
    "CpG transition", "other transition", "transversion", "mnv", "insertion", "deletion", "complex",
)  # fmt: skip
"""Classes of which every variant belongs to one, but SNVs beside an N, which are `snv` alone."""
LENGTHS: Final = ((1, 1), (2, 2), (3, 5), (6, 20), (21, 50), (51, None))
"""Bins of the length of what is not an SNV: the bases put in or taken out, the more of the two; both ends inclusive."""

_BASES: Final = frozenset("ACGT")
_COMPLEMENT: Final = str.maketrans("ACGT", "TGCA")
_TRANSITIONS: Final = frozenset({"AG", "GA", "CT", "TC"})


class Classes:
    """Classes of the variants of one genome.

    Parameters
    ----------
    genome : Genome
        Whose bases stand beside a variant; those in lower case are soft-masked.
    folded : bool
        Name SNVs by the strand on which the base that changes is C or T, as COSMIC does: A>G is T>C. Right where a
        score is that of both strands, so that it cannot tell one from the other.
    """

    def __init__(self, genome: Genome, *, folded: bool) -> None:
        self._genome, self._folded = genome, folded
        self._of_snv: dict[tuple[str, str, bool], Chain] = {}

    def of(self, contig: str, variant: Variant) -> Chain:
        """Return the chain of a variant that lies within a contig; the bases that both alleles share do not count."""
        is_short = len(variant.ref) == len(variant.alt) == 1
        least = variant if is_short else variant.trimmed()
        if len(least.ref) == len(least.alt) == 1:
            context, masked = self._around(contig, least.start)
            key = (context[0] + least.ref + context[2]).upper(), least.alt.upper(), masked
            if key not in self._of_snv:
                self._of_snv[key] = self._snv(*key)
            return self._of_snv[key]
        kind = least.kind
        # An insertion stands behind a base, whose case counts; the first of a contig has none before it.
        at = max(0, least.start - 1) if kind == "insertion" else least.start
        _, masked = self._around(contig, min(at, self._genome.length(contig) - 1))
        binned = f"{kind} {length_bin(max(len(least.ref), len(least.alt)))}"
        return _by_case(binned, masked), binned, kind, ALL

    def _snv(self, context: str, alt: str, masked: bool) -> Chain:
        """Return the chain of an SNV: three bases of the reference, of which the middle one becomes `alt`."""
        if not _BASES.issuperset(context):
            return "snv", ALL
        if self._folded and context[1] in "AG":
            context, alt = context[::-1].translate(_COMPLEMENT), alt.translate(_COMPLEMENT)
        left, ref, right = tuple(context)
        name = f"{left}[{ref}>{alt}]{right}"
        if ref + alt not in _TRANSITIONS:
            kind = "transversion"
        else:
            is_cpg = context[1:] == "CG" or context[:2] == "CG"
            kind = "CpG transition" if is_cpg else "other transition"
        return _by_case(name, masked), name, kind, "snv", ALL

    def _around(self, contig: str, at: int) -> tuple[str, bool]:
        """Return a base and its neighbours, N where there is none, and whether the base is soft-masked."""
        genome, alphabet = self._genome, self._genome.alphabet
        start, end = max(0, at - 1), min(genome.length(contig), at + 2)
        symbols = genome.fetch(contig, start, end)
        letters = alphabet.decode(alphabet.token_of_symbol[symbols]).decode("latin-1")
        context = "N" * (start - at + 1) + letters + "N" * (at + 2 - end)
        middle = at - start
        # Of `bytes`, letters keep their case; of DNA, symbols know it.
        masked = bool(alphabet.softmask(symbols)[middle]) or letters[middle].islower()
        return context, masked


def length_bin(length: int) -> str:
    """Return the name of the bin of `LENGTHS` that a length, 1 or more, lies in: `1`, `3-5`, `51+`."""
    low, high = next((low, high) for low, high in LENGTHS if high is None or length <= high)
    if high is None:
        return f"{low}+"
    return str(low) if low == high else f"{low}-{high}"


def _by_case(name: str, masked: bool) -> str:
    return f"{name} {'masked' if masked else 'unmasked'}"
