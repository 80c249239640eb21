"""The model registry: versions, gate, alias history, model card and lineage. No training here."""
