"""Which alleles are scored, and why the others are not."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.score.reading import Strand

__all__ = ["Status", "reference_of", "status_of"]

_BASES: Final = frozenset("ACGTacgt")


class Status(StrEnum):
    """What became of an allele; only the first is scored, and REF_MISMATCH where that is asked for."""

    OK = "OK"
    """Scored."""
    REF_MISMATCH = "REF_MISMATCH"
    """The genome has other bases than REF, upper and lower case being alike."""
    NO_CONTIG = "NO_CONTIG"
    """The genome has no such contig."""
    OUT_OF_RANGE = "OUT_OF_RANGE"
    """REF begins before the contig or ends behind it."""
    SYMBOLIC = "SYMBOLIC"
    """REF or ALT is no sequence: <DEL>, a breakend, *, a missing allele."""
    AMBIGUOUS = "AMBIGUOUS"
    """REF or ALT has other letters than A, C, G, T, or both are the same."""
    EDGE = "EDGE"
    """No base of both haplotypes lies from REF's first base on, along one of the strands."""
    TOO_LONG = "TOO_LONG"
    """REF or ALT is longer than half the horizon."""

    @property
    def reason(self) -> str:
        """What a user is told."""
        return _REASONS[self]


_REASONS: Final = {
    Status.OK: "scored",
    Status.REF_MISMATCH: "REF is not what the FASTA has there",
    Status.NO_CONTIG: "the FASTA has no such contig; --chrom-map may name it",
    Status.OUT_OF_RANGE: "REF lies outside of the contig",
    Status.SYMBOLIC: "an allele is no sequence",
    Status.AMBIGUOUS: "an allele has other letters than A, C, G and T, or ALT is REF",
    Status.EDGE: "the contig has no base to compare there",
    Status.TOO_LONG: "an allele is too long for --horizon, or for --context",
}


def reference_of(genome: Genome, contig: str, variant: Variant) -> str:
    """Return the letters that a genome has in the place of a variant's REF, which lies within the contig."""
    alphabet = genome.alphabet
    symbols = genome.fetch(contig, variant.start, variant.end)
    return alphabet.decode(alphabet.token_of_symbol[symbols]).decode("latin-1")


def status_of(
    variant: Variant, genome: Genome, contig: str | None, longest: int, strands: Collection[Strand] = ("+", "-")
) -> Status:
    """Tell whether an allele can be scored: the first reason against it, or OK.

    Parameters
    ----------
    variant : Variant
        Its own contig name is not looked at.
    genome : Genome
        Where it lies.
    contig : str, optional
        The contig's name in the FASTA; None where there is none.
    longest : int
        Bases that an allele may have.
    strands : collection of {"+", "-"}
        Along which it is to be scored.
    """
    if not variant.is_sequence:
        return Status.SYMBOLIC
    if not _BASES.issuperset(variant.ref + variant.alt) or variant.ref.upper() == variant.alt.upper():
        return Status.AMBIGUOUS
    if contig is None:
        return Status.NO_CONTIG
    length = genome.length(contig)
    if not 0 <= variant.start <= variant.end <= length:
        return Status.OUT_OF_RANGE
    if max(len(variant.ref), len(variant.alt)) > longest:
        return Status.TOO_LONG
    if reference_of(genome, contig, variant).upper() != variant.ref.upper():
        return Status.REF_MISMATCH
    behind = {"+": length - variant.end, "-": variant.start}
    shorter = min(len(variant.ref), len(variant.alt))
    return Status.OK if all(behind[strand] + shorter for strand in strands) else Status.EDGE
