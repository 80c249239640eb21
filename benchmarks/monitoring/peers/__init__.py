"""Evidently and NannyML on the same simulated weeks, each in an environment of its own.

`evidently_weeks` and `nannyml_weeks` run in those environments: they import nothing of this
project.
"""
