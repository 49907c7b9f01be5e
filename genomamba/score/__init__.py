"""What a trained model says of sequences: log-likelihoods, as tracks along a genome and as tables of records."""
