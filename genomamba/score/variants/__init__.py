"""Scores of variants: how a model's predictions change where an allele takes the place of the reference."""
