"""Inside a kernel: records the modules that code looks for in vain, as it may do without them."""

import atexit
import sys
from pathlib import Path
from typing import Any

from pipeline.staleness.access_kinds import PACKAGE_FOLDERS


def start_tracing(log_path: Path) -> None:
    """Write the names to a file, one a line, when this process ends."""
    finder = _LastFinder()
    sys.meta_path.append(finder)
    atexit.register(finder.write_names, log_path)


class _LastFinder:
    """An import finder that is asked when no other has found a module."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> None:
        """Record a module that is not found, unless it would be part of an installed package."""
        folders = [] if path is None else list(path)
        is_part = any(package in folder for folder in folders for package in PACKAGE_FOLDERS)
        if not is_part and name.partition(".")[0] not in sys.stdlib_module_names:
            self.names.add(name)

    def write_names(self, log_path: Path) -> None:
        """Write the names of the modules that were not found later either."""
        missing_names = sorted(self.names - sys.modules.keys())
        log_path.write_text("".join(f"{name}\n" for name in missing_names))
