"""Running the notebooks of a run: scheduling, worker processes, the papermill engine, crash recovery."""
