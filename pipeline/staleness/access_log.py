"""Read the log of the files and folders a kernel accessed, and tell which of them are data."""

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.definition.steps import Step
from pipeline.staleness.access_kinds import (
    BYPRODUCT_SUFFIXES,
    MISSING_STAT,
    STARTED_MARK,
    AccessKind,
)
from pipeline.staleness.path_scopes import PathScope, PathScopes
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
    passed: dict[Path, str] = field(default_factory=dict)  # to other programs
    scratch: set[Path] = field(default_factory=set)  # temporary and hidden files that it wrote
    untracked: set[Path] = field(default_factory=set)  # read, but of the system or of a tool


def read_access_log(log_path: Path, step: Step, workspace: Workspace) -> FileAccesses:
    """Return the accesses to data that a kernel's file tracer logged; none if there is no log."""
    accesses = FileAccesses()
    scopes = PathScopes(step, workspace)
    started_ns = sys.maxsize
    created_folders: set[Path] = set()  # temporary ones
    lines = os.fsdecode(log_path.read_bytes()).splitlines() if log_path.exists() else []
    for line in lines:
        kind_text, _, rest = line.partition(" ")
        if kind_text == STARTED_MARK:
            started_ns = int(rest)
            continue
        *numbers, path_text = rest.split(" ", 4)
        path_text = workspace.secrets.reveal(path_text)
        kind, path, stat = AccessKind(kind_text), Path(path_text), " ".join(numbers)
        scope = scopes.find_scope(path, kind is AccessKind.MODULE)
        if scope is PathScope.UNTRACKED:
            if kind is AccessKind.READ and not _is_unremarkable(path_text):
                accesses.untracked.add(path)
        elif scope is PathScope.SCRATCH and kind in CHANGING_KINDS:
            accesses.scratch.add(path)
        elif scope is PathScope.SCRATCH and kind is AccessKind.CREATED:
            if stat == MISSING_STAT:
                created_folders.add(path)
        elif scope is PathScope.SCRATCH and (
            int(numbers[2]) > started_ns
            or scopes.is_temporary_folder(path)
            or created_folders.intersection(path.parents)
        ):
            continue  # the step has made it, or any program may have
        elif scope is not PathScope.IGNORED and not _is_byproduct(kind, path):
            vars(accesses)[kind.name.lower()][path] = stat
    return accesses


def _is_unremarkable(path: str) -> bool:
    """Return whether a file that is not tracked need not even be named."""
    return path.startswith(UNREMARKABLE_FILES) or bool(SHARED_LIBRARY.search(path))


def _is_byproduct(kind: AccessKind, path: Path) -> bool:
    """Return whether a step leaves a file that is no result, such as a lock."""
    return kind in CHANGING_KINDS and path.suffix in BYPRODUCT_SUFFIXES


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
    """
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
        for path in accesses.probed.keys() - explained_paths
        if path.parent not in accesses.listed and not path.is_relative_to(workspace.var_folder)
    )
