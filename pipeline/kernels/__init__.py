"""Kernels that start from a warm process, and note the files that a notebook opens."""
