"""Jupyter kernels that start warm, and record the files a notebook opens.

A fork of a process that has done the imports starts at once: of three notebooks that import pandas,
scikit-learn and matplotlib, the second and third took 1.3 s each, report included, and 13 s with
--cold, which starts every kernel as a new process; the run 17 s and 46 s (medians of four runs on
two busy cores). jupyter_client finds the provisioner by its entry point; the runner alone names it.
"""
