"""Tell which files and folders a step accessed, by the log of its kernel and by its code."""

import contextlib
import os
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline.definition.steps import Step
from pipeline.definition.tasks import Task
from pipeline.staleness.access_kinds import (
    BYPRODUCT_SUFFIXES,
    MISSING_STAT,
    STARTED_MARK,
    AccessKind,
)
from pipeline.staleness.file_signature import format_stat
from pipeline.staleness.path_scopes import PathScope, PathScopes
from pipeline.staleness.static_analysis import named_files
from pipeline.workspace import Workspace

CHANGING_KINDS = (AccessKind.WRITTEN, AccessKind.APPENDED)
# of untracked paths, those that say nothing about a notebook's data
UNREMARKABLE_FILES = (
    *("/etc/localtime", "/etc/mime.types", "/etc/os-release", "/etc/timezone"),
    *("/usr/lib/os-release", "/usr/share/fonts", "/usr/share/zoneinfo"),
)
SHARED_LIBRARY = re.compile(r"\.(so|dylib)(\.\d+)*$")


@dataclass
class FileAccesses:
    """The data files and folders a kernel accessed: path -> `FileSignature.stat` at that moment.

    There is an entry for each `AccessKind`.
    """

    read: dict[Path, str] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    appended: dict[Path, str] = field(default_factory=dict)
    module: dict[Path, str] = field(default_factory=dict)  # our modules, imported
    listed: dict[Path, str] = field(default_factory=dict)  # folders
    listed_by_package: dict[Path, str] = field(default_factory=dict)  # folders
    created: dict[Path, str] = field(default_factory=dict)  # folders and databases
    probed: dict[Path, str] = field(default_factory=dict)  # paths that may exist or not
    probed_by_package: dict[Path, str] = field(default_factory=dict)
    passed: dict[Path, str] = field(default_factory=dict)  # to other programs, or looked at
    scratch: set[Path] = field(default_factory=set)  # temporary and hidden files that it wrote
    untracked: set[Path] = field(default_factory=set)  # read, but of the system or of a tool


def read_access_log(log_path: Path, step: Step, workspace: Workspace) -> FileAccesses:
    """Return the accesses to data that a kernel's file tracer logged; none if there is no log."""
    sorter = _AccessSorter(PathScopes(step, workspace))
    lines = os.fsdecode(log_path.read_bytes()).splitlines() if log_path.exists() else []
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == STARTED_MARK:
            sorter.started_ns = int(rest)
            continue
        *numbers, path = rest.split(" ", 4)
        path = workspace.secrets.reveal(path)
        sorter.add(LoggedAccess(AccessKind(kind), Path(path), " ".join(numbers), int(numbers[2])))
    return sorter.accesses


class LoggedAccess(NamedTuple):
    """A line of the log."""

    kind: AccessKind
    path: Path
    stat: str  # `FileSignature.stat` at that moment
    ctime_ns: int


class _AccessSorter:
    """Sorts the lines of a log by what they mean for a step."""

    def __init__(self, scopes: PathScopes) -> None:
        self.scopes, self.accesses = scopes, FileAccesses()
        self.started_ns = sys.maxsize
        self.created_folders: set[Path] = set()  # temporary ones

    def add(self, access: LoggedAccess) -> None:
        """Add an access, unless it tells nothing about the step."""
        kind, path = access.kind, access.path
        scope = self.scopes.find_scope(path, kind is AccessKind.MODULE)
        counts = scope is PathScope.DATA or (scope is PathScope.SCRATCH and self._is_input(access))
        if counts and not _is_byproduct(kind, path):
            vars(self.accesses)[kind.name.lower()][path] = access.stat
        is_untracked = scope is PathScope.UNTRACKED and kind is AccessKind.READ
        if is_untracked and not _is_unremarkable(str(path)):
            self.accesses.untracked.add(path)

    def _is_input(self, access: LoggedAccess) -> bool:
        """Return whether a temporary or hidden file counts; note the files that the step makes."""
        kind, path = access.kind, access.path
        if kind in CHANGING_KINDS:
            self.accesses.scratch.add(path)
            return False
        if kind is AccessKind.CREATED:
            if access.stat == MISSING_STAT:
                self.created_folders.add(path)
            return False
        # otherwise the step has made it, or any program may have
        return not (
            access.ctime_ns > self.started_ns
            or self.scopes.is_temporary_folder(path)
            or self.created_folders.intersection(path.parents)
        )


def _is_unremarkable(path: str) -> bool:
    """Return whether a file that is not tracked need not even be named."""
    return path.startswith(UNREMARKABLE_FILES) or bool(SHARED_LIBRARY.search(path))


def _is_byproduct(kind: AccessKind, path: Path) -> bool:
    """Return whether a step leaves a file that is no result, such as a lock."""
    return kind in CHANGING_KINDS and path.suffix in BYPRODUCT_SUFFIXES


def add_named_files(
    accesses: FileAccesses,
    task: Task,
    workspace: Workspace,
    own_files: Collection[str],
    started_ns: int,
) -> None:
    """Add the files that the notebook's code or a value names, and that did not change meanwhile.

    What code in C or a shell script opens is not seen. Of a pattern the files count if Python code
    has not listed their folder, which may need no more than their names. own_files: which the step
    writes. started_ns: when it started, in nanoseconds.
    """
    scopes = PathScopes(task.step, workspace)
    named = named_files.find_named_paths(task.step.notebook, task.values.values())
    files = {*named.files}
    for folder, matches in named.matches.items():
        path = Path(os.path.abspath(folder))  # noqa: PTH100 - links are not resolved
        if path not in accesses.listed and scopes.find_scope(path) is PathScope.DATA:
            accesses.listed[path] = ""
            files |= matches
    for path in map(Path, map(os.path.abspath, files)):
        if scopes.find_scope(path) is PathScope.DATA and str(path) not in own_files:
            with contextlib.suppress(OSError):  # it is gone
                stat = path.stat()
                if stat.st_ctime_ns < started_ns:
                    accesses.passed.setdefault(path, format_stat(stat))


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


def probed_paths(accesses: FileAccesses, workspace: Workspace) -> list[Path]:
    """Return the paths whose existence matters and that nothing else of the accesses tells of.

    What the step itself has made is no news to it, nor what comes into a folder that it listed.
    Packages look for many paths: theirs count if they may come into the project.
    """
    looked_for = accesses.probed.keys() | {
        path
        for path in accesses.probed_by_package
        if not path.exists() and path.is_relative_to(workspace.project)
    }
    explained_paths = (
        accesses.written.keys()
        | accesses.appended.keys()
        | accesses.created.keys()
        | accesses.module.keys()
        | accesses.read.keys()
        | accesses.listed.keys()
        | accesses.scratch
    )
    return sorted(
        path
        for path in looked_for - explained_paths
        if path.parent not in accesses.listed and not path.is_relative_to(workspace.var_folder)
    )
