"""Hash the code cells of a notebook, without running it.

Code is compared as Python's syntax tree, so that formatting and comments do not count.
"""

import ast
import hashlib
from pathlib import Path
from typing import Any

from pipeline.definition import magics, notebook_file, parameters_cell
from pipeline.runs.digests import text_digest

KERNEL_LOCATION = "the kernel's name"  # the first entry beside the cells
# tags by which papermill and nbclient run a cell in another way, or replace it
EXECUTION_TAGS = {
    "skip-execution",
    "raises-exception",
    "injected-parameters",
    "papermill-error-cell-tag",
}
SILENT = "silent"  # a cell whose last value is not shown
NO_CODE_HASH = text_digest(ast.dump(ast.parse("")))  # of a cell that has only comments


def cell_hashes(notebook: Path, kernel: str = "") -> dict[str, str]:
    """Return the location of each code cell (number and heading) -> a hash of its code.

    The kernel's name is the first entry; `kernel` replaces the one that the notebook names. Of the
    parameters cell only what is no parameter counts: the values are compared by name.
    """
    hashes = {KERNEL_LOCATION: kernel or notebook_file.kernel_name(notebook)}
    for location, cell in _locate_code_cells(notebook):
        code = _code(cell, notebook)
        code_hash = source_hash(code) if code.strip() else NO_CODE_HASH
        if code_hash != NO_CODE_HASH or not notebook_file.is_python(notebook):
            hashes[location] = code_hash
    return hashes


def cell_details(notebook: Path) -> dict[str, str]:
    """Return location -> what else than the syntax tree changes what a cell does or shows.

    These are tags and a semicolon at the end, and in another language than Python the text. The
    entry of the kernel's name is the language.
    """
    details = {KERNEL_LOCATION: notebook_file.language(notebook).lower()}
    for location, cell in _locate_code_cells(notebook):
        details[location] = _cell_details(cell, notebook)
    return details


def notebook_digest(notebook: Path) -> str:
    """Return one SHA-256 of all code of a notebook, in hex, wherever its cells stand."""
    return combine_hashes(cell_hashes(notebook))


def combine_hashes(hashes: dict[str, str]) -> str:
    """Return one SHA-256 of what `cell_hashes` returned; locations do not count, as they are prose.

    Equals `notebook_digest` of the same notebook.
    """
    return hashlib.sha256("\n".join(hashes.values()).encode()).hexdigest()


def source_hash(source: str) -> str:
    """Hash the syntax tree; hash the text if it is not Python even without its magics."""
    try:
        return text_digest(ast.dump(magics.parse_cell(source)))
    except SyntaxError:
        return text_digest(_normalized_text(source))


def _locate_code_cells(notebook: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the code cells that are not blank, each with its number and heading."""
    located_cells, heading = [], ""
    for number, cell in enumerate(notebook_file.read_cells(notebook), 1):
        source = cell["source"]
        if cell["cell_type"] == "markdown":
            headings = [line for line in source.splitlines() if line.startswith("#")]
            heading = headings[-1].lstrip("# ") if headings else heading
        elif cell["cell_type"] == "code" and source.strip():
            location = f"cell {number} ({heading})" if heading else f"cell {number}"
            located_cells.append((location, cell))
    return located_cells


def _code(cell: dict[str, Any], notebook: Path) -> str:
    """Return the source of a cell without parameters."""
    if notebook_file.is_python(notebook) and notebook_file.is_parameters_cell(cell):
        return parameters_cell.parse(cell["source"], notebook.name).other_code
    return cell["source"]


def _cell_details(cell: dict[str, Any], notebook: Path) -> str:
    tags = cell.get("metadata", {}).get("tags", [])
    words = sorted(EXECUTION_TAGS.intersection(tags))
    if not notebook_file.is_python(notebook):
        words.append(text_digest(_normalized_text(cell["source"])))
    elif magics.ends_with_semicolon(cell["source"]):
        words.append(SILENT)
    return " ".join(words)


def _normalized_text(source: str) -> str:
    return "\n".join(line.rstrip() for line in source.strip().splitlines())
