"""Byte- and nucleotide-level Mamba for long DNA sequences: from FASTA to a pretrained model."""

__all__ = ["__version__"]

__version__ = "0.1.0"
