"""Becoming a notebook's kernel: ipykernel as ever, with the files it opens noted down.

    python -P -m pipeline.kernel -f CONNECTION_FILE

Environment: PIPELINE_TRACE, the file that gets a line for each file read ("r") or written ("w");
PIPELINE_TEE, the folder of the files stdout and stderr, which get what is printed at once.
"""

import atexit
import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

from pipeline import arrow

# what the interpreter and its libraries read for themselves
UNINTERESTING = (".py", ".pyc", ".so", ".pyd", ".lock")


def become(arguments: list[str]) -> None:
    """Runs the kernel until it is told to stop; ends the process."""
    trace = os.environ.pop("PIPELINE_TRACE", "")
    if trace:
        _trace(trace)
    tee = os.environ.pop("PIPELINE_TEE", "")
    if tee:
        _tee(tee)
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.zmqshell import ZMQExitAutocall

    ZMQExitAutocall.__call__ = _leave

    class KernelApp(IPKernelApp):
        def close(self) -> None:
            """The process ends right after: closing its sockets in order can only deadlock, as
            ipykernel 7 does once in twenty times (its control thread still wants to say "idle").
            """
            self.reset_io()

    sys.argv = ["ipykernel_launcher", *arguments]
    if "" not in sys.path:  # modules beside the notebook; Python's -P leaves them out
        sys.path.insert(0, "")
    KernelApp.launch_instance(arguments)


def _leave(_exit: Any, code: Any = None) -> None:
    """exit() and quit() end a cell as sys.exit() does; ipykernel would only ask its client to stop
    it, and run the cell to its end."""
    raise SystemExit("a cell called exit()" if code is None else code)


def _tee(folder: str) -> None:
    """What is printed reaches a file in the same moment: a killed kernel's messages may not."""
    from ipykernel.iostream import OutStream

    files = {
        name: os.open(f"{folder}/{name}", os.O_WRONLY | os.O_APPEND)
        for name in ("stdout", "stderr")
    }
    write = OutStream.write

    def both(stream: OutStream, text: str) -> int | None:
        if stream.name in files and isinstance(text, str):
            with contextlib.suppress(OSError):  # a full disk is no reason to fail a print
                os.write(files[stream.name], text.encode(errors="replace"))
        return write(stream, text)

    OutStream.write = both


def _trace(place: str) -> None:
    """Notes each file that Python code opens, as it was then: "KIND SIZE MTIME PATH".

    What C code opens (SQLite) is not seen, but for Parquet files, which Arrow opens itself.
    """
    out = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    here, seen = os.getpid(), set()
    ignored = tuple({sys.prefix + os.sep, sys.base_prefix + os.sep, "/proc/", "/dev/", "/sys/"})

    def note(kind: str, path: str) -> None:
        path = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - not resolved: links count too
        dull = path.startswith(ignored) or (kind != "m" and path.endswith(UNINTERESTING))
        if dull or (kind, path) in seen:
            return
        seen.add((kind, path))
        try:
            stat = os.stat(path)  # noqa: PTH116
            known = f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            known = "0 0"
        line = path.replace("\n", "?")
        os.write(out, f"{kind} {known} {line}\n".encode(errors="surrogateescape"))

    def hook(event: str, found: tuple) -> None:
        if event == "open" and isinstance(found[0], str | bytes | os.PathLike):
            note(_kind(found[1], found[2]), found[0])
        elif event == "os.rename" and os.getpid() == here:
            note("w", found[1])  # written aside, then renamed
            source, target = (os.path.abspath(os.fsdecode(one)) for one in found[:2])  # noqa: PTH100
            for path in [one for kind, one in seen if kind == "w"]:
                if path.startswith(source + os.sep):  # with its whole folder
                    note("w", target + path.removeprefix(source))

    sys.addaudithook(hook)
    arrow.watch(note)
    atexit.register(_note_modules, note, ignored)


def _note_modules(note: Callable[[str, str], None], ignored: tuple[str, ...]) -> None:
    """The modules of ours that were imported in the end, however the code asked for them."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and file.endswith(".py") and not file.startswith(ignored):
            note("m", file)


def _kind(mode: str | None, flags: int) -> str:
    """r: read. w: written. a: appended to, as a log is."""
    if (mode and "a" in mode) or flags & os.O_APPEND:
        return "a"
    if flags & (os.O_WRONLY | os.O_RDWR):
        return "w"
    return "r"


if __name__ == "__main__":
    become(sys.argv[1:])
