"""The archived months of the prediction log, a file each, and which of them a prediction is in.

An id begins with the milliseconds of its request (UUID version 7, RFC 9562), so it says its month.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from housing import paths

ID_TIME_DIGITS = 12  # hex digits of the milliseconds since 1970
ID_PATTERN = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")  # of a prediction, or of a refused request
FILE_PATTERN = re.compile(r"logs-(\d{4}-\d\d)\.db")


class IdRange(NamedTuple):
    """The ids of a month: from the first one up to the second, which is of the next month."""

    start: str
    end: str


def archive_folder() -> Path:
    """Return the folder of the archived months; it may not exist yet."""
    return Path(os.environ.get("HOUSING_ARCHIVE") or paths.var() / "archive")


def archive_paths(folder: Path | None = None) -> list[Path]:
    """Return the archived months in a folder, by default the usual one, the newest first."""
    return sorted((folder or archive_folder()).glob("logs-*.db"), reverse=True)


def month_file(folder: Path, month: str) -> Path:
    """Return the file of a month, like 2026-11, which may not exist yet."""
    return folder / f"logs-{month}.db"


def file_month(file: Path) -> str | None:
    """Return the month of a file; None if its name is not that of an archived month."""
    match = FILE_PATTERN.fullmatch(file.name)
    return match[1] if match else None


def id_month(prediction_id: str) -> str | None:
    """Return the month of a prediction, like 2026-11; None if the service never made such an id."""
    if not ID_PATTERN.fullmatch(prediction_id):
        return None
    milliseconds = int(prediction_id[:ID_TIME_DIGITS], 16)
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m")
    except (ValueError, OverflowError):  # after the year 9999
        return None


def month_ids(month: str) -> IdRange:
    """Return the range of the ids of a month."""
    year, number = map(int, month.split("-"))
    start = datetime(year, number, 1, tzinfo=UTC)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return IdRange(*(f"{int(time.timestamp() * 1000):012x}" for time in (start, end)))
