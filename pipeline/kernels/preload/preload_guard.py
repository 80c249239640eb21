"""What a package sees of the notebook while it is preloaded, and what it must not do then.

An import that does more than a fork can take over is given up: each kernel does it itself.
"""

import builtins
import contextlib
import gc
import io
import locale
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

# imported, it tells the shell to show figures
NOT_PRELOADED_MODULES = frozenset({"matplotlib_inline.backend_inline"})
# that change the process for all, with the fewest arguments that do so
REFUSED_FUNCTIONS = (
    (gc, "disable", 0),
    (gc, "set_threshold", 1),
    (locale, "setlocale", 2),
    (logging, "basicConfig", 0),
    (logging, "captureWarnings", 1),
    (logging, "disable", 0),
    (logging, "setLoggerClass", 1),
    (os, "chdir", 1),
    (os, "nice", 1),
    (os, "umask", 1),
    (resource, "setrlimit", 2),
    (signal, "signal", 2),
    (socket, "setdefaulttimeout", 1),
    (sys, "setrecursionlimit", 1),
    (threading.Thread, "start", 1),
    (threading, "stack_size", 1),
)


class PreloadRefused(BaseException):
    """Raised within an import that must not be done in advance; no package catches it."""


class StandInShell:
    """The shell that get_ipython() returns while packages are preloaded.

    They may look what kind of shell it is, but not change it. In a kernel it stands for the shell
    of that kernel.
    """

    def __init__(self, refuse: Callable[[str], None], get_ipython: Callable[[], Any]) -> None:
        self._refuse, self._get_ipython = refuse, get_ipython
        self.is_preloading = True

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        from ipykernel.zmqshell import ZMQInteractiveShell

        return ZMQInteractiveShell

    def __getattr__(self, name: str) -> Any:
        if not self.is_preloading:
            return getattr(self._get_ipython(), name)
        if name == "config":
            return {"IPKernelApp": {}}
        if name == "kernel":
            return object()
        self._refuse(f"get_ipython().{name}")
        return None


class StandInStream(io.TextIOBase):
    """stdout or stderr while packages are preloaded, which some packages keep.

    In a kernel it stands for the stream of that kernel.
    """

    def __init__(self, name: str, refuse: Callable[[str], None]) -> None:
        self.name, self.refuse = name, refuse
        self.target: Any = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of a kernel's streams."""
        return "UTF-8"

    def write(self, text: str) -> int:
        """Write a text; while packages are preloaded, give up the import that writes."""
        if self.target is None and text.strip():
            self.refuse(text)
        return self.target.write(text) if self.target else len(text)

    def flush(self) -> None:
        """Flush the kernel's stream."""
        if self.target:
            self.target.flush()

    def isatty(self) -> bool:
        """Return False, as a kernel's streams do."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True


class PreloadGuard:
    """The surroundings in which packages are preloaded. refuse: raises PreloadRefused."""

    def __init__(self, refuse: Callable[[str], None]) -> None:
        import IPython
        from IPython.core import getipython

        self.refuse, self.ipython_modules = refuse, (IPython, getipython)
        self.streams = [StandInStream(name, refuse) for name in ("stdout", "stderr")]
        self.get_original = getipython.get_ipython
        self.shell = StandInShell(refuse, self.get_original)
        self.is_active = False

    @contextlib.contextmanager
    def activate(self) -> Iterator[None]:
        """Let packages see a notebook's shell and streams; refuse output, threads and the like."""
        stdout, stderr = self.streams
        main_module = sys.modules["__main__"]
        originals = [(owner, name, getattr(owner, name)) for owner, name, _ in REFUSED_FUNCTIONS]
        for owner, name, n_arguments in REFUSED_FUNCTIONS:
            setattr(owner, name, self._refusing(getattr(owner, name), n_arguments))
        sys.modules["__main__"] = ModuleType("__main__")
        for module in self.ipython_modules:
            module.get_ipython = self._get_ipython  # type: ignore[attr-defined]
        vars(builtins).update(get_ipython=self._get_ipython, __IPYTHON__=True)
        self.is_active = True
        try:
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                yield
        finally:
            self.is_active = False
            for owner, name, original in originals:
                setattr(owner, name, original)
            sys.modules["__main__"] = main_module
            for module in self.ipython_modules:
                module.get_ipython = self.get_original  # type: ignore[attr-defined]
            for name in ("get_ipython", "__IPYTHON__"):
                delattr(builtins, name)

    def _refusing(self, function: Callable[..., Any], n_arguments: int) -> Callable[..., Any]:
        """Return the function, which gives up the import that calls it; packages may keep it."""

        def refuse_or_call(*arguments: Any, **options: Any) -> Any:
            if self.is_active and len(arguments) + len(options) >= n_arguments:
                self.refuse(function.__name__)
            return function(*arguments, **options)

        return refuse_or_call

    def _get_ipython(self) -> Any:
        """Return the shell, as packages that were preloaded call it for ever."""
        return self.shell if self.is_active else self.get_original()

    def attach_kernel(self) -> None:
        """Let what packages have kept stand for the shell and the streams of this kernel."""
        self.shell.is_preloading = False
        for stream in self.streams:
            stream.target = getattr(sys, stream.name)
