"""Inside a kernel: records the modules that code has loaded, and those it looked for in vain."""

import atexit
import sys
from pathlib import Path
from typing import Any

from pipeline.staleness.access_kinds import (
    PACKAGE_FOLDERS,
    loaded_modules_path,
    missing_modules_path,
)

# that ipykernel imports when a client asks for something, or looks for as the user's extensions
LATE_KERNEL_MODULES = {"psutil", "storemagic"}


def start_tracing(access_log: Path) -> "ImportTracer":
    """Write the names to files beside the log of accesses when this process ends."""
    tracer = ImportTracer()
    sys.meta_path.append(tracer)
    atexit.register(tracer.write_names, access_log)
    return tracer


class ImportTracer:
    """An import finder that is asked when no other has found a module."""

    def __init__(self) -> None:
        self.names: set[str] = set()  # of the modules that were not found
        self.kernel_names: set[str] = set()  # top-level modules that the kernel itself has loaded

    def note_kernel_modules(self) -> None:
        """Take what is loaded for the kernel's own, and forget what the kernel itself did not find.

        Call before any of the user's code runs.
        """
        self.names.clear()
        self.kernel_names = _loaded_names() | LATE_KERNEL_MODULES

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> None:
        """Record a module that is not found, unless it would be part of an installed package."""
        folders = [] if path is None else list(path)
        is_part = any(package in folder for folder in folders for package in PACKAGE_FOLDERS)
        if not is_part and name.partition(".")[0] not in sys.stdlib_module_names:
            self.names.add(name)

    def write_names(self, access_log: Path) -> None:
        """Write the names of the modules that were not found later either, and of those loaded.

        The latter are two lines of top-level modules: those of the kernel itself, then the others.
        """
        missing_names = sorted(self.names - sys.modules.keys() - LATE_KERNEL_MODULES)
        missing_modules_path(access_log).write_text(
            "".join(f"{name}\n" for name in missing_names), encoding="utf-8"
        )
        other_names = _loaded_names() - self.kernel_names
        lines = [" ".join(sorted(names)) for names in (self.kernel_names, other_names)]
        loaded_modules_path(access_log).write_text("\n".join(lines), encoding="utf-8")


def _loaded_names() -> set[str]:
    names = {name.partition(".")[0] for name in list(sys.modules)}
    return names - sys.stdlib_module_names
