"""The tables of the prediction log: schema, columns and the lock file that the writers share.

The service writes by it, and the commands that read and archive the log read by it. Needs the
standard library only, as every worker of the service imports it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

SCHEMA_FILE = Path(__file__).with_name("schema.sql")
# columns that a log begun by an earlier version of the service may lack, with their SQL types
MIGRATED_COLUMNS = {
    "low": "REAL",
    "high": "REAL",
    "warnings": "TEXT",
    "run_id": "TEXT",
    "caller_id": "TEXT",
    "traceparent": "TEXT",
    "caller": "TEXT",
}
# not in schema.sql: it could not be created before the column is added
CALLER_ID_INDEX = (
    "CREATE INDEX IF NOT EXISTS prediction_caller_id ON prediction (caller_id) "
    "WHERE caller_id IS NOT NULL"
)


class LogEntry(NamedTuple):
    """One row of the log, with the columns of schema.sql in their order."""

    id: str
    request_id: str
    asked_at: str
    status: int
    input: str | None
    prediction: float | None
    model_name: str | None
    model_version: str | None
    latency_ms: float
    problem: str | None
    low: float | None = None
    high: float | None = None
    warnings: str | None = None
    run_id: str | None = None
    caller_id: str | None = None
    traceparent: str | None = None
    caller: str | None = None


COLUMN_NAMES: tuple[str, ...] = LogEntry._fields


def lock_path(database: Path) -> Path:
    """Return the file beside a log that each process locks while it writes to that log."""
    return Path(f"{database}.lock")


def create_or_migrate(connection: sqlite3.Connection) -> None:
    """Create the tables and their indexes; add the columns that an older log lacks."""
    connection.executescript(SCHEMA_FILE.read_text())
    present_columns = column_types(connection)
    for name, sql_type in MIGRATED_COLUMNS.items():
        if name not in present_columns:
            connection.execute(f"ALTER TABLE prediction ADD COLUMN {name} {sql_type}")
    connection.execute(CALLER_ID_INDEX)


def has_feedback(connection: sqlite3.Connection, schema: str = "main") -> bool:
    """Return whether a log has the table of true values; an older service did not create it.

    schema: SQLite's name of the database, if it is an attached one.
    """
    query = f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'table' AND name = 'feedback'"
    return connection.execute(query).fetchone() is not None


def column_types(connection: sqlite3.Connection, schema: str = "main") -> dict[str, str]:
    """Return the SQL type of each column by name; an empty dictionary if there is no table yet.

    schema: SQLite's name of the database, if it is an attached one.
    """
    columns = connection.execute(f"PRAGMA {schema}.table_info(prediction)")
    return {name: sql_type for _, name, sql_type, *_ in columns}
