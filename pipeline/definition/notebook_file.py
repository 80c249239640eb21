"""Read a notebook's file: its cells and the kernel it asks for."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.runs.digests import FileVersion, file_version


def kernel_name(notebook: Path) -> str:
    """Return the name of the kernel the notebook asks for; python3 if it names none."""
    metadata = _load_notebook(notebook).get("metadata", {})
    return metadata.get("kernelspec", {}).get("name") or "python3"


def language(notebook: Path) -> str:
    """Return the programming language of the notebook; python if it names none."""
    metadata = _load_notebook(notebook).get("metadata", {})
    language_info = metadata.get("language_info", {})
    return metadata.get("kernelspec", {}).get("language") or language_info.get("name") or "python"


def is_python(notebook: Path) -> bool:
    """Return whether the notebook is in Python, whose code the runner can read."""
    return language(notebook).lower() == "python"


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """Return the notebook's cells, each with its source as one text.

    Raises ValueError if the file is missing or is not a notebook of format 4.
    """
    cells = _load_notebook(notebook)["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def _load_notebook(notebook: Path) -> dict[str, Any]:
    try:
        return _load_version(notebook, file_version(notebook))
    except FileNotFoundError:
        raise ValueError(f"there is no notebook {notebook}") from None


@cache  # a command asks for parameters, code, imports and the kernel: it reads the file once
def _load_version(notebook: Path, _version: FileVersion) -> dict[str, Any]:
    try:
        content = json.loads(notebook.read_bytes())
    except ValueError as error:
        raise ValueError(f"{notebook.name} is not a notebook: it is not JSON ({error})") from None
    nbformat = content.get("nbformat") if isinstance(content, dict) else None
    if nbformat != 4 or "cells" not in content:
        raise ValueError(
            f"{notebook.name} has notebook format {nbformat}, expected 4; to bring it up to date: "
            f"jupyter nbconvert --to notebook --inplace {notebook.name}"
        )
    return content


def is_parameters_cell(cell: dict[str, Any]) -> bool:
    """Return whether a cell is tagged `parameters`."""
    return "parameters" in cell.get("metadata", {}).get("tags", [])
