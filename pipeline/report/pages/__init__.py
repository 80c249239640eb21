"""The pages below reports/: a step, a run, the index, a comparison."""
