"""How far a long computation is: one line, written over as it goes on."""

import sys
from collections.abc import Callable

WIDTH = 100


def shown() -> Callable[[str], None]:
    """What to call with each new line.

    In a notebook it is an output of the cell, which JupyterLab, a report and the runner's terminal
    line show while it changes. In a terminal it is a line on stderr. Elsewhere nothing is written.
    """
    if "IPython" in sys.modules:
        from IPython import get_ipython

        if get_ipython() is not None:
            return _Output()
    return _redraw if sys.stderr.isatty() else _quiet


class _Output:
    """An output of the running cell; there from the first line on."""

    def __init__(self) -> None:
        self.handle = None

    def __call__(self, line: str) -> None:
        from IPython.display import display

        said = {"text/plain": line}
        if self.handle is None:
            self.handle = display(said, raw=True, display_id=True)
        else:
            self.handle.update(said, raw=True)


def _redraw(line: str) -> None:
    sys.stderr.write(f"\r{line[:WIDTH]:{WIDTH}}")
    sys.stderr.flush()


def _quiet(line: str) -> None:
    pass
