"""Jupyter kernels that are forked from a warm process, and record the files a notebook opens."""
