"""What importing a package changes, seen from a fresh process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from housing.paths import PROJECT_ROOT

# prints the modules that were imported, and each environment variable before and after
IMPORT_SCRIPT = """
import importlib, json, os, pkgutil, sys

before = dict(os.environ)
package = importlib.import_module(sys.argv[1])
names = [package.__name__]
for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
    importlib.import_module(module.name)
    names.append(module.name)
print(json.dumps([names, before, dict(os.environ)]))
"""


class ImportEffects(NamedTuple):
    """What was imported, and what that changed."""

    modules: list[str]
    changed_variables: dict[str, str | None]  # the new values; None if it was removed
    created_paths: list[str]  # relative to the working folder, which is the home folder too


def import_effects(
    package: str, empty_folder: Path, search_path: Path = PROJECT_ROOT
) -> ImportEffects:
    """Import every module of a package in a fresh process, and return what that changed.

    The process works in the empty folder, which is also its home, its HOUSING_HOME and its folder
    for temporary files. It inherits no variable, as one that is set already would hide a package
    that sets it. search_path: the folder that holds the package.
    """
    folder_variables = ("HOME", "HOUSING_HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    variables = dict.fromkeys(folder_variables, str(empty_folder))
    variables |= {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(search_path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    completed = subprocess.run(
        [sys.executable, "-c", IMPORT_SCRIPT, package],
        cwd=empty_folder,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    modules, before, after = json.loads(completed.stdout)
    changed_names = sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )
    return ImportEffects(
        modules,
        {name: after.get(name) for name in changed_names},
        sorted(path.relative_to(empty_folder).as_posix() for path in empty_folder.rglob("*")),
    )
