"""The files of the local copy of the champion, which one process writes and all workers read.

`current.json` names the folder that is served, which holds the files of a version; its `about.json`
describes the model. `registry.json` has the status of the registry.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

POINTER_FILE_NAME = "current.json"
STATUS_FILE_NAME = "registry.json"
MODEL_INFO_FILE_NAME = "about.json"


class ModelInfo(NamedTuple):
    """Which model makes a prediction, and on which data it was trained."""

    name: str
    version: str
    run_id: str
    source: str
    details: dict[
        str, Any
    ]  # all of about.json, as `registry.versions.export_for_serving` writes it


class RegistryStatus(NamedTuple):
    """What the last attempt to read the registry has shown. Texts name no path and no host."""

    reached_at: float = 0.0  # seconds since 1970; 0 if it was never reached
    problem: str = ""  # why the registry does not answer; empty if it does
    since: str = ""  # since when that problem persists, UTC, ISO 8601
    refusal: str = ""  # why the registry's champion is not copied; empty if it is
    is_baked: bool = False  # the copy was baked into an image and follows no registry
    state: str = ""  # a ModelState; empty if no process of this version has written it
    reason: str = ""  # what is known of that state, for its sentence
    refused_version: str = ""  # the name and version of the champion that is not copied


# the keys of registry.json, which outlives an update of the service
STATUS_KEYS = {"refusal": "refused", "is_baked": "baked"}
STATUS_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(RegistryStatus._fields, str),
    "reached_at": (int, float),
    "is_baked": bool,
}


def parse_model_info(content: bytes) -> ModelInfo:
    """Return the content of about.json. Raises ValueError if it is not that."""
    try:
        details = json.loads(content)
        return ModelInfo(
            details["name"], details["version"], details["run_id"], details["source"], details
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{MODEL_INFO_FILE_NAME} does not describe a model") from None


def read_status(folder: Path) -> RegistryStatus:
    """Return the status of the registry, without any value if none was written yet."""
    content = read_json(folder / STATUS_FILE_NAME)
    values: dict[str, Any] = {
        field: content.get(STATUS_KEYS.get(field, field)) for field in RegistryStatus._fields
    }
    valid_values: dict[str, Any] = {
        field: value
        for field, value in values.items()
        if isinstance(value, STATUS_TYPES[field])  # else it is absent, or the file is damaged
    }
    return RegistryStatus(**valid_values)


def encode_status(status: RegistryStatus) -> str:
    """Return the content of registry.json, without values that are empty."""
    return json.dumps(
        {STATUS_KEYS.get(field, field): value for field, value in status._asdict().items() if value}
    )


def read_served_folder(folder: Path) -> str | None:
    """Return the name of the folder that is served, None if there is no copy."""
    served_folder = read_json(folder / POINTER_FILE_NAME).get("folder")
    return served_folder if isinstance(served_folder, str) else None


def files_digest(files: dict[str, bytes]) -> bytes:
    """Return what changes with the content of any of a version's files."""
    return hashlib.sha256(b"".join(files.values())).digest()


def files_signature(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Return what changes whenever a file of a version is written; empty if it has none."""
    if not folder.is_dir():
        return ()
    stats = [(file.name, file.stat()) for file in sorted(folder.iterdir())]
    return tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)


def encode_pointer(served_folder: str) -> str:
    """Return the content of current.json."""
    return json.dumps({"folder": served_folder})


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a file, empty if it cannot be read or is no object."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
