"""Chromosome I of three yeasts, real and small: what commands run on where no FASTA is given."""

from __future__ import annotations

from pathlib import Path

__all__ = ["example_paths"]

_HERE = Path(__file__).parent


def example_paths() -> dict[str, dict[str, Path]]:
    """Return files by species: `fasta`, `gff`, for S. cerevisiae `gtf`; README.md has source and licence.

    S. cerevisiae is what examples train on; the other two are species that the model has not seen.
    """
    return {
        "scerevisiae": {
            "fasta": _HERE / "scerevisiae_I.fa.gz",
            "gff": _HERE / "scerevisiae_I.gff.gz",
            "gtf": _HERE / "scerevisiae_I.gtf.gz",
        },
        "smikatae": {"fasta": _HERE / "smikatae_1.fa.gz", "gff": _HERE / "smikatae_1.gff.gz"},
        "skudriavzevii": {"fasta": _HERE / "skudriavzevii_1.fa.gz", "gff": _HERE / "skudriavzevii_1.gff.gz"},
    }
