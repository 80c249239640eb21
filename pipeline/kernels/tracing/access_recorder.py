"""Write a line to a kernel's log for each file or folder that its processes access."""

import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable
from typing import Any

from pipeline.staleness.access_kinds import (
    MISSING_STAT,
    RUNNER_PACKAGE,
    STARTED_MARK,
    AccessKind,
)

VIRTUAL_FILE_SYSTEMS = ("/proc/", "/sys/", "/dev/")
SHARED_MEMORY_FOLDER = "/dev/shm/"
os_stat = os.stat  # `path_probes` replaces the function in its module


class AccessRecorder:
    """A recorder of each path and kind of access, once, with the file's size and times then.

    hide_secrets: replaces them by marks in a path that is written. is_child: whether this process
    adds to the log of the kernel that has started it.
    """

    def __init__(
        self,
        trace_path: str,
        hide_secrets: Callable[[str], str],
        ignored_paths: Iterable[str] = (),
        is_child: bool = False,
    ) -> None:
        self.trace_path, self.hide_secrets = trace_path, hide_secrets
        self.pid = os.getpid()
        self.trace_descriptor = -1
        self.recorded_accesses: set[tuple[AccessKind, str]] = set()
        self.ignored_prefixes = (
            *_installed_folders(),
            *VIRTUAL_FILE_SYSTEMS,
            f"{RUNNER_PACKAGE}{os.sep}",
        )
        self.ignored_paths = {trace_path, *ignored_paths}
        if not is_child:
            self._start_log()

    def _start_log(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self.trace_descriptor = os.open(self.trace_path, flags, 0o644)
        started_ns = os.fstat(self.trace_descriptor).st_ctime_ns
        os.write(self.trace_descriptor, f"{STARTED_MARK} {started_ns}\n".encode())

    def record(self, kind: AccessKind, path: Any) -> None:
        """Write a line to the log, unless the access is recorded already or is no data's."""
        try:
            path = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - not resolved: links count too
        except OSError:  # the present folder is gone
            return
        if (kind, path) in self.recorded_accesses or self._is_ignored(path):
            return
        self.recorded_accesses.add((kind, path))
        stat = format_stat(path)
        if kind is AccessKind.READ and stat == MISSING_STAT:
            kind = AccessKind.PROBED
        line = f"{kind} {stat} " + self.hide_secrets(path).replace("\n", "?") + "\n"
        self._write(line.encode(errors="surrogateescape"))

    def _write(self, line: bytes) -> None:
        """Append a line to the log; a child process has no descriptor, or has closed all."""
        if os.getpid() == self.pid and self.trace_descriptor >= 0:
            os.write(self.trace_descriptor, line)
            return
        try:
            descriptor = os.open(self.trace_path, os.O_WRONLY | os.O_APPEND)
        except OSError:  # not even this process's own
            return
        os.write(descriptor, line)
        os.close(descriptor)

    def _is_ignored(self, path: str) -> bool:
        if path in self.ignored_paths:
            return True
        return path.startswith(self.ignored_prefixes) and not path.startswith(SHARED_MEMORY_FOLDER)

    def is_module(self, path: Any) -> bool:
        """Return whether a file was recorded as a module."""
        path = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
        return (AccessKind.MODULE, path) in self.recorded_accesses

    def record_modules(self) -> None:
        """Record the modules that are imported, which the fork server may have done."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and not file.startswith(self.ignored_prefixes):
                is_source = file.endswith(".py")
                self.record(AccessKind.MODULE if is_source else AccessKind.READ, file)


def format_stat(path: str) -> str:
    """Return the "SIZE MTIME_NS CTIME_NS INODE" of a path."""
    try:
        stat = os_stat(path)
    except (OSError, ValueError):
        return MISSING_STAT
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def _installed_folders() -> set[str]:
    """Return the folders of the standard library and of the installed packages, each with a /."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {sysconfig.get_path(name) for name in names}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    return {folder + os.sep for folder in folders | set(map(os.path.realpath, folders))}
