"""Each prediction with its current true value is read once, from the log or its archived month."""

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from housing.prediction_log import archive, feedback, filters, labelled, months
from housing.prediction_log.feedback import TrueValue
from tests.support.logged_predictions import FIRST_LOG_SCHEMA, timed_row, write_log

NOVEMBER_29, NOVEMBER_30 = "2026-11-29T08:00:00.000+00:00", "2026-11-30T08:00:00.000+00:00"


@pytest.fixture
def log(home):
    """A log with three predictions in each of three months; the truth is known of all but one."""
    rows = [
        timed_row(f"2026-{month}-{day:02}T12:00:00.000+00:00", day, prediction=float(month))
        for month in ("09", "10", "11")
        for day in (1, 2, 3)
    ]
    log = write_log(home / "var" / "logs.db", rows)
    record(log, [TrueValue(row["id"], 2.5) for row in rows[:4]], NOVEMBER_29)
    record(log, [TrueValue(row["id"], 2.5) for row in rows[4:8]], NOVEMBER_30)
    return log


def record(log, true_values, received_at, caller="ann"):
    @contextmanager
    def open_exclusively():
        with closing(sqlite3.connect(log, isolation_level=None)) as connection:
            yield connection

    return feedback.record_true_values(open_exclusively, true_values, received_at, caller)


def read_all(log, **options):
    rows = labelled.read_labelled_rows(log, months.archive_paths(), **options)
    return sorted(rows, key=lambda row: row.number)


def archive_until(log, cutoff):
    archive.archive_rows(log, cutoff, months.archive_folder(), lambda _: None)


def test_a_prediction_comes_with_its_true_value(log):
    first = read_all(log)[0]
    assert (first.truth, first.received_at, first.prediction) == (2.5, NOVEMBER_29, 9.0)
    assert (first.model_name, first.model_version, first.low) == ("california-housing", "1", None)


@pytest.mark.parametrize("cutoff", ["2026-09-01", "2026-09-02", "2026-10-03", "2026-12-01"])
def test_archiving_changes_nothing(log, cutoff):
    expected = read_all(log)
    archive_until(log, f"{cutoff}T00:00:00.000")
    assert read_all(log) == expected
    assert len(expected) == 8


def test_a_row_that_is_in_the_log_and_its_month_is_read_once(log):
    expected = read_all(log)
    archive_until(log, "2026-12-01")
    [month] = [file for file in months.archive_paths() if months.file_month(file) == "2026-10"]
    with closing(sqlite3.connect(log)) as connection, connection:
        connection.execute("ATTACH ? AS month", (str(month),))
        connection.execute("INSERT INTO prediction SELECT * FROM month.prediction")
    assert read_all(log) == expected


def test_a_row_that_is_archived_meanwhile_is_read_once(log):
    rows = labelled.read_labelled_rows(log, months.archive_paths())
    numbers = [next(rows).number]
    archive_until(log, "2026-12-01")
    assert sorted([*numbers, *(row.number for row in rows)]) == list(range(1, 9))


def test_a_reading_that_stops_in_the_middle_of_a_month_closes_all_files(log):
    archive_until(log, "2026-12-01")
    rows = labelled.read_labelled_rows(log, months.archive_paths())
    next(rows)
    assert log in open_files()
    rows.close()
    assert not {log, *months.archive_paths()} & open_files()


def open_files():
    """Return the files that this process has open."""
    return {Path(file.path) for file in psutil.Process().open_files()}


def test_a_correction_replaces_the_value(log):
    first, *others = read_all(log)
    record(log, [TrueValue(first.id, 3.5, NOVEMBER_29)], NOVEMBER_30)
    assert [row.truth for row in read_all(log)] == [2.5] * 7 + [3.5]
    assert read_all(log)[:7] == others


def test_a_day_of_arrival_is_selected(log):
    rows = read_all(log, since="2026-11-30", until="2026-12-01")
    assert [row.number for row in rows] == [5, 6, 7, 8]
    assert read_all(log, since=filters.parse_time("2026-12-01", "since")) == []


def test_a_sample_is_the_same_each_time_whatever_was_archived(log):
    sample = read_all(log, max_rows=3)
    assert len(sample) == 3
    archive_until(log, "2026-10-02")
    assert read_all(log, max_rows=3) == sample
    assert read_all(log, max_rows=100) == read_all(log)


def test_a_month_of_an_older_service_lacks_columns(log, home):
    row = timed_row("2026-08-01T12:00:00.000+00:00")
    write_log(months.month_file(months.archive_folder(), "2026-08"), [row], FIRST_LOG_SCHEMA)
    record(log, [TrueValue(row["id"], 1.0)], NOVEMBER_30)
    assert read_all(log)[-1].warnings is None


def test_there_is_nothing_to_read_without_a_log_or_true_values(home):
    log = home / "var" / "logs.db"
    assert read_all(log) == []
    assert labelled.find_changed_days(log) == labelled.ChangedDays([], 0)
    write_log(log, [timed_row(NOVEMBER_29)], FIRST_LOG_SCHEMA)
    assert read_all(log) == []
    assert labelled.find_changed_days(log) == labelled.ChangedDays([], 0)


def test_changed_days_are_those_of_new_and_of_corrected_values(log):
    assert labelled.find_changed_days(log) == (["2026-11-29", "2026-11-30"], 8)
    assert labelled.find_changed_days(log, 8) == ([], 8)
    record(log, [TrueValue(read_all(log)[0].id, 3.5)], "2026-12-01T00:00:00.000+00:00")
    assert labelled.find_changed_days(log, 8) == (["2026-11-29", "2026-12-01"], 9)
