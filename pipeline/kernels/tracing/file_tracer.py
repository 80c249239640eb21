"""Inside a kernel: records each file that Python code opens, and each folder that it lists.

So do the Python processes that the kernel starts. Files that C code opens are not seen, except for
databases of SQLite and what `library_tracer` knows.
"""

import atexit
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from pipeline.kernels.protocol import CHILD_TRACE_VARIABLE
from pipeline.kernels.tracing import callers, command_line, library_tracer, path_probes
from pipeline.kernels.tracing.access_recorder import AccessRecorder, format_stat
from pipeline.secret_marks import SecretMarks
from pipeline.staleness.access_kinds import MISSING_STAT, RUNNER_PACKAGE, AccessKind

CHILD_FOLDER = RUNNER_PACKAGE / "kernels" / "tracing" / "child_site"  # of a sitecustomize.py
DATABASE_SUFFIXES = ("", "-wal")  # of the files of SQLite that have content


def start_tracing(
    trace_path: str,
    secret_variables: Iterable[str] = (),
    ignored_paths: Iterable[str] = (),
    modules: Mapping[str, ModuleType] | None = None,
) -> None:
    """Record all accesses from now on, until this process ends.

    trace_path: the file that gets a line for each access, as `access_kinds` describes it.
    secret_variables: whose values are replaced by marks in a path that is written. ignored_paths:
    files that the kernel reads for itself. modules: those that code may import without loading
    them; default sys.modules.
    """
    hide_secrets = SecretMarks(secret_variables).hide
    recorder = AccessRecorder(trace_path, hide_secrets, ignored_paths)
    _install(recorder, sys.modules if modules is None else modules)


def trace_children(trace_path: str, secret_variables: Iterable[str]) -> None:
    """Have the Python processes that this one starts record their accesses in the same log."""
    present_variables = [name for name in secret_variables if os.environ.get(name)]
    trace = f"{sys.hexversion}:{trace_path}:{'='.join(present_variables)}"
    search_path = [str(CHILD_FOLDER), os.environ.get("PYTHONPATH", "")]
    os.environ[CHILD_TRACE_VARIABLE] = trace
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, search_path))


def trace_child(trace_path: str, secret_variables: Iterable[str]) -> None:
    """Record all accesses of this process, which a kernel has started, in the kernel's log."""
    hide_secrets = SecretMarks(secret_variables).hide
    _install(AccessRecorder(trace_path, hide_secrets, is_child=True), sys.modules)


def _install(recorder: AccessRecorder, modules: Mapping[str, ModuleType]) -> None:
    tracer = _FileTracer(recorder)
    sys.addaudithook(tracer.handle_audit_event)
    library_tracer.install(recorder.record, modules)
    path_probes.install(tracer.record_probe, tracer.on_open_relative)
    recorder.record_modules()  # those of before the fork
    atexit.register(recorder.record_modules)


class _FileTracer:
    """The handlers of the events that tell of accesses."""

    def __init__(self, recorder: AccessRecorder) -> None:
        self.recorder = recorder
        self.event_handlers: dict[str, Callable[..., None]] = {
            "open": self.on_open,
            "import": self.on_import,
            "ctypes.dlopen": self.on_load_library,
            "os.rename": self.on_rename,
            "os.mkdir": self.on_create,
            "os.link": self.on_link,
            "os.symlink": self.on_link,
            "os.truncate": self.on_truncate,
            "sqlite3.connect": self.on_connect,
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
                self.recorder.record(AccessKind.MODULE, source_path)
                return
        elif callers.shows_source(caller) and self.recorder.is_module(path):
            return
        for kind in kinds:
            self.recorder.record(kind, path)

    def on_open_relative(self, path: str, flags: int) -> None:
        """Record a file that is opened relative to a folder's descriptor."""
        if not os.path.isdir(path):  # noqa: PTH112
            for kind in _access_kinds(None, flags):
                self.recorder.record(kind, path)

    def on_import(self, _name: str, path: str | None, *_search_paths: Any) -> None:
        """Record a compiled module, whose path is given when it is loaded."""
        if path:
            self.recorder.record(AccessKind.READ, path)

    def on_load_library(self, path: Any) -> None:
        """Record a shared library that is loaded by its path, not by its name."""
        if isinstance(path, str | bytes) and os.sep in os.fsdecode(path):
            self.recorder.record(AccessKind.READ, path)

    def on_rename(self, source: Any, target: Any, *_dir_descriptors: int) -> None:
        """Record a file that was written aside and is renamed, or the files of a renamed folder."""
        if os.getpid() != self.recorder.pid:
            return
        self.recorder.record(AccessKind.WRITTEN, target)
        source_path, target_path = (os.path.abspath(os.fsdecode(path)) for path in (source, target))  # noqa: PTH100
        for kind, path in list(self.recorder.recorded_accesses):
            if kind is AccessKind.WRITTEN and path.startswith(source_path + os.sep):
                moved_path = target_path + path.removeprefix(source_path)
                self.recorder.record(AccessKind.WRITTEN, moved_path)

    def on_link(self, source: Any, target: Any, *_dir_descriptors: int) -> None:
        """Record a file that gets another name."""
        self.recorder.record(AccessKind.PASSED, source)
        self.recorder.record(AccessKind.WRITTEN, target)

    def on_truncate(self, path: Any, _length: int) -> None:
        """Record a file that is cut short; a path that is a descriptor is not."""
        if isinstance(path, str | bytes | os.PathLike):
            self.recorder.record(AccessKind.WRITTEN, path)

    def on_create(self, path: Any, *_options: int) -> None:
        """Record a folder that may be made now."""
        if isinstance(path, str | bytes | os.PathLike):
            self.recorder.record(AccessKind.CREATED, path)

    def on_connect(self, database: Any) -> None:
        """Record a database of SQLite, which may be made, changed or only read now."""
        if not isinstance(database, str | bytes | os.PathLike):
            return
        path = os.fsdecode(database)
        if path.startswith("file:"):
            path = unquote(path.removeprefix("file:").partition("?")[0])
        for suffix in DATABASE_SUFFIXES:
            self.recorder.record(AccessKind.CREATED, path + suffix)
            if os.path.isfile(path + suffix):  # noqa: PTH113
                self.recorder.record(AccessKind.PASSED, path + suffix)

    def on_list(self, path: Any) -> None:
        """Record a folder that is listed, if data may depend on it."""
        if isinstance(path, int):
            path = path_probes.descriptor_path(path)
        kind = callers.listing_kind(sys._getframe(1).f_back)
        if kind:
            self.recorder.record(kind, path or ".")

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
        for kind, path in command_line.named_paths(arguments, os.fsdecode(folder)):
            self.recorder.record(kind, path)

    def record_probe(self, path: Any) -> None:
        """Record a path whose existence or state our code, or a package, asks for."""
        if not isinstance(path, str | bytes | os.PathLike):
            return
        frame = sys._getframe(2)
        asks_for_state = callers.asks_for_state(frame)
        last_kind = AccessKind.PASSED if asks_for_state else AccessKind.PROBED
        if isinstance(path, str) and (last_kind, path) in self.recorder.recorded_accesses:
            return
        kind = callers.probe_kind(frame)
        if kind:
            self.recorder.record(kind, path)
        if kind is AccessKind.PROBED and asks_for_state:
            self.recorder.record(AccessKind.PASSED, path)


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
    return "" if format_stat(source_path) == MISSING_STAT else source_path
