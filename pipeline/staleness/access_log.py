"""The trace that a kernel leaves: what it opened and listed, and what of that is data."""

import sys
import tempfile
from pathlib import Path

from pipeline.definition.steps import Step

AccessedPaths = dict[str, dict[Path, str]]
IGNORED_FOLDERS = {"__pycache__", ".git", ".dvc", ".ipynb_checkpoints"}  # nobody's input


def read_access_log(log_path: Path, step: Step, home: Path) -> AccessedPaths:
    """The files that count: kind (r, w, a, m) -> path -> size and time when it was opened; those
    read before they were written (u); and the folders that were listed (l; k: by a package).
    """
    found: dict[str, dict[Path, str]] = {one: {} for one in "rwamulk"}
    lines = log_path.read_text(errors="surrogateescape").splitlines() if log_path.exists() else []
    for line in lines:
        kind, size, time, path = line.split(" ", 3)
        if _is_data(Path(path), step, home):
            found[kind][Path(path)] = f"{size} {time}"
            if kind == "w" and found["r"].get(Path(path), "0 0") != "0 0":
                found["u"][Path(path)] = f"{size} {time}"
    return found


def listed_folders(accesses: AccessedPaths, home: Path) -> list[Path]:
    """The folders whose names the step may depend on.

    Packages look around a lot: theirs counts in the home only, where the step read a file too.
    """
    read = {one.parent for one in accesses["r"]}
    packages = {one for one in accesses["k"] if one in read and one.is_relative_to(home)}
    folders = set(accesses["l"]) | packages
    return sorted(one for one in folders if not one.is_relative_to(home / "var"))


def _is_data(path: Path, step: Step, home: Path) -> bool:
    """Whether a file is data: not the runner's own, a cache, a temporary, the system's."""
    own = [home / one for one in ("var/runs", "var/steps", "reports")]
    own.append(Path(__file__).parents[1])
    if IGNORED_FOLDERS & set(path.parts) or any(path.is_relative_to(one) for one in own):
        return False
    ignored = (*step.ignore, "*.ipynb")
    if path.is_relative_to(sys.prefix) or any(path.match(one) for one in ignored):
        return False
    if path.is_relative_to(home) or path.is_relative_to(step.notebook.parent):
        return True
    system = ["/usr", "/etc", "/run", sys.base_prefix]
    if path.is_relative_to(tempfile.gettempdir()):  # a container's user may be at home there
        return False
    if path.is_relative_to(Path.home()):  # ~/.cache, ~/.config and their like
        return not path.relative_to(Path.home()).parts[0].startswith(".")
    return not any(path.is_relative_to(one) for one in system)
