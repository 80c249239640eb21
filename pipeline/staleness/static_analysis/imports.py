"""Follow the imports of a notebook through our modules, without running it."""

import ast
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.definition import magics, notebook_file
from pipeline.staleness.access_kinds import RUNNER_PACKAGE
from pipeline.staleness.static_analysis import (
    docstrings,
    imported_names,
    module_code,
)
from pipeline.staleness.static_analysis.imported_names import ImportedNames
from pipeline.staleness.static_analysis.module_code import ModuleCode
from pipeline.staleness.static_analysis.module_search import ModuleLocation, ModuleSearch


@dataclass
class NotebookImports:
    """What a notebook imports, through any number of our modules."""

    our_modules: dict[str, ModuleCode] = field(default_factory=dict)  # path -> code
    installed_modules: list[str] = field(default_factory=list)  # nearest first
    missing_modules: list[str] = field(default_factory=list)  # that cannot be imported now
    distributions: list[str] = field(default_factory=list)  # whose version is asked for
    reads_docstrings: bool = False

    @property
    def full_hashes(self) -> dict[str, str]:
        """Path -> hash of our modules."""
        return {path: code.full_hash for path, code in self.our_modules.items()}

    @property
    def hashes_without_docstrings(self) -> dict[str, str]:
        """Path -> hash of our modules; empty if the code reads docstrings, so that they count."""
        if self.reads_docstrings:
            return {}
        return {path: code.hash_without_docstrings for path, code in self.our_modules.items()}


def cell_imports(notebook: Path) -> tuple[ImportedNames, bool]:
    """Return what the notebook's cells ask for, in order, and whether they read docstrings."""
    modules: list[str] = []
    distributions: list[str] = []
    reads_docstrings = False
    for cell in notebook_file.read_cells(notebook):
        if cell["cell_type"] == "code":
            try:
                tree = magics.parse_cell(cell["source"])
            except SyntaxError:
                reads_docstrings = True  # as far as is known
                continue
            names = imported_names.find_names(tree, "")
            modules += names.modules
            distributions += names.distributions
            reads_docstrings |= docstrings.are_read(ast.dump(tree), names.modules)
    unique_modules = tuple(dict.fromkeys(modules))
    return ImportedNames(unique_modules, tuple(distributions)), reads_docstrings


def resolve_imports(notebook: Path) -> NotebookImports:
    """Follow the notebook's imports through our modules.

    Imports inside functions count; imports for type checkers only do not.
    """
    names, reads_docstrings = cell_imports(notebook)
    resolver = _ImportResolver(notebook.parent)
    resolver.imports.reads_docstrings = reads_docstrings
    resolver.follow(names)
    return resolver.imports


class _ImportResolver:
    """Follows names to the files of our modules, and tells the others that can be imported."""

    def __init__(self, folder: Path) -> None:
        self.search, self.imports = ModuleSearch(folder), NotebookImports()
        self.locations: dict[str, ModuleLocation | None] = {}  # of top-level modules of ours
        self.other_locations: dict[str, ModuleLocation | None] = {}  # of those that are not ours

    def follow(self, names: ImportedNames) -> None:
        """Resolve names, and those that our modules import in turn."""
        pending_names = list(names.modules)
        self.imports.distributions += names.distributions
        resolved_names: set[str] = set()
        while pending_names:
            name = pending_names.pop(0)
            if name not in resolved_names:
                resolved_names.add(name)
                pending_names += self.resolve(name)

    def resolve(self, name: str) -> list[str]:
        """Add a module to the imports; return what its files import that were not read so far."""
        top_level_name = name.partition(".")[0]
        if top_level_name == RUNNER_PACKAGE.name and self.search.is_runner():
            return []  # what a notebook publishes does not depend on how the runner does it
        if top_level_name not in self.locations:
            location = self.search.find_ours(top_level_name)
            self.locations[top_level_name] = location
        location = self.locations[top_level_name]
        if location is None or location.file is None:
            self.add_other_module(name)
        if location is None:
            return []
        imported_modules: list[str] = []
        for path, package in self.search.iter_files(name, location):
            if str(path) not in self.imports.our_modules:
                code = module_code.scan(path, package)
                self.imports.our_modules[str(path)] = code
                self.imports.reads_docstrings |= code.reads_docstrings
                self.imports.distributions += code.imports.distributions
                imported_modules += code.imports.modules
        return imported_modules

    def add_other_module(self, name: str) -> None:
        """Add a module that is not ours, or is in a folder without __init__.py."""
        top_level_name = name.partition(".")[0]
        if top_level_name in sys.stdlib_module_names:
            return
        if top_level_name not in self.other_locations:
            location = self.search.locate(top_level_name)
            self.other_locations[top_level_name] = location
        location = self.other_locations[top_level_name]
        if location and not location.file:  # a namespace, to which several distributions may add
            location = self.search.locate(name)
        if location is None:
            self.imports.missing_modules.append(name)
        elif location.file or self.locations[top_level_name] is None:
            self.imports.installed_modules.append(name)
        elif name == top_level_name:
            self.imports.missing_modules.append(name)  # an installed one would take precedence
