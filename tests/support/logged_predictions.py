"""Logs as the service writes them, for the tests of what reads them."""

import json
import sqlite3
from contextlib import closing

from housing.paths import PROJECT_ROOT
from housing.schema import FEATURES

LOG_SCHEMA = (PROJECT_ROOT / "app" / "prediction_log" / "schema.sql").read_text()
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
    """A row; place: its number, 8 minutes from the one before."""
    request = f"{number:032x}"
    return {
        "id": f"{request}-0", "request_id": request, "status": 200, "prediction": 4.19027,
        "asked_at": f"2026-11-{1 + number // 180:02}T{number % 180 * 8 // 60:02}:"
                    f"{number % 180 * 8 % 60:02}:00.000+00:00",
        "input": json.dumps(EXAMPLE_BLOCK_GROUP), "model_name": "california-housing", "model_version": "1",
        "latency_ms": 0.412, "problem": None,
    } | overrides  # fmt: skip


def refused_row(number, **overrides):
    """A row of a request that was refused."""
    told = {"id": f"{number:032x}", "status": 422, "prediction": None, "input": '{"MedInc": -1',
            "model_name": None, "model_version": None, "problem": REFUSAL_MESSAGE}  # fmt: skip
    return prediction_row(number, **(told | overrides))


def write_log(file, rows=(), schema=LOG_SCHEMA, extra_columns=()):
    """The log with these rows. more: columns that this schema has not yet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, timeout=20)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            database.executescript(schema)
        for one in extra_columns:
            if one not in [it[1] for it in database.execute("PRAGMA table_info(prediction)")]:
                database.execute(f"ALTER TABLE prediction ADD COLUMN {one} TEXT")
        with database:
            for row in rows:
                marks = ", ".join("?" * len(row))
                names = ", ".join(row)
                database.execute(
                    f"INSERT INTO prediction ({names}) VALUES ({marks})", tuple(row.values())
                )
    return file


def row_ids(file):
    """Of all its rows, in order."""
    with closing(sqlite3.connect(file, timeout=20)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            return []  # whoever began it was killed
        return sorted(one for [one] in database.execute("SELECT id FROM prediction"))
