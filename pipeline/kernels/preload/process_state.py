"""The state of a process that an import may depend on, and what a notebook has changed in it."""

import ctypes
import locale
import logging
import mmap
import os
import resource
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

# a kernel, and IPython for figures, replace them
VARYING_NAMES = {
    *(("builtins", name) for name in ("input", "exit", "quit", "display", "get_ipython")),
    *(("sys", name) for name in ("displayhook", "excepthook", "ps1", "ps2", "ps3")),
    *(("sys", name) for name in ("last_type", "last_value", "last_traceback", "last_exc")),
    ("getpass", "getpass"),
    ("mimetypes", "inited"),
    ("matplotlib.pyplot", "draw_if_interactive"),
}
CONSTANT_TYPES = (bool, int, float, str, bytes, tuple, frozenset)
MIN_SUFFIX_LENGTH = 6  # of a variable's name without its prefix


class ProcessState(NamedTuple):
    """What packages may look at when they are imported."""

    variables: dict[str, str]
    c_variables: dict[str, str]  # the same, as code in C sees them
    working_folder: str
    logging: tuple  # of the root logger
    loggers: dict[str, tuple]  # of the others, by name
    random: tuple
    filters: list[tuple]  # of warnings
    settings: dict[str, Any]  # how the notebook changes it -> the present value

    @classmethod
    def take(cls) -> "ProcessState":
        """Return the present state of this process."""
        import random

        root = logging.getLogger()
        return cls(
            dict(os.environ),
            c_environment(),
            os.getcwd(),  # noqa: PTH109
            (root.level, tuple(root.handlers), root.manager.disable, logging.getLoggerClass()),
            {
                name: (logger.level, tuple(logger.handlers), logger.propagate)
                for name, logger in list(root.manager.loggerDict.items())
                if isinstance(logger, logging.Logger)
            },
            random.getstate()[1][:-1],  # the same after a few draws, but not after a new seed
            list(warnings.filters),
            {
                "replaces sys.stdout": sys.stdout,
                "replaces sys.stderr": sys.stderr,
                "changes sys.argv": list(sys.argv),
                "disables loggers": _disabled_loggers(),
                "sets the recursion limit": sys.getrecursionlimit(),
                "sets the locale": locale.setlocale(locale.LC_ALL),
                "sets the threads' stack size": _stack_size(),
                "sets a timeout for sockets": socket.getdefaulttimeout(),
                "sets the cores it may use": sorted(os.sched_getaffinity(0)),
                "sets a limit of resources": [
                    resource.getrlimit(limit)
                    for limit in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_CPU)
                ],
            },
        )

    def changed_variables(self, earlier: "ProcessState") -> list[str]:
        """Return the names of environment variables that differ."""
        pairs = ((self.variables, earlier.variables), (self.c_variables, earlier.c_variables))
        return sorted(
            {
                name
                for variables, earlier_variables in pairs
                for name in variables.keys() | earlier_variables.keys()
                if variables.get(name) != earlier_variables.get(name)
            }
        )

    def changed_settings(self, earlier: "ProcessState") -> list[str]:
        """Return how the notebook has changed the settings."""
        return [name for name, value in self.settings.items() if value != earlier.settings[name]]

    def configured_loggers(self, earlier: "ProcessState", packages: set[str]) -> Iterator[str]:
        """Yield the loggers that are named like packages and whose level or handlers differ."""
        for name, logger in earlier.loggers.items():
            if name.partition(".")[0] in packages and self.loggers.get(name) != logger:
                yield name

    def may_show_more_warnings(self, earlier: "ProcessState") -> bool:
        """Return whether a warning may be shown or raised that was hidden earlier."""
        return any(
            entry[0] != "ignore" for entry in self.filters if entry not in earlier.filters
        ) or any(entry not in self.filters for entry in earlier.filters)


def _stack_size() -> int:
    size = threading.stack_size()  # which sets it to the default
    threading.stack_size(size)
    return size


def _disabled_loggers() -> list[str]:
    loggers = logging.getLogger().manager.loggerDict
    return sorted(name for name, logger in loggers.items() if getattr(logger, "disabled", False))


def c_environment() -> dict[str, str]:
    """Return the environment as C sees it: os.putenv and C libraries do not tell Python."""
    entries: dict[str, str] = {}
    pointer = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    index = 0
    while pointer and pointer[index]:
        name, _, value = os.fsdecode(pointer[index]).partition("=")
        entries[name], index = value, index + 1
    return entries


class ModuleAttributes(NamedTuple):
    """The functions, classes and constants of a module, which nothing but a notebook replaces."""

    module: ModuleType
    values: dict[str, Any]

    @classmethod
    def take(cls, module: ModuleType) -> "ModuleAttributes":
        """Return the present attributes of a module, without special ones."""
        values = {
            name: value
            for name, value in list(vars(module).items())
            if (callable(value) or (type(value) in CONSTANT_TYPES and name[:1] != "_"))
            and not name.startswith("__")
            and (module.__name__, name) not in VARYING_NAMES
        }
        return cls(module, values)

    def changed_names(self) -> Iterator[str]:
        """Yield the names of the attributes that are others now."""
        present_values = vars(self.module)
        for name, value in self.values.items():
            present_value = present_values.get(name)
            if present_value is not value and (callable(value) or present_value != value):
                yield name


def standard_modules() -> list[ModuleType]:
    """Return the modules of the standard library that are imported."""
    return [
        module
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and is_standard(name)
    ]


def is_standard(module_name: str) -> bool:
    """Return whether a module is of the standard library."""
    return module_name.partition(".")[0] in sys.stdlib_module_names


def libraries_mention(variable: str) -> bool:
    """Return whether a native library of a package has the name of an environment variable.

    It may have it without its prefix, as libgomp does.
    """
    names = [variable]
    suffix = variable.partition("_")[2]
    if len(suffix) >= MIN_SUFFIX_LENGTH:
        names.append(suffix)
    return any(_file_contains(path, names) for path in _native_libraries())


def _native_libraries() -> set[str]:
    lines = (
        Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    )
    paths = {line.split(maxsplit=5)[-1] for line in lines if "/" in line}
    return {path for path in paths if ".so" in path and "lib-dynload" not in path}


def _file_contains(path: str, texts: list[str]) -> bool:
    try:
        with (
            Path(path).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return any(content.find(text.encode()) >= 0 for text in texts)
    except (OSError, ValueError):  # it was deleted or is empty
        return False
