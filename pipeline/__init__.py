"""The runner: parameterized notebooks, executed by papermill in sequence, kept as reports.

Knows nothing of the domain: a project gives it a list of steps and a folder.
"""

from pipeline.cli import main
from pipeline.steps import Step

__all__ = ["Step", "main"]
