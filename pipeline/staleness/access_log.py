"""Read the log of the files and folders a kernel opened, and keep those that are data."""

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.definition.steps import Step
from pipeline.staleness.access_kinds import RUNNER_PACKAGE, AccessKind
from pipeline.workspace import Workspace

IGNORED_FOLDERS = {"__pycache__", ".git", ".ipynb_checkpoints"}  # never an input


@dataclass
class FileAccesses:
    """The data files and folders a kernel accessed: path -> "SIZE MTIME_NS" at that moment.

    There is an entry for each `AccessKind`.
    """

    read: dict[Path, str] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    appended: dict[Path, str] = field(default_factory=dict)
    module: dict[Path, str] = field(default_factory=dict)  # our modules, imported
    listed: dict[Path, str] = field(default_factory=dict)  # folders
    listed_by_package: dict[Path, str] = field(default_factory=dict)  # folders


def read_access_log(log_path: Path, step: Step, workspace: Workspace) -> FileAccesses:
    """Return the accesses to data that `pipeline.kernels.file_tracer` logged; none if no log."""
    accesses = FileAccesses()
    lines = log_path.read_text(errors="surrogateescape").splitlines() if log_path.exists() else []
    for line in lines:
        kind, size, mtime_ns, path_text = line.split(" ", 3)
        path = Path(path_text)
        if _is_data(path, step, workspace):
            vars(accesses)[AccessKind(kind).name.lower()][path] = f"{size} {mtime_ns}"
    return accesses


def listed_folders(accesses: FileAccesses, workspace: Workspace) -> list[Path]:
    """Return the folders whose content the step may depend on.

    Packages list many folders: theirs count only in the home, and where the step read a file too.
    """
    folders_read_from = {path.parent for path in accesses.read}
    package_folders = {
        folder
        for folder in accesses.listed_by_package
        if folder in folders_read_from and folder.is_relative_to(workspace.home)
    }
    folders = set(accesses.listed) | package_folders
    return sorted(folder for folder in folders if not folder.is_relative_to(workspace.var_folder))


def _is_data(path: Path, step: Step, workspace: Workspace) -> bool:
    """Return whether a file is data: not the runner's, a cache, a temporary or a system file."""
    runner_folders = (*workspace.runner_folders, RUNNER_PACKAGE)
    if IGNORED_FOLDERS & set(path.parts) or any(map(path.is_relative_to, runner_folders)):
        return False
    if set(step.ignore).intersection(_project_parts(path, step, workspace)):
        return False
    if path.is_relative_to(sys.prefix) or any(map(path.match, (*step.ignore, "*.ipynb"))):
        return False
    if path.is_relative_to(workspace.home) or path.is_relative_to(step.notebook.parent):
        return True
    if path.is_relative_to(tempfile.gettempdir()):  # may be the user's home in a container
        return False
    if path.is_relative_to(Path.home()):  # ~/.cache, ~/.config and the like
        return not path.relative_to(Path.home()).parts[0].startswith(".")
    return not any(map(path.is_relative_to, ("/usr", "/etc", "/run", sys.base_prefix)))


def _project_parts(path: Path, step: Step, workspace: Workspace) -> tuple[str, ...]:
    """Return the names in a path below the project; empty for a path elsewhere."""
    roots = (workspace.home, workspace.project, step.notebook.parent)
    root = next((root for root in roots if path.is_relative_to(root)), None)
    return path.relative_to(root).parts if root else ()
