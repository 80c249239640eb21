"""Two models on the same rows: champion and challenger, compared by their errors at any time."""
