"""Tell whose a path is: the project's, the user's, the system's, the runner's or temporary."""

import os
import sys
import tempfile
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path, PurePath

from pipeline.definition.steps import Step
from pipeline.staleness.access_kinds import PACKAGE_FOLDERS, RUNNER_PACKAGE
from pipeline.workspace import Workspace

IGNORED_FOLDERS = {"__pycache__", ".git", ".ipynb_checkpoints"}  # never an input
# what an interpreter's own folder has, besides data that somebody may have put there
INTERPRETER_ENTRIES = (
    *("bin", "conda-meta", "etc", "games", "include", "lib", "lib32", "lib64", "libexec", "libx32"),
    *("local", "man", "pkgs", "pyvenv.cfg", "sbin", "share", "ssl"),
)
# ... of which these are in the way if it is the folder of the project, too
ENVIRONMENT_ENTRIES = (
    *("etc/jupyter", "include", "lib/python*", "lib64", "pyvenv.cfg", "share/jupyter"),
)
SYSTEM_FOLDERS = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run"),
    *("/sbin", "/sys", "/System", "/Library"),
)
# below those, folders of data
DATA_FOLDERS = ("/run/media",)
TEMPORARY_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/run/user")
# of tools, in the user's home: configuration, credentials and caches, but no data
TOOL_ENTRIES = (
    *(".aws", ".azure", ".bash*", ".cargo", ".conda*", ".docker", ".fontconfig", ".git*", ".gnupg"),
    *(".ipython", ".jupyter", ".keras/keras.json", ".kube", ".matplotlib", ".mplconfig", ".netrc"),
    *(".nvm", ".pip", ".profile", ".pyenv", ".pypirc", ".python_history", ".ssh", ".vscode*"),
    *(".cache/black", ".cache/fontconfig", ".cache/ipython", ".cache/jedi", ".cache/matplotlib"),
    *(".cache/mesa*", ".cache/ms-playwright", ".cache/parso", ".cache/pip", ".cache/pre-commit"),
    *(".cache/uv", ".config/fontconfig", ".config/git", ".config/ipython", ".config/jupyter"),
    *(".config/matplotlib", ".config/pip", ".config/uv", ".local/bin", ".local/lib"),
    *(".local/etc", ".local/share/fonts", ".local/share/jupyter", ".local/share/mime*"),
    *(".local/share/uv", ".zsh*", "Library"),
)


class PathScope(StrEnum):
    """What an access to a path means for a step."""

    DATA = "data"  # it may be an input or an output
    SCRATCH = "scratch"  # an input if it was there before the step; never an output
    UNTRACKED = "untracked"  # of the system or of a tool
    IGNORED = "ignored"  # the runner's own, or a cache, or what the step ignores


class PathScopes:
    """The scopes of all paths that a step's kernel may access: the innermost folder decides."""

    def __init__(self, step: Step, workspace: Workspace) -> None:
        self.step = step
        notebook_folder = step.notebook.parent
        self.projects = (str(workspace.home), str(workspace.project), str(notebook_folder))
        self.runner_prefixes = tuple(
            f"{folder}{os.sep}" for folder in (*workspace.runner_folders, RUNNER_PACKAGE)
        )
        self.interpreters = _with_real_paths(sys.prefix, sys.base_prefix, "/usr", "/usr/local")
        self.temporary_folders = _with_real_paths(tempfile.gettempdir(), *TEMPORARY_FOLDERS)
        self.user_homes = _with_real_paths(str(Path.home())) - {os.sep}
        folders = {*self.projects, *self.interpreters, *self.temporary_folders, *self.user_homes}
        folders |= {*SYSTEM_FOLDERS, *DATA_FOLDERS}
        self.folders = sorted(folders, key=len, reverse=True)  # the innermost first

    def find_scope(self, path: Path, is_module: bool = False) -> PathScope:
        """Return the scope of an absolute path. is_module: whether it is code that was imported."""
        text = str(path)
        if text.startswith(self.runner_prefixes) or IGNORED_FOLDERS & set(path.parts):
            return PathScope.IGNORED
        if path == self.step.notebook:  # its code is compared cell by cell
            return PathScope.IGNORED
        if self.step.ignore and not is_module and self._is_ignored_by_step(path):
            return PathScope.IGNORED
        folder = next((folder for folder in self.folders if _is_below(text, folder)), "")
        return self._scope_below(folder, text.removeprefix(folder).strip(os.sep))

    def is_temporary_folder(self, path: Path) -> bool:
        """Return whether any program may put files there, so that a list of them says nothing."""
        return str(path) in self.temporary_folders and str(path) not in self.projects

    def _is_ignored_by_step(self, path: Path) -> bool:
        """Return whether a name below the project, or the path, matches one that does not count."""
        ignored = self.step.ignore
        project = next((folder for folder in self.projects if _is_below(str(path), folder)), "")
        names = path.relative_to(project).parts if project else ()
        return bool(set(ignored).intersection(names)) or any(map(path.match, ignored))

    def _scope_below(self, folder: str, parts: str) -> PathScope:
        """Return the scope of a path, given the innermost folder that decides, and the rest."""
        if folder in self.projects:
            is_environment = folder in self.interpreters and _matches(parts, ENVIRONMENT_ENTRIES)
            return PathScope.UNTRACKED if is_environment else PathScope.DATA
        if set(PACKAGE_FOLDERS).intersection(PurePath(parts).parts):
            return PathScope.IGNORED  # of whichever environment; a package's version stands for it
        if folder in self.temporary_folders:
            return PathScope.SCRATCH
        if folder in self.interpreters:
            is_own = _matches(parts, INTERPRETER_ENTRIES)
            return PathScope.UNTRACKED if is_own else PathScope.DATA
        if folder in self.user_homes:
            if _matches(parts, TOOL_ENTRIES):
                return PathScope.UNTRACKED
            return PathScope.SCRATCH if parts.startswith(".") else PathScope.DATA
        return PathScope.UNTRACKED if folder in SYSTEM_FOLDERS else PathScope.DATA


def _with_real_paths(*folders: str) -> set[str]:
    return {*map(os.path.abspath, folders), *map(os.path.realpath, folders)}


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _matches(parts: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a relative path, or a folder that it is in, matches a pattern."""
    names = PurePath(parts).parts
    return any(
        fnmatch(str(PurePath(*names[: len(PurePath(pattern).parts)])), pattern)
        for pattern in patterns
    )
