"""Hash the files of our modules, and find what they import."""

import ast
import hashlib
import tokenize
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pipeline.runs.digests import FileVersion, file_version, text_digest
from pipeline.staleness.source_code import source_hash
from pipeline.staleness.static_analysis import docstrings, imported_names
from pipeline.staleness.static_analysis.imported_names import ImportedNames

SOURCE_SUFFIX = ".py"


class ModuleCode(NamedTuple):
    """What a file of ours holds."""

    full_hash: str
    hash_without_docstrings: str
    imports: ImportedNames = ImportedNames()
    reads_docstrings: bool = True  # as far as is known


def scan(path: Path, package: str = "") -> ModuleCode:
    """Read a file; its relative imports start from the package. Raises OSError without a file."""
    return _scan_version(path, package, file_version(path))


def full_hashes(paths: Iterable[str]) -> dict[str, str]:
    """Return path -> hash of those of our modules that exist."""
    return {path: scan(Path(path)).full_hash for path in paths if Path(path).exists()}


@cache  # one entry per version of a file, which may be edited while the runner works
def _scan_version(path: Path, package: str, _version: FileVersion) -> ModuleCode:
    if path.suffix != SOURCE_SUFFIX:  # compiled
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        return ModuleCode(digest, digest, reads_docstrings=False)
    try:
        with tokenize.open(path) as file:
            tree = ast.parse(file.read())
    except (SyntaxError, UnicodeDecodeError):
        text_hash = source_hash(path.read_bytes().decode(errors="replace"))
        return ModuleCode(text_hash, text_hash)
    names = imported_names.find_names(tree, package)
    dump = docstrings.dump_module(tree)
    return ModuleCode(
        text_digest(dump.full),
        text_digest(dump.without_docstrings),
        names,
        docstrings.are_read(dump.without_docstrings, names.modules),
    )
