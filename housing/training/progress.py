"""Show the progress of a long computation in one line that is overwritten."""

import sys
from collections.abc import Callable
from typing import Any

LINE_WIDTH_CHARS = 100


def display_callback() -> Callable[[str], None]:
    """Return the function to call with each new line.

    In a notebook the line is an output of the cell, which JupyterLab, a report and the runner's
    terminal line show while it changes. In a terminal it is a line on stderr. Elsewhere nothing is
    written.
    """
    if "IPython" in sys.modules:
        from IPython import get_ipython

        if get_ipython() is not None:
            return _NotebookDisplay()
    return _overwrite_line if sys.stderr.isatty() else _discard_line


class _NotebookDisplay:
    """An output of the running cell, created with the first line."""

    def __init__(self) -> None:
        self.display_handle: Any = None

    def __call__(self, line: str) -> None:
        from IPython.display import display

        data = {"text/plain": line}
        if self.display_handle is None:
            self.display_handle = display(data, raw=True, display_id=True)
        else:
            self.display_handle.update(data, raw=True)


def _overwrite_line(line: str) -> None:
    sys.stderr.write(f"\r{line[:LINE_WIDTH_CHARS]:{LINE_WIDTH_CHARS}}")
    sys.stderr.flush()


def _discard_line(line: str) -> None:
    pass
