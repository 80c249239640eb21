"""Find the files that a notebook's code, or a value of its parameters, names.

Code in C, a shell script or a database may open them unseen.
"""

import ast
import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.definition import magics, notebook_file
from pipeline.staleness.static_analysis.command_words import (
    WILDCARDS,
    find_patterns,
    split_command,
)

MAX_PATH_CHARS = 1_000
MAX_MATCHES = 1_000  # of a pattern
QUOTED_PATTERN = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"")  # in SQL, or in another language
FILE_PATTERN = re.compile(r"\S+/\S*[*?]\S*\.\w+")  # such as data/*.csv, for a function or in SQL
SHELL_MAGIC = re.compile(r"!|%%(?:ba|z)?sh\b|%%script\b|%sx\b|%system\b")
UNCOUNTED_SUFFIXES = (".ipynb",)  # saved with outputs whenever somebody looks at it


class NamedPaths(NamedTuple):
    """What exists of it."""

    files: set[Path]
    matches: dict[Path, set[Path]]  # folder -> the files in it that match a pattern


def find_named_paths(notebook: Path, values: Iterable[Any]) -> NamedPaths:
    """Return the files that texts in the notebook's code name, relative to its folder.

    values: of parameters. A text names a file as a whole, or by a part in quotation marks; magics
    and shell commands by any of their words.
    """
    named = NamedPaths(set(), {})
    for name in dict.fromkeys((*_names_in_values(values), *_names_in_cells(notebook))):
        if "\0" in name or len(name) > MAX_PATH_CHARS or name.endswith(UNCOUNTED_SUFFIXES):
            continue
        path = notebook.parent / name
        if WILDCARDS.isdisjoint(name):
            named.files.update([path] if _is_file(path) else [])
        elif WILDCARDS.isdisjoint(str(path.parent)) and path.parent.is_dir():
            matches = map(Path, glob.glob(str(path))[:MAX_MATCHES])  # noqa: PTH207
            named.matches.setdefault(path.parent, set()).update(filter(_is_file, matches))
    return named


def _names_in_values(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _names_in_values(value)
        elif isinstance(value, str | Path):
            yield from _names_in_text(str(value))


def _names_in_cells(notebook: Path) -> Iterator[str]:
    try:
        cells = notebook_file.read_cells(notebook)
    except (OSError, ValueError):  # the step has changed its notebook
        return
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        if notebook_file.is_python(notebook):
            yield from _names_in_code(cell["source"])
        else:
            yield from _quoted_parts(cell["source"])


def _names_in_code(source: str) -> Iterator[str]:
    try:
        tree = magics.parse_cell(source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=magics.PLACEHOLDER), args=[ast.Constant(value=text)]):
                yield from split_command(str(text).lstrip("%!"))
                if SHELL_MAGIC.match(str(text)):
                    yield from find_patterns(str(text).lstrip("%!"))
            case ast.Constant(value=str(text)):
                yield from _names_in_text(text)
            case ast.Constant(value=bytes(content)):
                yield from _names_in_text(os.fsdecode(content))


def _names_in_text(text: str) -> Iterator[str]:
    for name in (text, *_quoted_parts(text)):
        if WILDCARDS.isdisjoint(name) or FILE_PATTERN.fullmatch(name):
            yield name


def _quoted_parts(text: str) -> Iterator[str]:
    return (match[1] or match[2] for match in QUOTED_PATTERN.finditer(text))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
