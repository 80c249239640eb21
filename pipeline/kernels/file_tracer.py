"""Inside a kernel: each file that Python code opens, and each folder that it lists, noted down.

What C code opens (SQLite) is not seen, but for Parquet files, which Arrow opens itself.
"""

import atexit
import os
import sys
import sysconfig
from types import FrameType
from typing import Any

from pipeline.kernels import parquet_tracer
from pipeline.runs.atomic_write import IGNORED_SUFFIXES

PACKAGE_FOLDERS = ("site-packages", "dist-packages")
STANDARD_LIBRARY_PREFIXES = (sysconfig.get_path("stdlib") + os.sep, "<frozen ")
IMPORT_SYSTEM_PREFIXES = (
    f"{STANDARD_LIBRARY_PREFIXES[0]}importlib",
    f"{STANDARD_LIBRARY_PREFIXES[0]}pkgutil",
    "<frozen importlib",
    "<frozen zip",
)


def start(trace_path: str) -> None:
    """From now on. place: the file that gets a line for each: "KIND SIZE MTIME PATH".

    KIND: r, w, a for files that are read, written, appended to; m for modules of ours; l for
    folders that are listed, k for those that an installed package lists.
    """
    tracer = _FileTracer(os.open(trace_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644))
    sys.addaudithook(tracer.handle_audit_event)
    parquet_tracer.install(tracer.record_access)
    atexit.register(tracer.record_modules)


class _FileTracer:
    """What is noted, each thing once, as it was then."""

    def __init__(self, trace_descriptor: int) -> None:
        self.trace_descriptor, self.pid = trace_descriptor, os.getpid()
        self.recorded_accesses: set[tuple[str, str]] = set()
        prefixes = {sys.prefix + os.sep, sys.base_prefix + os.sep}
        self.ignored_prefixes = (*prefixes, "/proc/", "/dev/", "/sys/")
        self.event_handlers = {
            "open": self.on_open,
            "os.rename": self.on_rename,
            "os.listdir": self.on_list,
            "os.scandir": self.on_list,
        }

    def handle_audit_event(self, event: str, arguments: tuple) -> None:
        """Python's audit hook."""
        if event in self.event_handlers:
            self.event_handlers[event](*arguments)

    def on_open(self, path: Any, mode: str | None, flags: int) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            for kind in _access_kinds(mode, flags):
                self.record_access(kind, path)

    def on_rename(self, source: Any, target: Any, *_dir_descriptors: int) -> None:
        """Written aside, then renamed; or a whole folder is."""
        if os.getpid() != self.pid:
            return
        self.record_access("w", target)
        before, after = (os.path.abspath(os.fsdecode(one)) for one in (source, target))  # noqa: PTH100
        for path in [one for kind, one in self.recorded_accesses if kind == "w"]:
            if path.startswith(before + os.sep):
                self.record_access("w", after + path.removeprefix(before))

    def on_list(self, path: Any) -> None:
        if isinstance(path, str | bytes | os.PathLike | None):  # else it is a descriptor
            kind = _listing_kind(sys._getframe().f_back.f_back)  # who asked is behind `hear`
            if kind:
                self.record_access(kind, path or ".")

    def record_access(self, kind: str, path: Any) -> None:
        path = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - not resolved: links count too
        dull = path.startswith(self.ignored_prefixes) or (
            kind != "m" and path.endswith(IGNORED_SUFFIXES)
        )
        if dull or (kind, path) in self.recorded_accesses:
            return
        self.recorded_accesses.add((kind, path))
        try:
            stat = os.stat(path)  # noqa: PTH116
            known = f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            known = "0 0"
        line = path.replace("\n", "?")
        os.write(self.trace_descriptor, f"{kind} {known} {line}\n".encode(errors="surrogateescape"))

    def record_modules(self) -> None:
        """The modules of ours that were imported in the end, however the code asked for them."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if file and file.endswith(".py") and not file.startswith(self.ignored_prefixes):
                self.record_access("m", file)


def _access_kinds(mode: str | None, flags: int) -> str:
    """r: read. w: written. rw: changed in place. a: appended to, as a log is."""
    if (mode and "a" in mode) or flags & os.O_APPEND:
        return "a"
    if flags & os.O_RDWR and not flags & (os.O_TRUNC | os.O_EXCL):
        return "rw"
    return "w" if flags & (os.O_WRONLY | os.O_RDWR) else "r"


def _listing_kind(frame: FrameType | None) -> str:
    """l: a cell or a module of ours lists a folder. k: an installed package does. Empty: Python
    does, for an import, or in order to delete.
    """
    while frame:
        file = frame.f_code.co_filename
        if file.startswith(IMPORT_SYSTEM_PREFIXES) or "rmtree" in frame.f_code.co_name:
            return ""
        if any(one in file for one in PACKAGE_FOLDERS):
            return "k"
        if not file.startswith(STANDARD_LIBRARY_PREFIXES):
            return "l"
        frame = frame.f_back
    return ""
