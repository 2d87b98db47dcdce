"""The pipeline: generation, scoring and settlement of auctions for influence on a language model's reply."""
