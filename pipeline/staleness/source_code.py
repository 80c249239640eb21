"""Read what a notebook depends on without running it: its code, our modules, installed packages.

Code is compared as Python's syntax tree, so that formatting and comments do not count.
"""

import ast
import contextlib
import hashlib
import platform
import sys
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata, util
from pathlib import Path

from pipeline.definition import magics, notebook_file, parameters_cell
from pipeline.runs.digests import FileVersion, file_version, text_digest
from pipeline.staleness.access_kinds import PACKAGE_FOLDERS, RUNNER_PACKAGE


def cell_hashes(notebook: Path, kernel: str = "") -> dict[str, str]:
    """Return the location of each code cell (number and heading) -> a hash of its code.

    The kernel's name is the first entry; `kernel` replaces the one that the notebook names. Of the
    parameters cell only what is no parameter counts: the values are compared by name.
    """
    hashes, heading = {"the kernel's name": kernel or notebook_file.kernel_name(notebook)}, ""
    python = notebook_file.is_python(notebook)
    for number, cell in enumerate(notebook_file.read_cells(notebook), 1):
        source = cell["source"]
        if python and notebook_file.is_parameters_cell(cell):
            source = parameters_cell.parse(source, notebook.name).other_code
        if cell["cell_type"] == "markdown":
            headings = [line for line in source.splitlines() if line.startswith("#")]
            heading = headings[-1].lstrip("# ") if headings else heading
        elif cell["cell_type"] == "code" and source.strip():
            location = f"cell {number} ({heading})" if heading else f"cell {number}"
            hashes[location] = _source_hash(source)
    return hashes


def notebook_digest(notebook: Path) -> str:
    """Return one SHA-256 of all code of a notebook, in hex, wherever its cells stand."""
    return combine_hashes(cell_hashes(notebook))


def combine_hashes(hashes: dict[str, str]) -> str:
    """Return one SHA-256 of what `cell_hashes` returned; locations do not count, as they are prose.

    Equals `notebook_digest` of the same notebook.
    """
    return hashlib.sha256("\n".join(hashes.values()).encode()).hexdigest()


def _source_hash(source: str) -> str:
    """Hash the syntax tree; hash the text if it is not Python even without its magics."""
    try:
        content = ast.dump(magics.parse_cell(source))
    except SyntaxError:
        content = "\n".join(line.rstrip() for line in source.strip().splitlines())
    return text_digest(content)


def imported_modules(notebook: Path) -> list[str]:
    """Return the modules that the notebook's cells import, in order, without duplicates."""
    names: list[str] = []
    for cell in notebook_file.read_cells(notebook):
        if cell["cell_type"] == "code":
            with contextlib.suppress(SyntaxError):
                names += _iter_imports(magics.parse_cell(cell["source"]), "")
    return list(dict.fromkeys(names))


def resolve_imports(notebook: Path) -> tuple[dict[str, str], list[str]]:
    """Follow the notebook's imports through our modules.

    Returns path -> hash of our modules, and the installed modules that they and the notebook
    import, nearest first. Ours are the modules that Python finds beside the notebook or on its
    path, but not among the installed packages. Imports inside functions count; imports for type
    checkers only do not.
    """
    our_hashes: dict[str, str] = {}
    installed_modules: list[str] = []
    pending_names = list(imported_modules(notebook))
    resolved_names = set()
    while pending_names:
        name = pending_names.pop(0)
        if name in resolved_names:
            continue
        resolved_names.add(name)
        top_level_name = name.partition(".")[0]
        if top_level_name == RUNNER_PACKAGE.name and _is_runner(notebook.parent):
            continue  # what a notebook publishes does not depend on how the runner does it
        root = _source_root(top_level_name, notebook.parent)
        if root is None:
            if top_level_name not in sys.stdlib_module_names:
                installed_modules.append(name)
            continue
        for path, package in _source_files(name, root):
            if str(path) not in our_hashes:
                our_hashes[str(path)], imported_names = _scan_module(path, package)
                pending_names += imported_names
    return our_hashes, installed_modules


@cache
def _source_root(top_level_name: str, notebook_folder: Path) -> Path | None:
    """Return the folder that holds a module of ours; None if the name is installed or unknown."""
    if top_level_name in sys.stdlib_module_names:
        return None
    candidates = (f"{top_level_name}.py", f"{top_level_name}/__init__.py")
    if any((notebook_folder / candidate).exists() for candidate in candidates):
        return notebook_folder
    try:
        spec = util.find_spec(top_level_name)
    except (ImportError, ValueError):
        return None
    if not spec or not spec.origin or not spec.origin.endswith(".py"):
        return None
    origin = Path(spec.origin).resolve()  # one module, by whichever link it was reached
    # an installed package may itself be a link to a cache
    if any(folder in (*Path(spec.origin).parts, *origin.parts) for folder in PACKAGE_FOLDERS):
        return None
    return origin.parents[1 if origin.name == "__init__.py" else 0]


@cache
def _is_runner(notebook_folder: Path) -> bool:
    """Return whether the name of the runner's package means the runner, from a notebook."""
    root = _source_root(RUNNER_PACKAGE.name, notebook_folder)
    return root is None or root / RUNNER_PACKAGE.name == RUNNER_PACKAGE


def _source_files(module_name: str, root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that importing the module runs, with the package it belongs to.

    Relative imports in the file start from that package.
    """
    path, package = root, ""
    for name in module_name.split("."):
        path = path / name
        if (path / "__init__.py").exists():
            package = f"{package}.{name}".lstrip(".")
            yield path / "__init__.py", package
        elif path.with_suffix(".py").exists():
            yield path.with_suffix(".py"), package


def module_hashes(paths: Iterable[str]) -> dict[str, str]:
    """Return path -> hash of those of our modules that exist."""
    return {path: _scan_module(Path(path), "")[0] for path in paths if Path(path).exists()}


def _scan_module(path: Path, package: str) -> tuple[str, list[str]]:
    """Return the file's hash and the modules it imports."""
    return _scan_version(path, package, file_version(path))


@cache  # one entry per version of a file, which may be edited while the runner works
def _scan_version(path: Path, package: str, _version: FileVersion) -> tuple[str, list[str]]:
    try:
        with tokenize.open(path) as file:
            tree = ast.parse(file.read())
    except (SyntaxError, UnicodeDecodeError):
        return _source_hash(path.read_bytes().decode(errors="replace")), []
    return text_digest(ast.dump(tree)), list(_iter_imports(tree, package))


def _iter_imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the names a syntax tree imports; `from a import b` yields a and a.b."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package_names = package.split(".")
                parent_names = package_names[: len(package_names) - node.level + 1]
                base = ".".join([*parent_names, base]).strip(".")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
        elif not _is_type_checking_block(node):
            yield from _iter_imports(node, package)


def _is_type_checking_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def providing_distributions(module_names: Iterable[str]) -> list[str]:
    """Return the names of the distributions that installed the modules or their packages."""
    top_level_names = {name.partition(".")[0] for name in module_names}
    record_entries = [
        entry
        for name in top_level_names
        for entry in (f"\n{name}/", f"\n{name}.py,", f"\n{name}.cpython-")
    ]
    return sorted(
        distribution.name
        for distribution, record in _installed_distributions()
        if any(entry in record for entry in record_entries)
    )


@cache
def _installed_distributions() -> list[tuple[metadata.Distribution, str]]:
    """Return each distribution with its list of files as one text.

    `importlib.metadata.packages_distributions` would take 0.5 s.
    """
    return [
        (distribution, "\n" + (distribution.read_text("RECORD") or ""))
        for distribution in metadata.distributions()
    ]


def installed_version(distribution: str) -> str:
    """Return the version of python or of a distribution; "none" if it is not installed."""
    if distribution == "python":
        return platform.python_version()
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "none"
