"""The definition of a pipeline: its steps, their parameters and overrides. Runs no notebook."""
