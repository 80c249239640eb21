"""Virtual environments for the packages that we compare with, below var/peers/."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from housing import paths


class InstallError(Exception):
    """Raised if packages cannot be installed, with the installer's last words."""


def install(name: str, requirements: str, pip_arguments: Sequence[str], folder: Path) -> Path:
    """Return the bin folder of an environment.

    It is created at the first use, and again when its requirements change. name: of the environment
    in var/peers/. requirements: what it is made of, as text. pip_arguments: what to install, seen
    from the folder. Raises InstallError.
    """
    environment = paths.PROJECT_ROOT / "var" / "peers" / name
    record = environment / "installed.json"
    if not record.exists() or record.read_text() != requirements:
        print(f"installing {name} in var/peers/", file=sys.stderr)
        shutil.rmtree(environment, ignore_errors=True)
        _create(environment, pip_arguments, folder)
        record.write_text(requirements)
    return environment / "bin"


def _create(environment: Path, pip_arguments: Sequence[str], folder: Path) -> None:
    """Create a virtual environment, with uv if `make` has found it."""
    uv_record, python = paths.PROJECT_ROOT / ".uv.done", environment / "bin" / "python"
    if uv_record.exists():
        uv = str(paths.PROJECT_ROOT / uv_record.read_text().strip())
        create = [uv, "venv", "-q", "-p", sys.executable]
        pip_install = [uv, "pip", "install", "-q", "-p", python, "--compile-bytecode"]
    else:
        create = [sys.executable, "-m", "venv"]
        pip_install = [python, "-m", "pip", "install", "-q"]
    for command in ([*create, environment], [*pip_install, *pip_arguments]):
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if result.returncode:
            raise InstallError(f"cannot be installed: {' '.join(result.stderr.split())[-300:]}")
