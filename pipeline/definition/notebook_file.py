"""Read a notebook's file: its cells and the kernel it asks for."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.runs.digests import FileVersion, file_version
from pipeline.runs.os_errors import describe_error
from pipeline.runs.strict_json import decode_json

INJECTED_TAG = "injected-parameters"
PAPERMILL_TAGS = {INJECTED_TAG, "papermill-error-cell-tag"}  # of the cells that papermill adds


def kernel_name(notebook: Path) -> str:
    """Return the name of the kernel the notebook asks for; python3 if it names none."""
    metadata = _load_notebook(notebook)["metadata"]
    return metadata.get("kernelspec", {}).get("name") or "python3"


def language(notebook: Path) -> str:
    """Return the programming language of the notebook; python if it names none."""
    metadata = _load_notebook(notebook)["metadata"]
    language_info = metadata.get("language_info", {})
    return metadata.get("kernelspec", {}).get("language") or language_info.get("name") or "python"


def is_python(notebook: Path) -> bool:
    """Return whether the notebook is in Python, whose code the runner can read."""
    return language(notebook).lower() == "python"


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """Return the cells that are executed, each with its source as one text.

    Raises ValueError if the file is missing or is not a notebook of format 4.
    """
    cells = load_executable(notebook)["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def load_executable(notebook: Path) -> dict[str, Any]:
    """Return the notebook's JSON without what an earlier execution by papermill has left in it.

    Its cells with parameters would set them to their values of then, and its error markers are no
    part of the notebook. Raises ValueError if the file is missing or is no notebook of format 4.
    """
    content = _load_notebook(notebook)
    cells = [cell for cell in content["cells"] if not _tags(cell) & PAPERMILL_TAGS]
    metadata = {name: value for name, value in content["metadata"].items() if name != "papermill"}
    return {**content, "metadata": metadata, "cells": cells}


def count_injected_cells(notebook: Path) -> int:
    """Return how many cells with parameters an earlier execution by papermill has left."""
    return sum(INJECTED_TAG in _tags(cell) for cell in _load_notebook(notebook)["cells"])


def _load_notebook(notebook: Path) -> dict[str, Any]:
    try:
        version = file_version(notebook)
        if not notebook.is_file():  # a pipe would block
            kind = "a folder" if notebook.is_dir() else "no regular file"
            raise ValueError(f"the notebook {notebook} is {kind}, expected a file of Jupyter")
        return _load_version(notebook, version)
    except FileNotFoundError:
        hint = f", which links to {notebook.readlink()}" if notebook.is_symlink() else ""
        raise ValueError(f"there is no notebook {notebook}{hint}") from None
    except OSError as error:
        raise ValueError(f"the notebook cannot be read: {describe_error(error)}") from None


@cache  # a command asks for parameters, code, imports and the kernel: it reads the file once
def _load_version(notebook: Path, _version: FileVersion) -> dict[str, Any]:
    raw = notebook.read_bytes()
    try:
        content = decode_json(raw)
    except ValueError as error:
        raise ValueError(
            f"{notebook.name} is not a notebook: {_describe_damage(raw, error)}; restore it from "
            "git, a copy or JupyterLab's .ipynb_checkpoints, or write a new one in JupyterLab"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(
            f"{notebook.name} is not a notebook: its JSON is a {type(content).__name__}, expected "
            "an object with nbformat, metadata and cells"
        )
    nbformat = content.get("nbformat")
    if isinstance(nbformat, int) and nbformat < 4:
        raise ValueError(
            f"{notebook.name} has notebook format {nbformat}, expected 4; to bring it up to date: "
            f"jupyter nbconvert --to notebook --inplace {notebook.name}"
        )
    if nbformat != 4:
        raise ValueError(
            f"{notebook.name} has notebook format {nbformat!r}, expected 4; save it with a program "
            "that writes format 4, such as JupyterLab 4"
        )
    return _check_structure(content, notebook.name)


def _describe_damage(raw: bytes, error: ValueError) -> str:
    """Return what is wrong with a file that is no JSON."""
    if not raw.strip():
        return "it is empty"
    if b"\n<<<<<<< " in raw:
        return "it has the marks of a merge conflict"
    return f"it is not JSON ({error})"


def _check_structure(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the notebook with metadata everywhere. Raises ValueError if it has no proper cells."""
    cells = content.get("cells")
    if not isinstance(cells, list):
        raise ValueError(f"{name} is not a notebook: it has no list of cells")
    for number, cell in enumerate(cells, 1):
        is_cell = isinstance(cell, dict) and isinstance(cell.get("cell_type"), str)
        if not is_cell or not _is_source(cell.get("source")):
            raise ValueError(f"{name} is not a notebook: its cell {number} has no type or source")
        _check_metadata(cell, f"cell {number} of {name}")
        if not isinstance(cell["metadata"].get("tags", []), list):
            raise ValueError(f"cell {number} of {name}: its tags are no list")
    _check_metadata(content, name)
    for entry in ("kernelspec", "language_info"):
        if not isinstance(content["metadata"].get(entry, {}), dict):
            raise ValueError(f"{name} is not a notebook: its {entry} is no object of JSON")
    return content


def _check_metadata(content: dict[str, Any], name: str) -> None:
    if not isinstance(content.setdefault("metadata", {}), dict):
        raise ValueError(f"{name}: its metadata is no object of JSON")


def _is_source(source: Any) -> bool:
    """Return whether this is the source of a cell: a text, or a list of texts."""
    lines = source if isinstance(source, list) else [source]
    return all(isinstance(line, str) for line in lines)


# tags of the cells that papermill adds to the notebook that it executes
ADDED_CELL_TAGS = {"injected-parameters", "papermill-error-cell-tag"}


def is_added_cell(cell: Mapping[str, Any]) -> bool:
    """Return whether papermill has added the cell: users do not have it in their notebook."""
    tags = {tag.replace("_", "-") for tag in cell.get("metadata", {}).get("tags", [])}
    return not tags.isdisjoint(ADDED_CELL_TAGS)


def source_cell_indexes(cells: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return for each cell of an executed notebook its index in the notebook as users have it.

    A cell that papermill has added has the index of the cell before it, as the one that sets
    parameters belongs to the cell with their defaults; the index 0 if it is the first.
    """
    indexes: list[int] = []
    n_source_cells = 0
    for cell in cells:
        n_source_cells += not is_added_cell(cell)
        indexes.append(max(0, n_source_cells - 1))
    return indexes


def is_parameters_cell(cell: dict[str, Any]) -> bool:
    """Return whether a cell is tagged `parameters`."""
    return "parameters" in _tags(cell)


def _tags(cell: dict[str, Any]) -> set[str]:
    return set(cell["metadata"].get("tags", []))
