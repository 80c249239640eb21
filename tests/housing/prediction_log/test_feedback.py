"""True values are taken once, corrected with their history, and refused with a reason."""

import multiprocessing
import os
import signal
import sqlite3
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from housing.prediction_log import archive, feedback, feedback_rows, lock, months, table
from housing.prediction_log.feedback_rows import FeedbackError, PredictionReference
from tests.support.logged_predictions import (
    FIRST_LOG_SCHEMA,
    refused_row,
    timed_row,
    write_log,
)

RECEIVED_AT = "2026-11-30T08:00:00.000+00:00"
NOW = datetime.fromisoformat(RECEIVED_AT)
OCTOBER, NOVEMBER = "2026-10-07T12:00:00.000+00:00", "2026-11-07T12:00:00.000+00:00"


@pytest.fixture
def log(home):
    return write_log(home / "var" / "logs.db", [timed_row(NOVEMBER, number) for number in range(3)])


def open_exclusively_of(log):
    @contextmanager
    def open_exclusively():
        with lock.log_lock(log), closing(sqlite3.connect(log, isolation_level=None)) as connection:
            yield connection

    return open_exclusively


def take(log, rows, received_at=RECEIVED_AT):
    folder = months.archive_folder()
    return feedback.take_feedback(rows, log, folder, open_exclusively_of(log), received_at, "ann")


def counts(report):
    return tuple(report.counts[outcome] for outcome in feedback.FeedbackOutcome)


def problems(report):
    return [(row, error.field, str(error)) for row, error in report.problems]


def history(log, prediction_id):
    with closing(sqlite3.connect(log)) as connection:
        return feedback.read_history(connection, prediction_id)


def prediction_id(number=0, asked_at=NOVEMBER):
    return timed_row(asked_at, number)["id"]


def test_a_true_value_is_recorded_with_its_sender_and_times(log):
    row = {"id": prediction_id(), "truth": 4.526, "observed_at": "2026-11-29T10:00:00+02:00"}
    assert counts(take(log, [row])) == (1, 0, 0, 0)
    [entry] = history(log, prediction_id())
    assert entry == (
        1, prediction_id(), 4.526, RECEIVED_AT, "2026-11-29T08:00:00.000+00:00", "ann", None,
    )  # fmt: skip


def test_the_same_value_again_changes_nothing(log):
    rows = [{"id": prediction_id(), "truth": 4.526}]
    take(log, rows)
    assert counts(take(log, rows)) == (0, 1, 0, 0)
    dollars = [{"id": prediction_id(), "truth_usd": 452_600}]
    assert counts(take(log, dollars)) == (0, 1, 0, 0)
    assert len(history(log, prediction_id())) == 1


def test_a_correction_keeps_what_it_corrects(log):
    take(log, [{"id": prediction_id(), "truth": 4.5}])
    later = "2026-11-30T09:00:00.000+00:00"
    assert counts(take(log, [{"id": prediction_id(), "actual": 5.25}], later)) == (0, 0, 1, 0)
    older, current = history(log, prediction_id())
    assert (older.truth, older.superseded_at) == (4.5, later)
    assert (current.truth, current.received_at, current.superseded_at) == (5.25, later, None)


def test_a_time_that_becomes_known_later_is_a_correction(log):
    row = {"id": prediction_id(), "truth": 4.5}
    take(log, [row])
    assert counts(take(log, [row | {"observed_at": "2026-11-29"}])) == (0, 0, 1, 0)
    assert counts(take(log, [row])) == (0, 1, 0, 0)


def test_of_two_rows_for_one_prediction_the_last_counts(log):
    rows = [{"id": prediction_id(), "truth": truth} for truth in (4.5, 4.6)]
    assert counts(take(log, rows)) == (1, 0, 1, 0)
    assert [entry.truth for entry in history(log, prediction_id())] == [4.5, 4.6]


def test_wrong_rows_are_refused_and_the_others_kept(log):
    rows = [
        {"id": prediction_id(0), "truth": 452_600},
        {"id": prediction_id(1), "truth": 4.5},
        {"id": "no such id", "truth": 4.5},
        {"id": prediction_id(9), "truth": 4.5},
    ]
    report = take(log, rows)
    assert counts(report) == (1, 0, 0, 3)
    assert [(row, field) for row, field, _ in problems(report)] == [
        (0, "truth"),
        (2, "id"),
        (3, "id"),
    ]
    assert problems(report)[0][2] == (
        "truth is 452,600, expected a number from 0.01 to 50 ($100,000); did you mean truth_usd?"
    )
    assert problems(report)[2][2] == (
        f"id is '{prediction_id(9)}', which is neither in the log nor in its archived months"
    )


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"truth_usd": 4.526}, "truth_usd", "did you mean truth?"),
        ({"truth_usd": -452_600}, "truth_usd", "truth_usd is -452,600, expected a number from 1"),
        ({"truth": 0}, "truth", "truth is 0, expected"),
        ({"truth": float("nan")}, "truth", "truth is not a finite number, expected"),
        ({"truth": float("inf")}, "truth", "truth is not a finite number, expected"),
        ({"truth": 10**400}, "truth", "truth is a huge number, expected"),
        ({"truth": True}, "truth", "truth is true, expected"),
        ({"truth": "4.5"}, "truth", "truth is '4.5', expected"),
        ({"truth": [4.5]}, "truth", "truth is a list, expected"),
        ({"truth": None}, "truth", "truth is missing, expected one of truth ($100,000), truth_usd"),
        ({"truth": 4.5, "actual": 4.5}, "actual", "truth and actual are both there, expected one"),
        ({"truth": 4.5, "price": 4.5}, "price", "'price' is not a field of feedback; expected id"),
        ({"truht": 4.5}, "truht", "'truht' is not a field of feedback; did you mean truth?"),
        ({"truth": 4.5, "index": 0}, "index", "index belongs to request_id"),
        ({"truth": 4.5, "request_id": "order-7"}, "id", "id and request_id are both there"),
        ({"truth": 4.5, "observed_at": "soon"}, "observed_at", "observed_at is 'soon', expected"),
        ({"truth": 4.5, "observed_at": 20261129}, "observed_at", "is 20,261,129, expected an ISO"),
        ({"truth": 4.5, "observed_at": "2026-12-01"}, "observed_at", "which is in the future"),
        ({"truth": 4.5, "id": None}, "id", "id is missing, expected the id of a prediction"),
        ({"truth": 4.5, "id": 17}, "id", "id is 17, expected text of up to 200"),
        ({"truth": 4.5, "id": "\ud800"}, "id", r"id is '\ud800', expected text"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(fields, field, problem):
    with pytest.raises(FeedbackError) as error:
        feedback_rows.parse_row({"id": prediction_id()} | fields, NOW)
    assert problem in str(error.value)
    assert error.value.field == field


@pytest.mark.parametrize("row", [5, "4.5", None, [], {"id": 1}["id"]])
def test_a_row_that_is_no_object_is_refused(row):
    with pytest.raises(FeedbackError, match="is not an object with the id of a prediction"):
        feedback_rows.parse_row(row, NOW)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*feedback_rows.FEEDBACK_FIELDS, "price"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([]),
    )
)
def test_any_row_is_taken_or_refused_in_a_short_line(row):
    problem = ""
    try:
        assert 0.01 <= feedback_rows.parse_row(row, NOW).truth <= 50
    except FeedbackError as error:
        problem = str(error)
    assert len(problem) < 500
    assert problem.isprintable()


def test_the_event_may_be_older_than_the_prediction_and_a_clock_a_little_ahead():
    for moment in ("1990-04-01", (NOW + timedelta(minutes=4)).isoformat()):
        row = {"id": prediction_id(), "truth": 4.5, "observed_at": moment}
        assert feedback_rows.parse_row(row, NOW).observed_at is not None


def test_json_is_an_object_or_a_list_and_a_repeated_field_is_named():
    assert feedback_rows.parse_json('{"id": "a", "truth": NaN}')[0].keys() == {"id", "truth"}
    rows = feedback_rows.parse_json('[{"id": "a", "truth": 1, "truth": 2}, 7]')
    with pytest.raises(FeedbackError, match="'truth' is there twice"):
        feedback_rows.parse_row(rows[0], NOW)
    for text in ("", "{", "[" * 100_000, "1" * 5_000):
        with pytest.raises(ValueError, match=r"."):
            feedback_rows.parse_json(text)


class TestRequests:
    """Predictions that are named by their request."""

    @pytest.fixture
    def log(self, home):
        """Requests of one, of three and of no predictions; two of them share a name."""
        single, several = timed_row(NOVEMBER, 0), timed_row(NOVEMBER, 1)
        rows = [
            single | {"caller_id": "order-7"},
            *(
                several | {"id": f"{several['request_id']}-{index}", "caller_id": "order-8"}
                for index in range(3)
            ),
            timed_row(NOVEMBER, 2, caller_id="shared"),
            timed_row(NOVEMBER, 3, caller_id="shared"),
            refused_row(4, caller_id="refused"),
        ]
        return write_log(home / "var" / "logs.db", rows)

    @pytest.mark.parametrize(
        ("fields", "expected_id"),
        [
            ({"request_id": prediction_id(0)[:32]}, prediction_id(0)),
            ({"request_id": prediction_id(0)[:32], "index": 0}, prediction_id(0)),
            ({"request_id": prediction_id(1)[:32], "index": 2}, f"{prediction_id(1)[:32]}-2"),
            ({"request_id": "order-7"}, prediction_id(0)),
            ({"request_id": "order-8", "index": 2.0}, f"{prediction_id(1)[:32]}-2"),
        ],
    )
    def test_a_request_and_an_index_name_a_prediction(self, log, fields, expected_id):
        assert counts(take(log, [fields | {"truth": 4.5}])) == (1, 0, 0, 0)
        assert [entry.truth for entry in history(log, expected_id)] == [4.5]

    @pytest.mark.parametrize(
        ("fields", "problem"),
        [
            ({"id": f"{4:032x}"}, "which was refused and has no prediction"),
            ({"id": prediction_id(0)[:32]}, "the id of a prediction ends with its index, like -0"),
            ({"request_id": f"{4:032x}"}, "it was refused and has no prediction"),
            ({"request_id": "refused"}, "it was refused and has no prediction"),
            ({"request_id": prediction_id(0)}, "the id of a prediction: send it as id"),
            ({"request_id": "order-8"}, "which has several predictions: send the index too"),
            ({"request_id": "order-8", "index": 3}, "index is 3, and the request 'order-8' has no"),
            ({"request_id": "shared"}, "the X-Request-ID of several requests"),
            ({"request_id": "order-9"}, "which is neither in the log nor in its archived months"),
            ({"request_id": "order-7", "index": -1}, "index is -1, expected a whole number"),
            ({"request_id": "order-7", "index": 0.5}, "index is 0.5, expected a whole number"),
        ],
    )
    def test_a_request_without_such_a_prediction_is_refused(self, log, fields, problem):
        report = take(log, [fields | {"truth": 4.5}])
        assert problem in problems(report)[0][2]

    def test_archived_requests_are_found_by_each_of_their_names(self, log):
        archive.archive_rows(log, "2026-12-01", months.archive_folder(), lambda _: None)
        rows = [
            {"id": prediction_id(0), "truth": 1},
            {"request_id": prediction_id(2)[:32], "truth": 2},
            {"request_id": "order-8", "index": 1, "truth": 3},
            {"request_id": "shared", "truth": 4},
        ]
        assert counts(take(log, rows)) == (3, 0, 0, 1)


def test_true_values_of_archived_months_stay_in_the_log(home):
    log = write_log(home / "var" / "logs.db", [timed_row(OCTOBER), timed_row(NOVEMBER)])
    archive.archive_rows(log, "2026-11-01", months.archive_folder(), lambda _: None)
    rows = [{"id": prediction_id(0, month), "truth": 4.5} for month in (OCTOBER, NOVEMBER)]
    assert counts(take(log, rows)) == (2, 0, 0, 0)
    archive.archive_rows(log, "2026-12-01", months.archive_folder(), lambda _: None)
    assert counts(take(log, rows)) == (0, 2, 0, 0)


def test_a_log_of_an_older_service_gets_the_table(home):
    log = write_log(home / "var" / "logs.db", [timed_row(NOVEMBER)], FIRST_LOG_SCHEMA)
    with closing(sqlite3.connect(log)) as connection:
        table.create_or_migrate(connection)
    assert counts(take(log, [{"id": prediction_id(), "truth": 4.5}])) == (1, 0, 0, 0)


def test_without_a_log_every_id_is_unknown(home):
    reference = PredictionReference("0" * 32 + "-0")
    folder = home / "var" / "archive"
    [error] = feedback.find_predictions(home / "var" / "logs.db", folder, [reference])
    assert "neither in the log" in str(error)


def take_repeatedly(log, truth, count):
    for _ in range(count):
        for number in range(3):
            take(log, [{"id": prediction_id(number), "truth": truth}])


def test_two_processes_at_once_leave_one_current_value(log):
    """Each value is recorded or superseded: the history alternates, without a gap."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=take_repeatedly, args=(log, value, 15)) for value in (1, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    for number in range(3):
        entries = history(log, prediction_id(number))
        assert [entry.superseded_at is None for entry in entries].count(True) == 1
        assert entries[-1].superseded_at is None
        assert all(older.truth != newer.truth for older, newer in pairwise(entries))


def take_many(log, count):
    rows = [{"id": prediction_id(number), "truth": 1.5} for number in range(count)]
    take(log, rows, datetime.now(UTC).isoformat(timespec="milliseconds"))


@pytest.mark.parametrize("delay_seconds", [0.0, 0.03])
def test_a_kill_in_the_middle_loses_and_doubles_nothing(home, monkeypatch, delay_seconds):
    monkeypatch.setattr(feedback, "FEEDBACK_TRANSACTION_ROWS", 10)
    count = 600
    rows = [timed_row(NOVEMBER, number) for number in range(count)]
    log = write_log(home / "var" / "logs.db", rows)
    process = multiprocessing.get_context("fork").Process(target=take_many, args=(log, count))
    process.start()
    with closing(sqlite3.connect(log)) as connection:
        while not connection.execute("SELECT count(*) FROM feedback").fetchone()[0]:
            assert process.is_alive()
    time.sleep(delay_seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with closing(sqlite3.connect(log)) as connection:
        [taken] = connection.execute("SELECT count(*) FROM feedback").fetchone()
    assert taken % 10 == 0
    report = take(log, [{"id": row["id"], "truth": 1.5} for row in rows])
    assert counts(report) == (count - taken, taken, 0, 0)
