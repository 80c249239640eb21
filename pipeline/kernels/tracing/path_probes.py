"""Records the paths whose existence Python code asks for, by wrapping functions of `os`.

Python has no audit event for these. All others go through them: `os.path.exists`, `Path.is_file`,
`glob.glob` for a pattern whose last part has no wildcard.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

WRAPPED_FUNCTIONS = ("stat", "lstat", "access")


def install(record_probe: Callable[[Any], None]) -> None:
    """Have `record_probe` called with each path before it is looked for."""
    for name in WRAPPED_FUNCTIONS:
        original = getattr(os, name)
        wrapper = _wrap_function(original, record_probe)
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
