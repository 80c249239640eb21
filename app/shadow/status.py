"""What the challenger's process is doing: a file that it writes and the workers read."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

from app.model.local_copy import read_json
from housing.prediction_log import shadow_answers


class ShadowState(StrEnum):
    """Whether the challenger answers, or why it does not."""

    STARTING = "starting"
    ANSWERING = "answering"
    NO_CHAMPION = "no_champion"  # so it is not known whose challenger is meant
    NO_CHALLENGER = "no_challenger"  # no version has the alias
    IS_CHAMPION = "is_champion"  # the version with the alias is the champion itself
    REFUSED = "refused"  # its files are gone or changed, or cannot be copied
    UNLOADABLE = "unloadable"  # its files cannot be loaded, or do not predict as recorded
    UNREACHABLE = "unreachable"  # the registry, and there is no copy of the challenger


@dataclass
class ShadowStatus:
    """The state of the challenger's process, and its counts since the file was created."""

    state: str = ShadowState.STARTING
    reason: str = ""  # of that state; names no path and no host
    model_name: str = ""
    model_version: str = ""
    rows: int = 0  # that the challenger answered
    failed_rows: int = 0  # for which it raised an error or returned no number
    dropped_rows: int = 0  # that it was to answer, and skipped because it was behind
    starts: int = 0  # of the process
    behind_seconds: float = 0.0  # age of the row that it answered last; 0 if it is up to date
    written_at: float = 0.0  # seconds since 1970


def status_path(log: Path) -> Path:
    """Return the file of the status, beside the answers."""
    return shadow_answers.shadow_path(log).with_suffix(".json")


def read_status(file: Path) -> ShadowStatus:
    """Return the status in a file; what it lacks, or has of another type, has its default."""
    content, status = read_json(file), ShadowStatus()
    for field in fields(ShadowStatus):
        default, value = getattr(status, field.name), content.get(field.name)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(default, str) and isinstance(value, str):
            setattr(status, field.name, value)
        elif not isinstance(default, str) and is_number:
            setattr(status, field.name, type(default)(value))
    return status


def write_status(file: Path, status: ShadowStatus) -> None:
    """Write the file as a whole; a full disk is no reason to stop."""
    with suppress(OSError):
        temporary_file = file.with_suffix(".new")  # not synced: it is written every second
        temporary_file.write_text(json.dumps(asdict(status)))
        temporary_file.replace(file)
