"""Importing packages before the kernels start, and handing them to the notebooks that want them."""
