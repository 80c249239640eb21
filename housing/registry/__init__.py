"""The model registry: versions, the promotion gate, alias history, model card and lineage. No training here."""
