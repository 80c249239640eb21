"""What a notebook depends on, read without running it: its code, our modules, installed packages.

Code is compared as Python's syntax tree, so that formatting and comments do not count.
"""

import ast
import contextlib
import hashlib
import sys
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata, util
from pathlib import Path

from pipeline.definition import magics, parameters

PACKAGE_FOLDERS = ("site-packages", "dist-packages")


def cell_hashes(notebook: Path) -> dict[str, str]:
    """Where a code cell stands (its number and heading) -> a hash of what it does.

    The parameters cell is left out: its values count, and they are compared by name.
    """
    found, heading = {"the kernel's name": parameters.kernel_name(notebook)}, ""
    for number, cell in enumerate(parameters.read_cells(notebook), 1):
        if cell["cell_type"] == "markdown":
            titles = [one for one in cell["source"].splitlines() if one.startswith("#")]
            heading = titles[-1].lstrip("# ") if titles else heading
        elif (
            cell["cell_type"] == "code" and not _is_parameters_cell(cell) and cell["source"].strip()
        ):
            found[f"cell {number}" + (f" ({heading})" if heading else "")] = _source_hash(
                cell["source"]
            )
    return found


def notebook_digest(notebook: Path) -> str:
    """One hash of all its code, sha256 in hex: that of `code`, wherever its cells stand."""
    return combine_hashes(cell_hashes(notebook))


def combine_hashes(hashes: dict[str, str]) -> str:
    """The same, of what `code` gave. Headings and numbers of cells are prose, and do not count."""
    return hashlib.sha256("\n".join(hashes.values()).encode()).hexdigest()


def _is_parameters_cell(cell: dict) -> bool:
    return "parameters" in cell.get("metadata", {}).get("tags", [])


def _source_hash(source: str) -> str:
    """Of the syntax tree; of the text where it is no Python, nor would be without its magics."""
    try:
        meaning = ast.dump(magics.parse_cell(source))
    except SyntaxError:
        meaning = "\n".join(one.rstrip() for one in source.strip().splitlines())
    return hashlib.sha256(meaning.encode()).hexdigest()[:16]


def imported_modules(notebook: Path) -> list[str]:
    """The modules that the notebook's cells import at their top level, in order."""
    names: list[str] = []
    for cell in parameters.read_cells(notebook):
        if cell["cell_type"] == "code":
            with contextlib.suppress(SyntaxError):
                names += _iter_imports(magics.parse_cell(cell["source"]), "")
    return list(dict.fromkeys(names))


def resolve_imports(notebook: Path) -> tuple[dict[str, str], list[str]]:
    """Our modules that the notebook imports, followed through their imports: path -> hash; and
    what they and the notebook import of installed packages, nearest first.

    Ours is what Python finds beside the notebook or on its path, but not among the installed
    packages. Imports inside functions count, those for type checkers only do not.
    """
    ours: dict[str, str] = {}
    installed: list[str] = []
    waiting = list(imported_modules(notebook))
    seen = set()
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        top = name.partition(".")[0]
        root = _source_root(top, notebook.parent)
        if root is None:
            if top not in sys.stdlib_module_names:
                installed.append(name)
            continue
        for path, package in _source_files(name, root):
            if str(path) not in ours:
                ours[str(path)], found = _scan_module(path, package)
                waiting += found
    return ours, installed


@cache
def _source_root(top_level_name: str, notebook_folder: Path) -> Path | None:
    """The folder that holds a module of ours; None if the name is installed, or unknown."""
    if top_level_name in sys.stdlib_module_names:
        return None
    if (notebook_folder / f"{top_level_name}.py").exists() or (
        notebook_folder / top_level_name / "__init__.py"
    ).exists():
        return notebook_folder
    try:
        spec = util.find_spec(top_level_name)
    except (ImportError, ValueError):
        return None
    origin = spec.origin if spec else None
    if (
        not origin
        or not origin.endswith(".py")
        or any(one in Path(origin).parts for one in PACKAGE_FOLDERS)
    ):
        return None
    return Path(origin).parents[1 if Path(origin).name == "__init__.py" else 0]


def _source_files(module_name: str, root: Path) -> Iterator[tuple[Path, str]]:
    """The files that `import name` runs, each with the package that its relative imports mean."""
    place, package = root, ""
    for part in module_name.split("."):
        place = place / part
        if (place / "__init__.py").exists():
            package = f"{package}.{part}".lstrip(".")
            yield place / "__init__.py", package
        elif place.with_suffix(".py").exists():
            yield place.with_suffix(".py"), package


def clear_cache() -> None:
    """What was read of our modules: they may have been edited."""
    _scan_module.cache_clear()


def module_hash(path: Path) -> str:
    """A module's hash; "none" if it is gone."""
    return _scan_module(path, "")[0] if path.exists() else "none"


@cache
def _scan_module(path: Path, package: str) -> tuple[str, list[str]]:
    """The file's hash, and the modules it imports."""
    try:
        with tokenize.open(path) as file:
            source = file.read()
        tree = ast.parse(source)
    except (SyntaxError, UnicodeDecodeError):
        source = path.read_bytes().decode(errors="replace")
        return _source_hash(source), []
    return _source_hash(source), list(_iter_imports(tree, package))


def _iter_imports(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], base]).strip(".")
            yield base
            yield from (f"{base}.{one.name}" for one in node.names if one.name != "*")
        elif not _is_type_checking_block(node):
            yield from _iter_imports(node, package)


def _is_type_checking_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def package_versions(module_names: Iterable[str]) -> dict[str, str]:
    """Distribution -> version, for the names that modules import."""
    found = sorted(
        {one for name in module_names for one in _providing_distributions(name.partition(".")[0])}
    )
    return {one: metadata.version(one) for one in found}


@cache
def _providing_distributions(module_name: str) -> list[str]:
    """The distributions that have installed a module or package of that name."""
    files = (f"\n{module_name}/", f"\n{module_name}.py,", f"\n{module_name}.cpython-")
    return [
        distribution.name
        for distribution, record in _installed_distributions()
        if any(one in record for one in files)
    ]


@cache
def _installed_distributions() -> list[tuple[metadata.Distribution, str]]:
    """Each distribution with its list of files as text: `packages_distributions` takes 0.5 s."""
    return [(one, "\n" + (one.read_text("RECORD") or "")) for one in metadata.distributions()]


def installed_version(distribution: str) -> str:
    """Installed now; "none" if it is not."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "none"
