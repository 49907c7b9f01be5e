"""Snakemake workflows: what their configurations may hold, how a folder is set up for one, and how it is run."""
