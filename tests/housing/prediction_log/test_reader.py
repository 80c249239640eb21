"""Reading the prediction log: real files, also old, empty and moved ones."""

import json
import re
import sqlite3

import pytest

from housing.prediction_log import reader
from housing.prediction_log.filters import LogFilters, parse_filters
from housing.prediction_log.reader import LogTail, open_log, read_newest
from housing.prediction_log.summary import summarize
from tests.support.logged_predictions import (
    EXAMPLE_BLOCK_GROUP,
    FIRST_LOG_SCHEMA,
    REFUSAL_MESSAGE,
    prediction_row,
    refused_row,
    row_ids,
    write_log,
)

FAR_AWAY = json.dumps(EXAMPLE_BLOCK_GROUP | {"Latitude": 34.05, "Longitude": -118.24})
ROWS = [
    prediction_row(0),
    prediction_row(
        1, status=503, prediction=None, model_name=None, problem="the log is full", input=None
    ),
    prediction_row(2, model_version="2", prediction=2.5),
    refused_row(3),
    prediction_row(4, warnings='["AveRooms is 160"]', low=3.4, high=5.0, prediction=1.5),
    prediction_row(5, input=FAR_AWAY, model_name="california-housing-sample", warnings="[]"),
    prediction_row(6, id=f"{6:032x}-1", caller_id="checkout 17"),
]


@pytest.fixture
def file(tmp_path):
    return write_log(tmp_path / "a log?#%.db", ROWS, extra_columns=["caller_id"])


def row_number(row):
    """Return the number that `prediction_row` was called with."""
    return int(row["request_id"], 16)


def matching_rows(file, limit=20, **options):
    """Return the numbers of the ROWS that match."""
    return [row_number(row) for row in read_newest(file, parse_filters(options), limit)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6]),
        ({"since": "2026-11-01T00:16"}, [2, 3, 4, 5, 6]),
        ({"until": "2026-11-01T00:16"}, [0, 1]),
        ({"since": "2026-11-01T00:08", "until": "2026-11-01T00:24"}, [1, 2]),
        ({"status": "422"}, [3]),
        ({"status": "5xx"}, [1]),
        ({"version": "2"}, [2]),
        ({"model": "california-housing-sample"}, [5]),
        ({"problem": True}, [1, 3]),
        ({"warned": True}, [4]),
        ({"place": "37.88,-122.23,1"}, [0, 2, 4, 6]),
        ({"place": "37.97,-122.23,11"}, [0, 2, 4, 6]),
        ({"place": "37.97,-122.23,9"}, []),
        ({"place": "34,-118,50"}, [5]),
        ({"min_usd": "250000"}, [0, 2, 5, 6]),
        ({"max_usd": "$250,000"}, [2, 4]),
        ({"min_usd": "200000", "version": "1", "since": "2026-11-01T00:30"}, [5, 6]),
        ({"request": f"{2:032x}-0"}, [2]),
        ({"request": f"{6:032x}"}, [6]),
        ({"request": f"{3:032x}"}, [3]),
        ({"request": "checkout 17"}, [6]),
        ({"request": "unknown"}, []),
    ],
)
def test_each_filter_finds_its_rows(file, options, expected):
    assert matching_rows(file, **options) == expected


def test_the_newest_rows_are_read_and_the_newest_is_last(file):
    assert matching_rows(file, limit=2) == [5, 6]
    assert matching_rows(file, limit=0) == []


def test_a_log_of_the_first_service_has_all_columns_and_filters(tmp_path):
    file = write_log(tmp_path / "logs.db", [prediction_row(0), refused_row(1)], FIRST_LOG_SCHEMA)
    [row, _] = read_newest(file, LogFilters(), 20)
    assert row["prediction"] == 4.19027
    newer_columns = ("low", "high", "warnings", "run_id", "caller_id", "caller")
    assert {row[column] for column in newer_columns} == {None}
    assert matching_rows(file, warned=True) == []
    assert matching_rows(file, request=f"{0:032x}") == [0]
    assert summarize(file, LogFilters())["rows"] == 2


def test_a_missing_and_an_empty_log_have_no_rows(tmp_path):
    assert list(read_newest(tmp_path / "none.db", LogFilters(), 20)) == []
    (tmp_path / "empty.db").touch()
    assert list(read_newest(tmp_path / "empty.db", LogFilters(), 20)) == []
    assert summarize(tmp_path / "empty.db", LogFilters())["rows"] == 0
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_log_is_named(tmp_path):
    file = tmp_path / "logs.db"
    file.write_text("no database " * 100)
    with pytest.raises(RuntimeError, match=r"logs.db cannot be read: file is not a database"):
        list(read_newest(file, LogFilters(), 20))


def test_a_reader_cannot_write(file):
    with pytest.raises(RuntimeError, match="readonly"), open_log(file) as database:
        database.execute("DELETE FROM prediction")
    assert len(row_ids(file)) == 7


@pytest.mark.parametrize("options", [{}, {"since": "2026-11-01"}, {"request": "x"}])
def test_the_newest_rows_are_found_by_an_index(file, options):
    with sqlite3.connect(file) as database:
        database.execute("CREATE INDEX caller ON prediction (caller_id) "
                         "WHERE caller_id IS NOT NULL")  # fmt: skip
    statements = []
    with open_log(file) as database:
        database.set_trace_callback(statements.append)
        list(reader.select_newest(database, parse_filters(options), 20))
        database.set_trace_callback(None)
        plan = database.execute(f"EXPLAIN QUERY PLAN {statements[-1]}")
        steps = [step["detail"] for step in plan]
    table_steps = [step for step in steps if re.match("(SCAN|SEARCH) prediction", step)]
    assert len(table_steps) == (5 if "request" in options else 2)
    assert all("INDEX" in step or "INTEGER PRIMARY KEY" in step for step in table_steps)


class TestTail:
    def test_each_new_row_comes_once_in_the_order_of_its_commit(self, file):
        tail = LogTail(file, LogFilters())
        assert len(tail.read(newest=3)) == 3
        assert tail.read() == []
        write_log(file, [prediction_row(9), prediction_row(8)])
        assert [row_number(row) for row in tail.read()] == [9, 8]
        assert tail.read() == []

    def test_only_rows_that_match_come(self, file):
        tail = LogTail(file, parse_filters({"status": "4xx"}))
        tail.read(newest=20)
        write_log(file, [prediction_row(8), refused_row(9)])
        assert [row["status"] for row in tail.read()] == [422]
        tail = LogTail(file, parse_filters({"request": "checkout 17"}))
        tail.read(newest=20)
        write_log(file, [prediction_row(10), prediction_row(11, caller_id="checkout 17")])
        assert [row_number(row) for row in tail.read()] == [11]

    def test_a_log_that_is_created_later_is_followed(self, tmp_path):
        tail = LogTail(tmp_path / "logs.db", LogFilters())
        assert tail.read(newest=20) == tail.read() == []
        write_log(tmp_path / "logs.db", [prediction_row(0)])
        assert len(tail.read()) == 1

    def test_a_log_that_was_emptied_is_followed_further(self, file):
        """SQLite starts its row numbers anew then."""
        tail = LogTail(file, LogFilters())
        tail.read(newest=20)
        with sqlite3.connect(file) as database:
            database.execute("DELETE FROM prediction")
        write_log(file, [prediction_row(8)])
        assert [row_number(row) for row in tail.read()] == [8]

    def test_a_log_that_was_started_anew_is_followed_further(self, file):
        tail = LogTail(file, LogFilters())
        tail.read(newest=20)
        file.replace(file.with_suffix(".old"))
        write_log(file, [prediction_row(number) for number in range(20, 30)])
        assert len(tail.read()) == 10


def test_the_summary_counts_what_was_asked_answered_and_refused(tmp_path):
    rows = [prediction_row(number, latency_ms=float(number)) for number in range(1, 101)]
    list_columns = {"latency_ms": 1000.0, "model_version": "2", "warnings": '["far"]'}
    rows += [prediction_row(200, id=f"{200:032x}-{index}", **list_columns) for index in range(50)]
    unknown_field = "'Rooms' is not a field of a block group; did you mean AveRooms?"
    rows += [
        refused_row(300, problem=REFUSAL_MESSAGE),
        refused_row(301, problem=f"row 7: {REFUSAL_MESSAGE}"),
        refused_row(302, problem=REFUSAL_MESSAGE.replace("-1", "'a; b'")),
        refused_row(303, problem=f"{REFUSAL_MESSAGE}; {unknown_field}"),
    ]
    log_summary = summarize(write_log(tmp_path / "logs.db", rows), LogFilters())
    assert log_summary["rows"] == 154
    assert log_summary["requests"] == 105
    assert log_summary["status"] == {200: 150, 422: 4}
    assert log_summary["version"] == {"california-housing 1": 100, "california-housing 2": 50}
    assert log_summary["with_warnings"] == pytest.approx(1 / 3)
    assert log_summary["latency_ms"] == {"median": 49.0, "p99": 99.0 + 1.0}
    first, second = log_summary["problems"].items()
    assert first == (REFUSAL_MESSAGE.replace("-1", "…"), 4)
    assert second == ("… is not a field of a block group; did you mean AveRooms?", 1)
    assert log_summary["times"]["2026-11-01T00"] == 7
