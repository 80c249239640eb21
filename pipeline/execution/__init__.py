"""Executing a run's notebooks: scheduler, workers, papermill engine, limits, crash recovery."""
