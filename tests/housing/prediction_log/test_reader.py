"""Reading the service's log: real files, also old, empty and moved ones."""

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


def places(file, limit=20, **asked):
    """Which of ROWS are found."""
    return [int(one["request_id"], 16) for one in read_newest(file, parse_filters(asked), limit)]


@pytest.mark.parametrize(
    ("asked", "found"),
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
        ({"request": "nobody's"}, []),
    ],
)
def test_each_filter_finds_its_rows(file, asked, found):
    assert places(file, **asked) == found


def test_the_newest_are_taken_and_the_newest_is_last(file):
    assert places(file, limit=2) == [5, 6]
    assert places(file, limit=0) == []


def test_a_log_of_the_first_service_has_all_columns_and_filters(tmp_path):
    file = write_log(tmp_path / "logs.db", [prediction_row(0), refused_row(1)], FIRST_LOG_SCHEMA)
    [row, _] = read_newest(file, LogFilters(), 20)
    assert row["prediction"] == 4.19027
    assert {row[one] for one in ("low", "high", "warnings", "run_id", "caller_id", "caller")} == {
        None
    }
    assert places(file, warned=True) == []
    assert places(file, request=f"{0:032x}") == [0]
    assert summarize(file, LogFilters())["rows"] == 2


def test_a_missing_and_an_empty_log_have_no_rows(tmp_path):
    assert list(read_newest(tmp_path / "none.db", LogFilters(), 20)) == []
    (tmp_path / "empty.db").touch()
    assert list(read_newest(tmp_path / "empty.db", LogFilters(), 20)) == []
    assert summarize(tmp_path / "empty.db", LogFilters())["rows"] == 0
    assert not (tmp_path / "none.db").exists()


def test_what_is_no_log_is_named(tmp_path):
    file = tmp_path / "logs.db"
    file.write_text("no database " * 100)
    with pytest.raises(RuntimeError, match=r"logs.db cannot be read: file is not a database"):
        list(read_newest(file, LogFilters(), 20))


def test_a_reader_cannot_write(file):
    with pytest.raises(RuntimeError, match="readonly"), open_log(file) as database:
        database.execute("DELETE FROM prediction")
    assert len(row_ids(file)) == 7


@pytest.mark.parametrize("asked", [{}, {"since": "2026-11-01"}, {"request": "x"}])
def test_the_newest_are_found_by_an_index(file, asked):
    with sqlite3.connect(file) as database:
        database.execute("CREATE INDEX caller ON prediction (caller_id) "
                         "WHERE caller_id IS NOT NULL")  # fmt: skip
    seen = []
    with open_log(file) as database:
        database.set_trace_callback(seen.append)
        list(reader.select_newest(database, parse_filters(asked), 20))
        database.set_trace_callback(None)
        plan = [one["detail"] for one in database.execute(f"EXPLAIN QUERY PLAN {seen[-1]}")]
    reading = [one for one in plan if re.match("(SCAN|SEARCH) prediction", one)]
    assert len(reading) == (5 if "request" in asked else 2)
    assert all("INDEX" in one or "INTEGER PRIMARY KEY" in one for one in reading)


class TestTail:
    def test_each_new_row_comes_once_in_the_order_of_its_commit(self, file):
        tail = LogTail(file, LogFilters())
        assert len(tail.start(3)) == 3
        assert tail.poll() == []
        write_log(file, [prediction_row(9), prediction_row(8)])
        assert [int(one["request_id"], 16) for one in tail.poll()] == [9, 8]
        assert tail.poll() == []

    def test_only_what_is_wanted_comes(self, file):
        tail = LogTail(file, parse_filters({"status": "4xx"}))
        tail.start(20)
        write_log(file, [prediction_row(8), refused_row(9)])
        assert [one["status"] for one in tail.poll()] == [422]
        tail = LogTail(file, parse_filters({"request": "checkout 17"}))
        tail.start(20)
        write_log(file, [prediction_row(10), prediction_row(11, caller_id="checkout 17")])
        assert [int(one["request_id"], 16) for one in tail.poll()] == [11]

    def test_a_log_that_comes_later_is_followed(self, tmp_path):
        tail = LogTail(tmp_path / "logs.db", LogFilters())
        assert tail.start(20) == tail.poll() == []
        write_log(tmp_path / "logs.db", [prediction_row(0)])
        assert len(tail.poll()) == 1

    def test_a_log_that_was_emptied_goes_on(self, file):
        """SQLite numbers its rows anew then."""
        tail = LogTail(file, LogFilters())
        tail.start(20)
        with sqlite3.connect(file) as database:
            database.execute("DELETE FROM prediction")
        write_log(file, [prediction_row(8)])
        assert [int(one["request_id"], 16) for one in tail.poll()] == [8]

    def test_a_log_that_was_begun_anew_goes_on(self, file):
        tail = LogTail(file, LogFilters())
        tail.start(20)
        file.replace(file.with_suffix(".old"))
        write_log(file, [prediction_row(place) for place in range(20, 30)])
        assert len(tail.poll()) == 10


def test_the_summary_counts_what_was_asked_answered_and_refused(tmp_path):
    rows = [prediction_row(place, latency_ms=float(place)) for place in range(1, 101)]
    rows += [prediction_row(200, id=f"{200:032x}-{one}", latency_ms=1000.0, model_version="2",
                    warnings='["far"]') for one in range(50)]  # fmt: skip
    rows += [refused_row(300, problem=REFUSAL_MESSAGE), refused_row(301, problem=f"row 7: {REFUSAL_MESSAGE}"),
             refused_row(302, problem=REFUSAL_MESSAGE.replace("-1", "'a; b'"))]  # fmt: skip
    rows.append(refused_row(303, problem=f"{REFUSAL_MESSAGE}; 'Rooms' is not a field of a block group; "
                        "did you mean AveRooms?"))  # fmt: skip
    told = summarize(write_log(tmp_path / "logs.db", rows), LogFilters())
    assert told["rows"] == 154
    assert told["requests"] == 105
    assert told["status"] == {200: 150, 422: 4}
    assert told["version"] == {"california-housing 1": 100, "california-housing 2": 50}
    assert told["with_warnings"] == pytest.approx(1 / 3)
    assert told["latency_ms"] == {"median": 49.0, "p99": 99.0 + 1.0}
    first, second = told["problems"].items()
    assert first == (REFUSAL_MESSAGE.replace("-1", "…"), 4)
    assert second == ("… is not a field of a block group; did you mean AveRooms?", 1)
    assert told["times"]["2026-11-01T00"] == 7
