"""The commands of `run_pipeline.py`, as a user types them, in this process."""

from collections.abc import Iterable

import run_pipeline
from housing import paths
from pipeline import main


def run_command(name: str, arguments: Iterable[object] = ()) -> int:
    """Run a command of the project; return its exit code."""
    words = [name, *map(str, arguments)]
    return main(run_pipeline.STEPS, paths.home(), words, commands=run_pipeline.COMMANDS)
