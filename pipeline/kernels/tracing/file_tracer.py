"""Inside a kernel: records each file that Python code opens, and each folder that it lists.

Files that C code opens (SQLite) are not seen, except for Parquet files, which Arrow opens itself.
"""

import atexit
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from pipeline.kernels.tracing import callers, command_line, parquet_tracer, path_probes
from pipeline.staleness.access_kinds import (
    MISSING_STAT,
    RUNNER_PACKAGE,
    STARTED_MARK,
    AccessKind,
)

VIRTUAL_FILE_SYSTEMS = ("/proc/", "/sys/", "/dev/")
SHARED_MEMORY_FOLDER = "/dev/shm/"
os_stat = os.stat  # `path_probes` replaces the function in its module


def start_tracing(
    trace_path: str,
    hide_secrets: Callable[[str], str] = lambda path: path,
    ignored_paths: Iterable[str] = (),
    modules: Mapping[str, ModuleType] | None = None,
) -> None:
    """Record all accesses from now on, until this process ends.

    trace_path: the file that gets a line for each access, as `access_kinds` describes it.
    hide_secrets: replaces them by marks in a path that is written. ignored_paths: files that the
    kernel reads for itself. modules: those that code may import without loading them; default
    sys.modules.
    """
    tracer = _FileTracer(trace_path, hide_secrets, ignored_paths)
    sys.addaudithook(tracer.handle_audit_event)
    parquet_tracer.install(tracer.record_access, sys.modules if modules is None else modules)
    path_probes.install(tracer.record_probe)
    tracer.record_modules()  # those of before the fork
    atexit.register(tracer.record_modules)


class _FileTracer:
    """A recorder of each path and kind of access, once, with the file's size and times then."""

    def __init__(
        self, trace_path: str, hide_secrets: Callable[[str], str], ignored_paths: Iterable[str]
    ) -> None:
        self.trace_path, self.pid = trace_path, os.getpid()
        self.hide_secrets = hide_secrets
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self.trace_descriptor = os.open(trace_path, flags, 0o644)
        started_ns = os.fstat(self.trace_descriptor).st_ctime_ns
        os.write(self.trace_descriptor, f"{STARTED_MARK} {started_ns}\n".encode())
        self.recorded_accesses: set[tuple[AccessKind, str]] = set()
        self.ignored_prefixes = (
            *_installed_folders(),
            *VIRTUAL_FILE_SYSTEMS,
            f"{RUNNER_PACKAGE}{os.sep}",
        )
        self.ignored_paths = {trace_path, *ignored_paths}
        self.event_handlers: dict[str, Callable[..., None]] = {
            "open": self.on_open,
            "import": self.on_import,
            "ctypes.dlopen": self.on_load_library,
            "os.rename": self.on_rename,
            "os.mkdir": self.on_create,
            "sqlite3.connect": self.on_create,
            "os.listdir": self.on_list,
            "os.scandir": self.on_list,
            "os.system": self.on_command,
            "os.exec": self.on_execute,
            "os.posix_spawn": self.on_execute,
            "subprocess.Popen": self.on_start_process,
        }

    def handle_audit_event(self, event: str, arguments: tuple) -> None:
        """Handle an event of Python's audit hook (PEP 578)."""
        if event in self.event_handlers:
            self.event_handlers[event](*arguments)

    def on_open(self, path: Any, mode: str | None, flags: int) -> None:
        """Record a file that is opened; a path that is a descriptor is not."""
        if not isinstance(path, str | bytes | os.PathLike):
            return
        caller = sys._getframe(1).f_back  # of handle_audit_event; None in a thread of C code
        kinds = _access_kinds(mode, flags)
        if callers.is_import_system(caller):
            if AccessKind.WRITTEN in kinds:  # a cached module
                return
            source_path = _source_path(os.fsdecode(path)) if callers.loads_code(caller) else ""
            if source_path:
                self.record_access(AccessKind.MODULE, source_path)
                return
        elif callers.shows_source(caller) and self._is_module(path):
            return
        for kind in kinds:
            self.record_access(kind, path)

    def on_import(self, _name: str, path: str | None, *_search_paths: Any) -> None:
        """Record a compiled module, whose path is given when it is loaded."""
        if path:
            self.record_access(AccessKind.READ, path)

    def on_load_library(self, path: Any) -> None:
        """Record a shared library that is loaded by its path, not by its name."""
        if isinstance(path, str | bytes) and os.sep in os.fsdecode(path):
            self.record_access(AccessKind.READ, path)

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

    def on_create(self, path: Any, *_options: int) -> None:
        """Record a folder or a database that may be made now."""
        if isinstance(path, str | bytes | os.PathLike):
            self.record_access(AccessKind.CREATED, path)

    def on_list(self, path: Any) -> None:
        """Record a folder that is listed, if data may depend on it."""
        if isinstance(path, int):
            path = _descriptor_path(path)
        kind = callers.listing_kind(sys._getframe(1).f_back)
        if kind:
            self.record_access(kind, path or ".")

    def on_command(self, command: Any) -> None:
        """Record the files that a shell command names."""
        self.record_passed_files([os.fsdecode(command)], ".")

    def on_execute(self, _path: Any, arguments: Any, *_environment: Any) -> None:
        """Record the files that the command line names of a program that replaces this one."""
        self.record_passed_files(command_line.decode_arguments(arguments), ".")

    def on_start_process(self, _program: Any, arguments: Any, folder: Any, *_: Any) -> None:
        """Record the files that the command line of a new process names."""
        self.record_passed_files(command_line.decode_arguments(arguments), folder or ".")

    def record_passed_files(self, arguments: list[str], folder: Any) -> None:
        """Record the files that the arguments of a program name, relative to its folder."""
        for path in command_line.named_files(arguments, os.fsdecode(folder)):
            self.record_access(AccessKind.PASSED, path)

    def record_probe(self, path: Any) -> None:
        """Record a path whose existence or state our code asks for."""
        if isinstance(path, str) and (AccessKind.PROBED, path) in self.recorded_accesses:
            return
        if isinstance(path, str | bytes | os.PathLike) and callers.is_probed_by_our_code(
            sys._getframe(2)
        ):
            self.record_access(AccessKind.PROBED, path)

    def record_access(self, kind: AccessKind, path: Any) -> None:
        """Write a line to the trace, unless the access is recorded already or is no data's."""
        try:
            path = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - not resolved: links count too
        except OSError:  # the present folder is gone
            return
        if (kind, path) in self.recorded_accesses or self._is_ignored(path):
            return
        self.recorded_accesses.add((kind, path))
        stat = _format_stat(path)
        if kind is AccessKind.READ and stat == MISSING_STAT:
            kind = AccessKind.PROBED
        line = f"{kind} {stat} " + self.hide_secrets(path).replace("\n", "?") + "\n"
        self._write(line.encode(errors="surrogateescape"))

    def _write(self, line: bytes) -> None:
        """Append a line to the trace; a child process may have closed all descriptors."""
        if os.getpid() == self.pid:
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

    def _is_module(self, path: Any) -> bool:
        path = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
        return (AccessKind.MODULE, path) in self.recorded_accesses

    def record_modules(self) -> None:
        """Record the modules that are imported, which the fork server may have done."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and not file.startswith(self.ignored_prefixes):
                is_source = file.endswith(".py")
                self.record_access(AccessKind.MODULE if is_source else AccessKind.READ, file)


def _access_kinds(mode: str | None, flags: int) -> tuple[AccessKind, ...]:
    """Return how a file is accessed that is opened so: read, changed, or both."""
    is_appended = (mode and "a" in mode) or flags & os.O_APPEND
    changed = AccessKind.APPENDED if is_appended else AccessKind.WRITTEN
    if flags & os.O_RDWR and not flags & (os.O_TRUNC | os.O_EXCL):
        return (AccessKind.READ, changed)
    return (changed,) if is_appended or flags & (os.O_WRONLY | os.O_RDWR) else (AccessKind.READ,)


def _source_path(path: str) -> str:
    """Return the source of a module that is loaded from `path`; empty if it has none."""
    if path.endswith(".py"):
        return path
    try:
        source_path = importlib.util.source_from_cache(path)
    except ValueError:
        return ""
    return "" if _format_stat(source_path) == MISSING_STAT else source_path


def _format_stat(path: str) -> str:
    """Return the "SIZE MTIME_NS CTIME_NS INODE" of a path."""
    try:
        stat = os_stat(path)
    except (OSError, ValueError):
        return MISSING_STAT
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def _descriptor_path(descriptor: int) -> str:
    """Return the path of a folder that is open; the present folder where that is not known."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:
        return "."


def _installed_folders() -> set[str]:
    """Return the folders of the standard library and of the installed packages, each with a /."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {sysconfig.get_path(name) for name in names}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    return {folder + os.sep for folder in folders | set(map(os.path.realpath, folders))}
