"""From sequences with labels to an answer: labelled data, its parts and leaks, tasks made from genes, embeddings."""
