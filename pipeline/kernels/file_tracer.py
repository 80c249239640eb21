"""Inside a kernel: records each file that Python code opens, and each folder that it lists.

Files that C code opens (SQLite) are not seen, except for Parquet files, which Arrow opens itself.
"""

import atexit
import os
import sys
import sysconfig
from collections.abc import Callable
from types import FrameType
from typing import Any

from pipeline.kernels import parquet_tracer
from pipeline.staleness.access_kinds import IGNORED_SUFFIXES, PACKAGE_FOLDERS, AccessKind

STANDARD_LIBRARY_PREFIXES = (sysconfig.get_path("stdlib") + os.sep, "<frozen ")
IMPORT_SYSTEM_PREFIXES = (
    f"{STANDARD_LIBRARY_PREFIXES[0]}importlib",
    f"{STANDARD_LIBRARY_PREFIXES[0]}pkgutil",
    "<frozen importlib",
    "<frozen zip",
)
VIRTUAL_FILE_SYSTEMS = ("/proc/", "/dev/", "/sys/")


def start_tracing(trace_path: str) -> None:
    """Record all accesses from now on, until this process ends.

    trace_path: the file that gets a line for each access: "KIND SIZE MTIME PATH", KIND being an
    `AccessKind`.
    """
    tracer = _FileTracer(os.open(trace_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644))
    sys.addaudithook(tracer.handle_audit_event)
    parquet_tracer.install(tracer.record_access)
    atexit.register(tracer.record_modules)


class _FileTracer:
    """A recorder of each path and kind of access, once, with the file's size and time then."""

    def __init__(self, trace_descriptor: int) -> None:
        self.trace_descriptor, self.pid = trace_descriptor, os.getpid()
        self.recorded_accesses: set[tuple[AccessKind, str]] = set()
        self.ignored_prefixes = (f"{sys.prefix}/", f"{sys.base_prefix}/", *VIRTUAL_FILE_SYSTEMS)
        self.event_handlers: dict[str, Callable[..., None]] = {
            "open": self.on_open,
            "os.rename": self.on_rename,
            "os.listdir": self.on_list,
            "os.scandir": self.on_list,
        }

    def handle_audit_event(self, event: str, arguments: tuple) -> None:
        """Handle an event of Python's audit hook (PEP 578)."""
        if event in self.event_handlers:
            self.event_handlers[event](*arguments)

    def on_open(self, path: Any, mode: str | None, flags: int) -> None:
        """Record a file that is opened; a path that is a descriptor is not."""
        if isinstance(path, str | bytes | os.PathLike):
            for kind in _access_kinds(mode, flags):
                self.record_access(kind, path)

    def on_rename(self, source: Any, target: Any, *_dir_descriptors: int) -> None:
        """Record a file that was written aside and is renamed, or the files of a renamed folder."""
        if os.getpid() != self.pid:
            return
        self.record_access(AccessKind.WRITTEN, target)
        source_path, target_path = (os.path.abspath(os.fsdecode(path)) for path in (source, target))  # noqa: PTH100
        for kind, path in list(self.recorded_accesses):
            if kind is AccessKind.WRITTEN and path.startswith(source_path + os.sep):
                moved_path = target_path + path.removeprefix(source_path)
                self.record_access(AccessKind.WRITTEN, moved_path)

    def on_list(self, path: Any) -> None:
        """Record a folder that is listed, if data may depend on it."""
        if isinstance(path, str | bytes | os.PathLike | None):  # else it is a descriptor
            hook_frame = sys._getframe().f_back  # of handle_audit_event, which the lister called
            kind = _listing_kind(hook_frame.f_back if hook_frame else None)
            if kind:
                self.record_access(kind, path or ".")

    def record_access(self, kind: AccessKind, path: Any) -> None:
        """Write a line to the trace, unless the access is recorded already or is no data's."""
        path = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - not resolved: links count too
        is_ignored = path.startswith(self.ignored_prefixes) or (
            kind is not AccessKind.MODULE and path.endswith(IGNORED_SUFFIXES)
        )
        if is_ignored or (kind, path) in self.recorded_accesses:
            return
        self.recorded_accesses.add((kind, path))
        try:
            stat = os.stat(path)  # noqa: PTH116
            size_and_mtime = f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            size_and_mtime = "0 0"
        line = f"{kind} {size_and_mtime} " + path.replace("\n", "?") + "\n"
        os.write(self.trace_descriptor, line.encode(errors="surrogateescape"))

    def record_modules(self) -> None:
        """Record the project's modules that are imported, however the code asked for them."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if file and file.endswith(".py") and not file.startswith(self.ignored_prefixes):
                self.record_access(AccessKind.MODULE, file)


def _access_kinds(mode: str | None, flags: int) -> tuple[AccessKind, ...]:
    """Return how a file is accessed that is opened so; a file changed in place in two ways."""
    if (mode and "a" in mode) or flags & os.O_APPEND:
        return (AccessKind.APPENDED,)
    if flags & os.O_RDWR and not flags & (os.O_TRUNC | os.O_EXCL):
        return (AccessKind.READ, AccessKind.WRITTEN)
    is_written = flags & (os.O_WRONLY | os.O_RDWR)
    return (AccessKind.WRITTEN,) if is_written else (AccessKind.READ,)


def _listing_kind(frame: FrameType | None) -> AccessKind | None:
    """Return whether a cell or a module of the project lists a folder, or an installed package.

    Returns None if Python does so for an import, or in order to delete the folder. frame: of the
    code that lists.
    """
    while frame:
        file = frame.f_code.co_filename
        if file.startswith(IMPORT_SYSTEM_PREFIXES) or "rmtree" in frame.f_code.co_name:
            return None
        if any(folder in file for folder in PACKAGE_FOLDERS):
            return AccessKind.LISTED_BY_PACKAGE
        if not file.startswith(STANDARD_LIBRARY_PREFIXES):
            return AccessKind.LISTED
        frame = frame.f_back
    return None
