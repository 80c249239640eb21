"""Show the progress of a long computation in one line that is overwritten."""

import sys
from collections.abc import Callable

LINE_WIDTH_CHARS = 100


def display_callback() -> Callable[[str], None]:
    """Return the function to call with each new line.

    In a notebook the line is an output of the cell, which JupyterLab, a report and the runner's
    terminal line show while it changes. In a terminal it is a line on stderr. Elsewhere nothing is
    written.
    """
    if "IPython" in sys.modules:
        from IPython import get_ipython
        from IPython.display import DisplayHandle

        if get_ipython() is not None:
            handle = DisplayHandle()
            handle.display({"text/plain": "starting"}, raw=True)
            return lambda line: handle.update({"text/plain": line}, raw=True)
    return _overwrite_line if sys.stderr.isatty() else lambda line: None


def _overwrite_line(line: str) -> None:
    sys.stderr.write(f"\r{line[:LINE_WIDTH_CHARS]:{LINE_WIDTH_CHARS}}")
    sys.stderr.flush()
