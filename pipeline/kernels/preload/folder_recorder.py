"""What packages take from the working folder when they are imported: files in it, and its path."""

import builtins
import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

OWNERS = ((os, "stat"), (os, "access"), (builtins, "open"), (io, "open"))


class FolderRecorder:
    """Records each path in the working folder that is looked for or opened.

    current_paths: returns the set that gets the path.
    """

    def __init__(self, current_paths: Callable[[], set[str]]) -> None:
        self.current_paths, self.folder = current_paths, os.getcwd()  # noqa: PTH109

    @contextlib.contextmanager
    def record(self) -> Iterator[None]:
        """Record within the context; packages may keep the functions."""
        originals = [(owner, name, getattr(owner, name)) for owner, name in OWNERS]
        self.folder = os.getcwd()  # noqa: PTH109
        for owner, name, original in originals:
            setattr(owner, name, self._noting(original))
        try:
            yield
        finally:
            for owner, name, original in originals:
                setattr(owner, name, original)

    def _noting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def note_and_call(*arguments: Any, **options: Any) -> Any:
            path = arguments[0] if arguments else None
            if isinstance(path, str | os.PathLike):
                path = os.fsdecode(path).removeprefix(self.folder + os.sep)
                if path and path != "." and not os.path.isabs(path):  # noqa: PTH117
                    self.current_paths().add(path)
            return function(*arguments, **options)

        return note_and_call

    def names_of_paths(self, module: ModuleType) -> list[str]:
        """Return the names in a module whose values have the path of the working folder."""
        return [
            name
            for name, value in vars(module).items()
            if isinstance(value, str | PurePath)
            and self.folder in str(value)
            and name not in ("__file__", "__cached__")
        ]

    def move_paths(self, module: ModuleType, names: list[str]) -> None:
        """Replace the recorded folder by the present one in values of a module."""
        for name in names:
            value = getattr(module, name, None)
            if isinstance(value, str | PurePath):
                path = str(value).replace(self.folder, str(Path.cwd()))
                setattr(module, name, type(value)(path))
