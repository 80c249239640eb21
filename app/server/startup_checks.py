"""Check at the start of the service what would otherwise show up in its workers, or much later."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.auth import api_keys

# without it no worker starts; without the others the service answers, if only with errors
REQUIRED_FILE = "COUNTS"
WRITTEN_FILES = (REQUIRED_FILE, "DATABASE", "LOG_FILE")
FOLDERS = ("SERVING", "REPORTS")

logger = logging.getLogger("app")


def check_files(settings: Mapping[str, Any]) -> None:
    """Warn of each file and folder that cannot be used.

    Raises ValueError for the one without which no worker starts.
    """
    for name in WRITTEN_FILES:
        problem = _find_write_problem(Path(settings[name]))
        if problem and name == REQUIRED_FILE:
            raise ValueError(_describe(name, settings[name], problem))
        if problem:
            message = _describe(name, settings[name], problem)
            logger.warning("%s; until it can be, /ready and predictions answer 503", message)
    try:
        api_keys.read_keys(Path(settings["KEYS"]))
    except ValueError as error:
        logger.warning("%s; until they can be, every request is refused", error)
    for name in FOLDERS:
        path = Path(settings[name])
        if os.path.lexists(path) and not path.is_dir():
            logger.warning("HOUSING_%s is %s, which is not a folder", name, path)


def _describe(name: str, path: str, problem: str) -> str:
    return f"HOUSING_{name} is {path}, which cannot be written: {problem}"


def _find_write_problem(path: Path) -> str:
    """Return why a file cannot be written; "" if it can. Creates its folder, not the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            return "it is a folder"
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            return "permission denied"
    except FileExistsError as error:
        return f"{error.filename} is not a folder"
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return ""
