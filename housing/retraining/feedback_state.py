"""Whether true values have arrived, without reading them; needs the standard library only."""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from housing.prediction_log import reader

# the log in var/ and its archived months, each with the files that SQLite puts beside it
LOG_FILE_PATTERNS = ("logs.db*", "logs-*.db*")
NO_TRUE_VALUES = "none"
STATE_QUERY = (
    "SELECT count(*), max(number), (SELECT received_at || ' of ' || prediction_id FROM feedback "
    "ORDER BY number DESC LIMIT 1) FROM feedback"
)


def log_file_patterns() -> tuple[str, ...]:
    """Return the patterns of the log's files, for a step that depends on their true values alone.

    Another step would run again with each prediction.
    """
    custom_path = os.environ.get("HOUSING_DATABASE")
    return (*LOG_FILE_PATTERNS, f"{custom_path}*") if custom_path else LOG_FILE_PATTERNS


def read_feedback_state(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return what changes with each true value, if the parameter `labelled` asks for them.

    parameters: of the step that reads the labelled rows. Raises OSError if the log cannot be read.
    """
    if parameters.get("labelled") != "yes":
        return {}
    log = reader.log_path()
    if not log.exists():
        return {"true values": NO_TRUE_VALUES}
    try:
        with closing(sqlite3.connect(f"{log.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            count, number, last = connection.execute(STATE_QUERY).fetchone()
    except sqlite3.Error as error:
        if "no such table" in str(error):  # nothing was ever logged, or by an older service
            return {"true values": NO_TRUE_VALUES}
        raise OSError(f"{log}: {error}") from error
    state = f"{count:,} up to number {number}, the last at {last}" if count else NO_TRUE_VALUES
    return {"true values": state}
