"""Records the paths that Python code asks for, by wrapping functions of `os`.

Python has no event for looking whether they exist, nor tells of which folder a descriptor is. All
other functions use these: `os.path.exists`, `Path.is_file`, `glob.glob` for a pattern whose last
part has no wildcard.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

WRAPPED_FUNCTIONS = ("stat", "lstat", "access")


def install(
    record_probe: Callable[[Any], None], record_relative_open: Callable[[str, int], None]
) -> None:
    """Have `record_probe` called with each path before it is looked for.

    record_relative_open: called with the path and the flags when a file is opened relative to a
    folder's descriptor, which the event of Python does not tell.
    """
    wrappers = {name: _wrap_function(getattr(os, name), record_probe) for name in WRAPPED_FUNCTIONS}
    wrappers["open"] = _wrap_open(os.open, record_relative_open)
    for name, wrapper in wrappers.items():
        original = getattr(os, name)
        for functions in (
            os.supports_dir_fd,
            os.supports_effective_ids,
            os.supports_fd,
            os.supports_follow_symlinks,
        ):
            if original in functions:
                functions.add(wrapper)
        setattr(os, name, wrapper)


def _wrap_function(
    function: Callable[..., Any], record_probe: Callable[[Any], None]
) -> Callable[..., Any]:
    """Return the function, which records its path first, unless that starts from a descriptor."""

    @functools.wraps(function)
    def wrapper(path: Any, *arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True  # its frame tells nothing about a cell's error
        if options.get("dir_fd") is None:
            record_probe(path)
        return function(path, *arguments, **options)

    wrapper.__module__ = os.__name__  # so that it can be pickled by its name
    return wrapper


def _wrap_open(
    function: Callable[..., Any], record_relative_open: Callable[[str, int], None]
) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> Any:
        __tracebackhide__ = True
        if dir_fd is not None:
            folder = descriptor_path(dir_fd)
            record_relative_open(os.path.join(folder, os.fsdecode(path)), flags)  # noqa: PTH118
        return function(path, flags, mode, dir_fd=dir_fd)

    wrapper.__module__ = os.__name__
    return wrapper


def descriptor_path(descriptor: int) -> str:
    """Return the path of a folder that is open; the present folder where that is not known."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:
        return "."
