"""Prediction logs as the service writes them, for the tests of what reads them."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime

from housing.prediction_log import table
from housing.schema import FEATURES

LOG_SCHEMA = table.SCHEMA_FILE.read_text()
FIRST_LOG_SCHEMA = """
CREATE TABLE prediction (id TEXT PRIMARY KEY, request_id TEXT NOT NULL, asked_at TEXT NOT NULL,
  status INTEGER NOT NULL, input TEXT, prediction REAL, model_name TEXT, model_version TEXT,
  latency_ms REAL NOT NULL, problem TEXT)
"""  # as the first service made it
EXAMPLE_BLOCK_GROUP = {name: feature.example for name, feature in FEATURES.items()}
REFUSAL_MESSAGE = (
    "MedInc is -1, expected a number from 0 to 20 (median household income; $10,000 a year)"
)


def prediction_row(number, **overrides):
    """Return a row. number: names its request, which came 8 minutes after the previous number's."""
    request_id = f"{number:032x}"
    day, minutes = divmod(8 * number, 24 * 60)
    hour, minute = divmod(minutes, 60)
    return {
        "id": f"{request_id}-0",
        "request_id": request_id,
        "status": 200,
        "prediction": 4.19027,
        "asked_at": f"2026-11-{1 + day:02}T{hour:02}:{minute:02}:00.000+00:00",
        "input": json.dumps(EXAMPLE_BLOCK_GROUP),
        "model_name": "california-housing",
        "model_version": "1",
        "latency_ms": 0.412,
        "problem": None,
    } | overrides


def timed_row(asked_at, number=0, **overrides):
    """Return a row with an id that says when it was asked, as those of the service do.

    asked_at: UTC, ISO 8601, with milliseconds and zone. number: tells rows of that moment apart.
    """
    milliseconds = round(datetime.fromisoformat(asked_at).timestamp() * 1000)
    request_id = f"{milliseconds:012x}7000{number:016x}"
    ids = {"id": f"{request_id}-0", "request_id": request_id}
    return prediction_row(0, **(ids | {"asked_at": asked_at} | overrides))


def refused_row(number, **overrides):
    """Return a row of a request that was refused."""
    refused_columns = {
        "id": f"{number:032x}",
        "status": 422,
        "prediction": None,
        "input": '{"MedInc": -1',
        "model_name": None,
        "model_version": None,
        "problem": REFUSAL_MESSAGE,
    }
    return prediction_row(number, **(refused_columns | overrides))


def write_log(file, rows=(), schema=LOG_SCHEMA, extra_columns=()):
    """Add rows to a log, which is created first if it is not there.

    extra_columns: columns that the schema does not have.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, timeout=20)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            database.executescript(schema)
        for name in extra_columns:
            if name not in table.column_types(database):
                database.execute(f"ALTER TABLE prediction ADD COLUMN {name} TEXT")
        with database:
            for row in rows:
                names, placeholders = ", ".join(row), ", ".join("?" * len(row))
                database.execute(
                    f"INSERT INTO prediction ({names}) VALUES ({placeholders})",
                    tuple(row.values()),
                )
    return file


def row_ids(file):
    """Return the ids of all rows, sorted."""
    with closing(sqlite3.connect(file, timeout=20)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            return []  # the process that created the file was killed before it made the table
        return sorted(row_id for [row_id] in database.execute("SELECT id FROM prediction"))
