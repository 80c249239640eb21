"""The table of the log: schema.sql, the rows that are written and the columns added later agree."""

import sqlite3
from contextlib import closing

import pytest

from housing.prediction_log import table
from housing.prediction_log.feedback import FeedbackEntry
from tests.support.logged_predictions import FIRST_LOG_SCHEMA


def migrated_columns(schema):
    """Return the types by column and the names of the indexes, after the service opened a log."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema)
        table.create_or_migrate(connection)
        indexes = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        )
        return table.column_types(connection), {name for [name] in indexes}


def test_a_row_has_the_columns_of_the_schema_in_their_order():
    columns, _ = migrated_columns("")
    assert tuple(columns) == table.COLUMN_NAMES


@pytest.mark.parametrize("schema", ["", FIRST_LOG_SCHEMA])
def test_a_log_of_any_age_gets_the_same_columns_and_indexes(schema):
    columns, indexes = migrated_columns(schema)
    assert columns == migrated_columns("")[0]
    assert table.MIGRATED_COLUMNS.items() <= columns.items()
    assert indexes == {
        "prediction_asked_at",
        "prediction_caller_id",
        "feedback_current",
        "feedback_superseded",
        "feedback_received_at",
    }


def test_a_true_value_has_the_columns_of_the_schema_in_their_order():
    with closing(sqlite3.connect(":memory:")) as connection:
        table.create_or_migrate(connection)
        columns = connection.execute("PRAGMA table_info(feedback)").fetchall()
    assert tuple(name for _, name, *_ in columns) == FeedbackEntry._fields


def test_a_row_without_the_newer_columns_is_complete():
    optional_columns = table.LogEntry._field_defaults
    assert list(optional_columns) == list(table.MIGRATED_COLUMNS)


def test_a_log_without_a_table_has_no_columns():
    with closing(sqlite3.connect(":memory:")) as connection:
        assert table.column_types(connection) == {}
