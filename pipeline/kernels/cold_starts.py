"""The steps that must not run in a warm kernel, as their code or an earlier run tells.

The usual reasons are seen in a notebook's code. A warm kernel finds all others itself, but then it
has run the first cells in vain.
"""

import ast
import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.definition import magics, notebook_file
from pipeline.definition.tasks import Task
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.digests import json_digest
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.static_analysis import imports
from pipeline.workspace import Workspace

# read when a package is imported
VARIABLE_PREFIXES = (
    "OPENBLAS_|OMP_|MKL_|BLIS_|GOTO_|KMP_|VECLIB_|NUMEXPR_|NUMBA_|MPL|JAX_|XLA_|TF_|KERAS_|"
    "CUDA_|TORCH_|PYTORCH_|POLARS_|RAYON_|ARROW_|LOKY_|DASK_"
)
VARIABLE = rf"((?:{VARIABLE_PREFIXES})\w+)"
# in a statement as `ast.unparse` writes it
SETTING_PATTERN = re.compile(
    rf"environ\['{VARIABLE}'\] = |environ\.update\(.*?\b{VARIABLE}\b|"
    rf"putenv\('{VARIABLE}'|%(?:set_)?env {VARIABLE}[= ]"
)
PATCHING_PATTERN = re.compile(r"\bmonkey\.patch_all\(|\bmonkey_patch\(")


class ColdStarts:
    """The reasons why steps must be started cold, kept in a file between runs."""

    def __init__(self, workspace: Workspace) -> None:
        self.path = workspace.cold_starts_file
        self.reasons: dict[str, dict[str, str]] = {}  # label -> digest of the code, and reason
        with contextlib.suppress(OSError, ValueError):
            content = json.loads(self.path.read_bytes())
            self.reasons = content if isinstance(content, dict) else {}

    def find_reason(self, task: Task, fingerprint: Fingerprint) -> str:
        """Return why the task must be started cold; empty if a warm kernel may do."""
        entry = self.reasons.get(task.label)
        if isinstance(entry, dict) and entry.get("code") == _code_digest(fingerprint):
            return str(entry.get("reason", ""))
        return find_reason(task.step.notebook)

    def remember(self, task: Task, fingerprint: Fingerprint, reason: str) -> None:
        """Have the task started cold at once as long as its code is the same."""
        self.reasons[task.label] = {"code": _code_digest(fingerprint), "reason": reason}
        with contextlib.suppress(OSError):  # then the next run finds it out again
            atomic_write(self.path, json.dumps(self.reasons, indent=1))


def _code_digest(fingerprint: Fingerprint) -> str:
    return json_digest({"code": fingerprint.code, "modules": fingerprint.modules})


def find_reason(notebook: Path) -> str:
    """Return what the notebook does that an import after it depends on; empty if nothing is seen.

    As a clause: "it sets OMP_NUM_THREADS before it imports numpy".
    """
    installed_names = {
        name.partition(".")[0] for name in imports.resolve_imports(notebook).installed_modules
    }
    change = ""
    imported_names: set[str] = set()
    for statement in _iter_statements(_cell_trees(notebook)):
        names = _imported_names(statement) & installed_names
        if change and names - imported_names:
            return f"{change} before it imports {min(names - imported_names)}"
        imported_names |= names
        change = change or _describe_change(statement)
    return ""


def _cell_trees(notebook: Path) -> Iterator[ast.Module]:
    if notebook_file.is_python(notebook):
        for cell in notebook_file.read_cells(notebook):
            if cell["cell_type"] == "code":
                with contextlib.suppress(SyntaxError):
                    yield magics.parse_cell(cell["source"])


def _iter_statements(nodes: Iterable[ast.AST]) -> Iterator[ast.stmt]:
    """Yield the statements that run when the cells run, but not those of functions."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.stmt):
            yield node
        yield from _iter_statements(ast.iter_child_nodes(node))


def _imported_names(statement: ast.stmt) -> set[str]:
    """Return the top-level names of the modules that a statement imports."""
    if isinstance(statement, ast.Import):
        return {alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.ImportFrom) and not statement.level:
        return {(statement.module or "").partition(".")[0]}
    return set()


def _describe_change(statement: ast.stmt) -> str:
    """Return what a simple statement changes that imports depend on, or an empty text."""
    if hasattr(statement, "body"):  # its statements follow
        return ""
    source = ast.unparse(statement)
    if PATCHING_PATTERN.search(source):
        return "it patches the standard library"
    match = SETTING_PATTERN.search(source)
    return f"it sets {next(filter(None, match.groups()))}" if match else ""
