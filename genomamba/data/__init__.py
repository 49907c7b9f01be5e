"""From FASTA files to training samples: validation, cache, splits, stream, dataset card."""
