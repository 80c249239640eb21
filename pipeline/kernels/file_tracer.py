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
from pipeline.runs.atomic_write import UNINTERESTING

INSTALLED = ("site-packages", "dist-packages")
STANDARD = (sysconfig.get_path("stdlib") + os.sep, "<frozen ")
IMPORTS = (f"{STANDARD[0]}importlib", f"{STANDARD[0]}pkgutil", "<frozen importlib", "<frozen zip")


def trace(place: str) -> None:
    """From now on. place: the file that gets a line for each: "KIND SIZE MTIME PATH".

    KIND: r, w, a for files that are read, written, appended to; m for modules of ours; l for
    folders that are listed, k for those that an installed package lists.
    """
    tracer = _Tracer(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644))
    sys.addaudithook(tracer.hear)
    parquet_tracer.watch(tracer.note)
    atexit.register(tracer.note_modules)


class _Tracer:
    """What is noted, each thing once, as it was then."""

    def __init__(self, out: int) -> None:
        self.out, self.process = out, os.getpid()
        self.seen: set[tuple[str, str]] = set()
        prefixes = {sys.prefix + os.sep, sys.base_prefix + os.sep}
        self.ignored = (*prefixes, "/proc/", "/dev/", "/sys/")
        self.answers = {
            "open": self.opened,
            "os.rename": self.renamed,
            "os.listdir": self.listed,
            "os.scandir": self.listed,
        }

    def hear(self, event: str, found: tuple) -> None:
        """Python's audit hook."""
        if event in self.answers:
            self.answers[event](*found)

    def opened(self, path: Any, mode: str | None, flags: int) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            for kind in _kinds(mode, flags):
                self.note(kind, path)

    def renamed(self, source: Any, target: Any, *_folders: int) -> None:
        """Written aside, then renamed; or a whole folder is."""
        if os.getpid() != self.process:
            return
        self.note("w", target)
        before, after = (os.path.abspath(os.fsdecode(one)) for one in (source, target))  # noqa: PTH100
        for path in [one for kind, one in self.seen if kind == "w"]:
            if path.startswith(before + os.sep):
                self.note("w", after + path.removeprefix(before))

    def listed(self, path: Any) -> None:
        if isinstance(path, str | bytes | os.PathLike | None):  # else it is a descriptor
            kind = _lister(sys._getframe().f_back.f_back)  # who asked is behind `hear`
            if kind:
                self.note(kind, path or ".")

    def note(self, kind: str, path: Any) -> None:
        path = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - not resolved: links count too
        dull = path.startswith(self.ignored) or (kind != "m" and path.endswith(UNINTERESTING))
        if dull or (kind, path) in self.seen:
            return
        self.seen.add((kind, path))
        try:
            stat = os.stat(path)  # noqa: PTH116
            known = f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            known = "0 0"
        line = path.replace("\n", "?")
        os.write(self.out, f"{kind} {known} {line}\n".encode(errors="surrogateescape"))

    def note_modules(self) -> None:
        """The modules of ours that were imported in the end, however the code asked for them."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if file and file.endswith(".py") and not file.startswith(self.ignored):
                self.note("m", file)


def _kinds(mode: str | None, flags: int) -> str:
    """r: read. w: written. rw: changed in place. a: appended to, as a log is."""
    if (mode and "a" in mode) or flags & os.O_APPEND:
        return "a"
    if flags & os.O_RDWR and not flags & (os.O_TRUNC | os.O_EXCL):
        return "rw"
    return "w" if flags & (os.O_WRONLY | os.O_RDWR) else "r"


def _lister(frame: FrameType | None) -> str:
    """l: a cell or a module of ours lists a folder. k: an installed package does. Empty: Python
    does, for an import, or in order to delete.
    """
    while frame:
        file = frame.f_code.co_filename
        if file.startswith(IMPORTS) or "rmtree" in frame.f_code.co_name:
            return ""
        if any(one in file for one in INSTALLED):
            return "k"
        if not file.startswith(STANDARD):
            return "l"
        frame = frame.f_back
    return ""
